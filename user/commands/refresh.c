// SPDX-License-Identifier: MIT
/* ohguard refresh: resolves what is due. The timer runs it; with --watch it stays. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "commands/cmd.h"
#include "commands/going_back.h"
#include "engine/inside.h"
#include "engine/uplink_hooks.h"
#include "guard/change.h"
#include "guard/refresh.h"

#define WATCH_OUTAGE 15		/* while the resolver is away */
#define WATCH_LONGEST 60	/* seconds, since `allow` and `load` do not wake a watcher */

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
	json_string(&j, "instance", o->guard.instance);
	json_number(&j, "asked", (int64_t)report->asked);
	json_number(&j, "failed", (int64_t)report->failed);
	json_bool(&j, "changed", report->asked > report->failed);
	json_object_end(&j);
	json_end(&j);
}

/* A new uplink is guarded from now on. One that is gone needs nothing. What is inside depends on which there are. */
static int add_uplinks(struct guard *g, void *context, struct error *e)
{
	struct uplinks uplinks;
	int r = uplink_find(g->engine.settings.uplink, &uplinks, e);

	(void)context;
	if (!r)
		r = engine_add_uplinks(g->pins, &uplinks, e);
	return r ? r : inside_publish(&g->engine, g->config.local, g->config.local_count, e);
}

static int look_after_uplinks(struct guard *g, const struct cmd_options *o, struct error *e)
{
	struct error unkept = { "" };
	int r = *g->engine.settings.uplink[0] ? change_links(g, &o->guard, add_uplinks, NULL, &unkept, e) : 0;

	if (r || !*unkept.text)
		return r;
	*e = unkept;
	return -EIO;
}

struct refresh_options {
	struct cmd_options common;
	int stay, uplinks, now;
};

static int64_t next_due(const struct guard *g)
{
	int64_t now = time(NULL), next = now + WATCH_LONGEST;

	for (size_t i = 0; i < g->records.count; i++) {
		const struct record *r = &g->records.list[i];

		if (r->due < next)
			next = r->due;
		if (r->failures && resolve_was_silent(record_why(r)) && now + WATCH_OUTAGE < next)
			next = now + WATCH_OUTAGE;
	}
	return next;
}

/* One round. *ret_next is when the next name is due. */
static int round_once(const struct refresh_options *o, int64_t *ret_next)
{
	struct refresh_report report = { 0 };
	int64_t back;
	struct guard g;
	struct error e;
	int r = guard_open(&o->common.guard, &g, &e), r_uplinks;

	*ret_next = time(NULL) + WATCH_LONGEST;
	if (r)
		return cmd_open_failed(r, &e);
	going_back_if_due(&g, &o->common.guard, &back);
	if (!o->uplinks)
		r = refresh_round(&g, o->now, &report, &e);
	if (r)
		cmd_fail(&e);
	r_uplinks = look_after_uplinks(&g, &o->common, &e);
	if (r_uplinks)
		cmd_fail(&e);
	report_names(&o->common, &report);
	*ret_next = next_due(&g);
	if (back && back < *ret_next)
		*ret_next = back;
	guard_close(&g);
	if (r && !report.in_force)
		return CMD_FAILED;
	return r || r_uplinks || report.failed ? CMD_DEGRADED : CMD_OK;
}

/* Waits until that time, or until an interface or a route changes. False: time to end. */
static bool wait_for(int signals, int changes, int64_t next)
{
	struct pollfd fds[] = { { .fd = signals, .events = POLLIN }, { .fd = changes, .events = POLLIN } };
	int64_t seconds = next - time(NULL);

	poll(fds, 2, (int)(seconds < 1 ? 1 : seconds) * 1000);
	if (fds[1].revents)
		uplink_changes_drain(changes);
	return !fds[0].revents;
}

static int watch(const struct refresh_options *o)
{
	int signals, changes, r;
	int64_t next = 0;
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	signals = signalfd(-1, &stop, SFD_CLOEXEC);
	changes = uplink_changes_open();	/* before the first look, so that no later change is missed */
	if (signals < 0 || changes < 0) {
		error_warn("signalfd or netlink: %s", strerror(errno));
		return CMD_FAILED;
	}
	do {
		r = round_once(o, &next);
		fflush(stdout);
		if (r == CMD_NOT_LOADED)
			break;
	} while (wait_for(signals, changes, next));
	close(signals);
	close(changes);
	return r == CMD_NOT_LOADED ? r : CMD_OK;
}

int cmd_refresh(int argc, char **argv)
{
	struct refresh_options o = { 0 };
	int64_t next;
	struct poptOption options[] = {
		{ "now", 0, POPT_ARG_NONE, &o.now, 0, "Ask for every name, also what is not due yet", NULL },
		{ "watch", 0, POPT_ARG_NONE, &o.stay, 0,
		  "Stay: resolve on schedule, and guard an uplink when it appears", NULL },
		{ "uplinks", 0, POPT_ARG_NONE, &o.uplinks, 0,
		  "Only guard uplinks that have appeared; resolve nothing", NULL },
		POPT_TABLEEND
	};
	int r = cmd_parse(argc, argv, options, NULL, &o.common);

	if (r != CMD_GO_ON)
		return r;
	if (o.now && (o.stay || o.uplinks))
		return cmd_usage("--now asks once: it goes with neither --watch nor --uplinks");
	return o.stay ? watch(&o) : round_once(&o, &next);
}
