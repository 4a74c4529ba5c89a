// SPDX-License-Identifier: MIT
#include "guard/keeper.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reason.h"
#include "base/text.h"
#include "engine/answerer.h"
#include "engine/attach.h"
#include "engine/cgroup.h"
#include "engine/listener.h"
#include "engine/load.h"
#include "engine/publish.h"
#include "guard/answers.h"
#include "guard/guard.h"
#include "guard/refresh.h"
#include "guard/tally.h"
#include "history/advice.h"
#include "history/print.h"
#include "history/summary.h"
#include "history/wanted.h"

#define BPFFS "/sys/fs/bpf"
#define PINS BPFFS "/run"
#define BEAT 500		/* milliseconds: a fourth of OH_ANSWERER_ALIVE */
#define SHOWN_MAX 10		/* lines of what was refused */

/* What runs while the command runs. */
struct state {
	const struct keeper *k;
	struct engine engine;
	struct policy policy;
	struct records records;
	struct answers answers;
	struct ring_buffer *events;
	struct tally told;
	pid_t refresher;
	bool answering;
};

/* ---- mounts ---- */

/* Programs of the command ask the resolver on this machine for any name, and it would pass that on. So they ask the
 * resolver behind it instead, which the guard judges. */
static int replace_resolv_conf(const struct config *c, struct error *e)
{
	struct oh_address local[CONFIG_RESOLVERS_MAX];
	char path[] = "/run/ohguard-resolv-XXXXXX", text[ADDRESS_TEXT_MAX];
	int fd, r = 0;

	if (!resolv_conf_servers("/etc/resolv.conf", true, local))
		return 0;
	fd = mkstemp(path);
	if (fd < 0)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	fchmod(fd, 0644);
	for (size_t i = 0; i < c->resolver_count; i++)
		dprintf(fd, "nameserver %s\n", address_format(&c->resolvers[i], text));
	for (size_t i = 0; i < c->search_count; i++)
		dprintf(fd, "%s%s%s", i ? "" : "search ", c->search[i], i + 1 < c->search_count ? " " : "\n");
	close(fd);
	if (mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL))
		r = error_set(e, errno, "/etc/resolv.conf cannot be replaced: %s", strerror(errno));
	unlink(path);
	return r;
}

/* Sockets by which programs have others resolve names. Without them they ask by themselves. */
static void hide_resolvers(void)
{
	static const char *const sockets[] = {
		"/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/socket", "/var/run/nscd/socket" };

	for (size_t i = 0; i < sizeof(sockets) / sizeof(*sockets); i++)
		mount("/dev/null", sockets[i], NULL, MS_BIND, NULL);
}

int keeper_mount(const struct config *c, int *ret_covered, struct error *e)
{
	int fd, r;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		return error_set(e, errno, "no mounts of its own: %s: run it as root, outside of containers and "
				 "chroots", strerror(errno));
	fd = open(BPFFS, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(e, errno, BPFFS ": %s: is /sys mounted, and does the kernel have BPF?",
				 strerror(errno));
	if (mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700")) {
		r = error_set(e, errno, BPFFS ": no bpffs can be mounted: %s", strerror(errno));
		close(fd);
		return r;
	}
	hide_resolvers();
	*ret_covered = fd;
	return replace_resolv_conf(c, e);
}

/* What was at its place before comes over the bpffs with the links, which nobody can reach then. */
static int cover(const struct keeper *k, struct error *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", k->covered);
	return mount(path, BPFFS, NULL, MS_BIND, NULL) ?
	       error_set(e, errno, BPFFS ": %s: is /proc mounted?", strerror(errno)) : 0;
}

/* ---- names ---- */

static int resolve_due(struct state *s, struct error *e)
{
	struct refresh_report report;
	struct refresh f = { 0 };
	int r = refresh_add_due(&f, &s->records, time(NULL), e);

	if (!r && f.count)
		r = refresh_ask(&f, s->k->config, e);
	if (!r && f.count)
		r = refresh_merge(&f, &s->records, s->k->config, time(NULL), &report, e);
	if (!r && f.count) {
		refresh_warn(&report);
		r = publish_policy(&s->policy, &s->records, &s->engine, time(NULL), e);
	}
	refresh_free(&f);
	return r;
}

/* A process of its own: a slow resolver must not keep refused names from their answer, or the end from coming. What
 * fails is tried again; meanwhile addresses run out, as ever. */
static pid_t start_refresher(struct state *s)
{
	pid_t parent = getpid(), pid = fork();
	int64_t now, next;
	struct error e;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(s->k->front);
	while (getppid() == parent) {
		now = time(NULL);
		next = refresh_next(&s->records, now);
		sleep(next > now ? (unsigned int)(next - now) : 1);
		if (resolve_due(s, &e))
			error_print(&e);
	}
	_exit(0);
}

/* ---- the engine ---- */

/* Nothing runs in the cgroup yet, so the order is of no matter. */
static int put_in_force(struct state *s, struct error *e)
{
	struct engine_program_set *set = NULL;
	int r = engine_check_system(PINS, e);

	if (!r)
		r = engine_prepare(s->k->config, s->k->learn, NULL, &set, &s->engine, e);
	if (!r)
		r = engine_attach(set, PINS, s->k->cgroup, e);
	engine_free_set(set);
	if (!r)
		r = cover(s->k, e);
	if (!r)
		r = guard_build_policy(s->k->config, s->k->grants, time(NULL), &s->policy, &s->records, e);
	if (!r)
		r = publish_policy(&s->policy, &s->records, &s->engine, time(NULL), e);
	if (!r)
		r = engine_set_ready(&s->engine, e);
	return r ? r : resolve_due(s, e);
}

/* ---- events ---- */

static int take_event(void *context, void *data, size_t size)
{
	struct state *s = context;

	if (size >= sizeof(struct oh_event))
		tally_take(&s->told, data);
	return 0;
}

/* The option that would have let it pass, as `ohguard allow` would. */
static void print_option(const struct state *s, const struct history_record *r)
{
	char line[ADVICE_MAX], *target = line + strlen(ADVICE_ALLOW), *end;

	if (advice(r, &s->policy, line, sizeof(line)) || strncmp(line, ADVICE_ALLOW, strlen(ADVICE_ALLOW)))
		return;
	end = strstr(target, ADVICE_PLAIN);
	if (end)
		fprintf(stderr, ": --allow '%.*s sni=off'", (int)(end - target), target);
	else
		fprintf(stderr, ": --allow %s", target);
}

static void print_group(const struct state *s, const struct history_record *r)
{
	fprintf(stderr, "  %6llu  %s  ", (unsigned long long)r->count, reason_name(r->reason));
	history_print_what(stderr, r);
	fputs(" by ", stderr);
	history_print_who(stderr, r);
	print_option(s, r);
	fputc('\n', stderr);
}

static int print_refused(const struct state *s, struct error *e)
{
	struct history_summary sum = { 0 };
	uint64_t all = 0;

	for (size_t i = 0; i < s->told.count; i++) {
		all += s->told.list[i].record->count;
		if (history_add(&sum, s->told.list[i].record))
			return error_set(e, ENOMEM, "out of memory");
	}
	history_rank(&sum);
	if (all)
		fprintf(stderr, "ohguard: %llu attempt%s refused%s:\n", (unsigned long long)all,
			all == 1 ? " was" : "s were", s->told.incomplete ? ", and more" : "");
	for (size_t i = 0; i < sum.count && i < SHOWN_MAX; i++)
		print_group(s, sum.group[i].record);
	if (sum.count > SHOWN_MAX)
		fprintf(stderr, "  and %zu more kind%s\n", sum.count - SHOWN_MAX, TEXT_PLURAL(sum.count - SHOWN_MAX));
	history_summary_free(&sum);
	return 0;
}

static void print_allowed(FILE *out, const struct grants *grants)
{
	char text[OH_TARGET_TEXT_MAX];

	if (grants->count)
		fputs("[allow]\n; by --allow\n", out);
	for (size_t i = 0; i < grants->count; i++)
		fprintf(out, "target = %s%s\n", target_identity(&grants->list[i].target, text),
			target_options(&grants->list[i].target));
}

static int write_config(const struct keeper *k, const struct wanted *wanted, struct error *e)
{
	struct file_out out;
	int r = file_begin(&out, k->learn, 0644, e);

	if (r)
		return r;
	fputs("; What the command needed, by ohguard run --learn.\n", out.stream);
	print_allowed(out.stream, k->grants);
	wanted_print(out.stream, wanted);
	return file_commit(&out, e);
}

static int write_learned(const struct state *s, struct error *e)
{
	struct wanted wanted = { 0 };
	int r = 0;

	for (size_t i = 0; !r && i < s->told.count; i++)
		r = wanted_add(&wanted, s->told.list[i].record, e);
	if (!r)
		r = wanted_finish(&wanted, &s->policy, NULL, e);
	if (!r)
		r = write_config(s->k, &wanted, e);
	wanted_free(&wanted);
	return r;
}

static int conclude(struct state *s, struct error *e)
{
	int r;

	ring_buffer__consume(s->events);
	r = tally_count(&s->told, e);
	if (r)
		return r;
	return s->k->learn ? write_learned(s, e) : print_refused(s, e);
}

/* ---- the process ---- */

/* Another guard would refuse us the raw sockets for it. Then a refused name is an error at once. */
static void start_answering(struct state *s, bool beside)
{
	struct error e;

	s->answering = s->engine.settings.answer && !beside && !answers_open(&s->answers, &s->engine, &e);
}

/* Until the other end of the socket is gone. */
static int serve(struct state *s, struct error *e)
{
	struct pollfd fds[] = { { .fd = s->k->front, .events = POLLIN },
				{ .fd = ring_buffer__epoll_fd(s->events), .events = POLLIN },
				{ .fd = s->answering ? answers_fd(&s->answers) : -1, .events = POLLIN } };
	int r = 0;

	while (!r && !fds[0].revents) {
		if (poll(fds, 3, BEAT) < 0 && errno != EINTR)
			r = error_set(e, errno, "poll: %s", strerror(errno));
		if (!r && s->answering)
			r = answers_give(&s->answers, &s->engine, e);
		if (!r && ring_buffer__consume(s->events) < 0)
			r = error_set(e, EIO, "the events cannot be read");
	}
	return r;
}

static int open_events(struct state *s, struct error *e)
{
	s->told.origin.engine = &s->engine;
	s->events = ring_buffer__new(s->engine.map[ENGINE_EVENTS], take_event, s, NULL);
	if (!libbpf_get_error(s->events))
		return 0;
	s->events = NULL;
	return error_set(e, EIO, "the events cannot be read");
}

/* The terminal's signals are for the command, and it outlives the process that started it. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
}

static int run(struct state *s, struct error *e)
{
	const char ready = KEEPER_READY;
	bool beside;
	int r = 0;

	if (mkdir(s->k->cgroup, 0755))
		return error_set(e, errno, "%s: %s", s->k->cgroup, strerror(errno));
	beside = listener_is_guarded(s->k->cgroup);
	if (beside)
		error_warn("another guard is loaded here: what it refuses stays refused, and is in its own events");
	r = put_in_force(s, e);
	if (!r)
		r = open_events(s, e);
	if (r)
		return r;
	start_answering(s, beside);
	s->refresher = s->records.count ? start_refresher(s) : 0;
	if (s->answering)
		r = answerer_beat(&s->engine, true, e);
	if (!r && write(s->k->front, &ready, 1) == 1)
		r = serve(s, e);
	return r;
}

int keep(const struct keeper *k, struct error *e)
{
	struct state s = { .k = k, .engine = ENGINE_EMPTY };
	struct error e_end;
	int r;

	leave_terminal();
	r = run(&s, e);
	cgroup_kill(k->cgroup);
	if (s.refresher > 0)
		kill(s.refresher, SIGKILL);
	if (!access(k->cgroup, F_OK) && cgroup_remove(k->cgroup, &e_end))
		error_warn("%s", e_end.text);
	return r ? r : conclude(&s, e);
}
