// SPDX-License-Identifier: MIT
/* ohguard serve: the resident helper. It answers what the guard refused for its name, so that programs are told "no
 * such name" instead of waiting, and writes the history of refusals. Enforcement does not need it. */
#include <bpf/libbpf.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "commands/cmd.h"
#include "engine/answerer.h"
#include "guard/answers.h"
#include "guard/guard.h"
#include "history/writer.h"

#define BEAT 500	/* milliseconds: a fourth of OH_ANSWERER_ALIVE */
#define TICK 4		/* beats from one look at the kernel's counts to the next */

struct server {
	struct guard g;
	struct answers answers;
	struct history_writer *writer;
	unsigned int beats;
	bool told;			/* that the history cannot be written */
};

static int write_down(void *context, void *data, size_t size)
{
	struct server *s = context;
	struct oh_event event;

	if (size < sizeof(event))	/* of another version, before the last load */
		return 0;
	memcpy(&event, data, sizeof(event));
	history_writer_take(s->writer, &event);
	return 0;
}

/* The events, by the ring buffer that refused packets come by. */
static int read_events(struct server *s, struct error *e)
{
	int r = ring_buffer__add(s->answers.ring, s->g.engine.map[ENGINE_EVENTS], write_down, s);

	return r ? error_set(e, -r, "the events cannot be read: %s", strerror(-r)) : 0;
}

/* For `status`, and once for the journal of the service. */
static void note_problem(struct server *s)
{
	const char *problem = history_writer_problem(s->writer);
	char path[PATH_MAX + 32];
	struct error e;

	if (s->told == (problem != NULL))
		return;
	s->told = problem != NULL;
	snprintf(path, sizeof(path), "%s/" GUARD_HISTORY_PROBLEM, s->g.run);
	if (!problem) {
		unlink(path);
		return;
	}
	error_warn("the history is not written: %s", problem);
	if (file_write(path, 0600, problem, strlen(problem), &e))
		error_print(&e);
}

/* Says that somebody answers, and takes up what a `load` has put in force since. */
static int go_on(struct server *s, struct error *e)
{
	bool other;
	int r = engine_renew(&s->g.engine, s->g.pins, ENGINE_REFUSED, &other, e);

	if (!r && other) {
		r = answers_renew(&s->answers, &s->g.engine, e);
		if (!r)
			r = read_events(s, e);
	}
	if (!r && s->beats++ % TICK == 0) {
		history_writer_tick(s->writer, (int64_t)time(NULL));
		note_problem(s);
	}
	return r ? r : answerer_beat(&s->g.engine, true, e);
}

static int serve(struct server *s, int signals, struct error *e)
{
	int64_t next = 0;
	int r = read_events(s, e);

	while (!r) {
		struct pollfd fds[] = { { .fd = signals, .events = POLLIN },
					{ .fd = answers_fd(&s->answers), .events = POLLIN } };
		int64_t now = clock_monotonic_ms();

		if (now >= next) {
			r = go_on(s, e);
			next = now + BEAT;
			continue;
		}
		if (poll(fds, 2, answers_wait(&s->answers, (int)(next - now))) < 0 && errno != EINTR)
			r = error_set(e, errno, "poll: %s", strerror(errno));
		if (fds[0].revents)
			break;
		if (!r)
			r = answers_give(&s->answers, &s->g.engine, e);
	}
	return r;
}

static int open_writer(struct server *s, const char *instance, struct error *e)
{
	char mark[PATH_MAX + 96];
	int r = file_make_folder(s->g.state, 0700, e);

	snprintf(mark, sizeof(mark), "%s/" GUARD_HISTORY_MARK, s->g.state);
	if (!r)
		r = history_writer_open(instance, s->g.history, mark, &s->g.config.history, &s->g.engine, &s->writer,
					e);
	if (!r)
		note_problem(s);
	return r;
}

/* Two at once would share the packets, and the first to end would say that nobody answers. */
static int lock_server(const struct guard *g, struct error *e)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/serve", g->run);
	return file_try_lock(path, "another `ohguard serve` is answering", e);
}

static int open_signals(void)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	return signalfd(-1, &stop, SFD_CLOEXEC);
}

int cmd_serve(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	struct server s = { 0 };
	struct error e, e_ignored;
	int r, lock, signals;

	r = cmd_parse(argc, argv, NULL, NULL, &common);
	if (r != CMD_GO_ON)
		return r;
	signals = open_signals();
	r = guard_open(&common.guard, &s.g, &e);
	if (r)
		return cmd_open_failed(r, &e);
	lock = lock_server(&s.g, &e);
	r = lock < 0 ? lock : answers_open(&s.answers, &s.g.engine, &e);
	if (!r)
		r = open_writer(&s, common.guard.instance, &e);
	if (!r)
		r = serve(&s, signals, &e);
	history_writer_close(s.writer);
	if (lock >= 0) {
		answerer_beat(&s.g.engine, false, &e_ignored);
		close(lock);
	}
	answers_close(&s.answers);
	guard_close(&s.g);
	return r == -ENOENT ? CMD_NOT_LOADED : r ? cmd_fail(&e) : CMD_OK;
}
