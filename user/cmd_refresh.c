/* ohguard refresh: resolves what is due. The timer's job, or its own with --watch. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "guard.h"
#include "json.h"
#include "refresh.h"

#define WATCH_LONGEST 60	/* seconds: `allow` and `load` do not wake a watcher */

static void report_names(const struct cmd_options *o, const struct refresh_report *report)
{
	struct json j;

	refresh_warn(report);
	if (!o->json) {
		if (report->asked)
			printf("%zu queries, %zu failed\n", report->asked, report->failed);
		return;
	}
	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", o->instance);
	json_number(&j, "asked", (int64_t)report->asked);
	json_number(&j, "failed", (int64_t)report->failed);
	json_object_end(&j);
	json_end(&j);
}

/* An uplink that came meanwhile is guarded from now on; one that went is nobody's loss. */
static int add_uplinks(struct guard *g, struct error *e)
{
	struct oh_settings settings;
	struct uplinks uplinks;
	int r = engine_read_settings(&g->engine, &settings, e);

	if (r || !*settings.uplink[0])
		return r;
	r = guard_lock(g, e);
	if (!r)
		r = uplink_find(settings.uplink, &uplinks, e);
	if (!r)
		r = engine_add_uplinks(g->pins, &uplinks, e);
	guard_unlock(g);
	return r;
}

/* One round. *ret_next is the time at which the next name is due. */
static int round_once(const struct cmd_options *o, int64_t *ret_next)
{
	struct refresh_report report;
	struct guard g;
	struct error e;
	int r = guard_open(o, &g, &e), r_uplinks;

	*ret_next = time(NULL) + WATCH_LONGEST;
	if (r)
		return guard_open_failed(r, &e);
	r = refresh_round(&g, &report, &e);
	if (r)
		cmd_fail(&e);
	r_uplinks = add_uplinks(&g, &e);
	if (r_uplinks)
		cmd_fail(&e);
	report_names(o, &report);
	for (size_t i = 0; i < g.records.count; i++) {
		if (g.records.list[i].due < *ret_next)
			*ret_next = g.records.list[i].due;
	}
	guard_close(&g);
	if (r && !report.in_force)
		return CMD_FAILED;
	return r || r_uplinks || report.failed ? CMD_DEGRADED : CMD_OK;
}

static int watch(const struct cmd_options *o)
{
	sigset_t stop;
	int fd, r;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	fd = signalfd(-1, &stop, SFD_CLOEXEC);
	if (fd < 0) {
		cmd_warn("signalfd failed");
		return CMD_FAILED;
	}
	for (;;) {
		struct pollfd signalled = { .fd = fd, .events = POLLIN };
		int64_t next = 0, wait;

		r = round_once(o, &next);
		fflush(stdout);
		if (r == CMD_NOT_LOADED)
			break;
		wait = next - time(NULL);
		if (poll(&signalled, 1, (int)(wait < 1 ? 1 : wait) * 1000) > 0) {
			r = CMD_OK;
			break;
		}
	}
	close(fd);
	return r;
}

int cmd_refresh(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	int stay = 0, r;
	int64_t next;
	struct poptOption options[] = {
		{ "watch", 0, POPT_ARG_NONE, &stay, 0, "Stay, and resolve on schedule", NULL },
		POPT_TABLEEND
	};

	r = cmd_parse(argc, argv, options, NULL, &common);
	if (r != CMD_GO_ON)
		return r;
	return stay ? watch(&common) : round_once(&common, &next);
}
