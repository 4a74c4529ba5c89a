// SPDX-License-Identifier: MIT
/* ohguard events: the history of refusals. Reading takes nothing from it. Where nobody writes it, what the kernel's
 * buffer still holds comes after it. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cells.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/reason.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "engine/answerer.h"
#include "guard/guard.h"
#include "history/advice.h"
#include "history/buffer.h"
#include "history/follow.h"
#include "history/log.h"
#include "history/print.h"
#include "history/reader.h"
#include "history/summary.h"
#include "policy/address.h"
#include "policy/config_file.h"

#define SHOWN 20		/* groups of a summary on a terminal */
#define COLUMNS_BEFORE 48	/* cells of time, count and reason, each with what parts it from the next */

struct events {
	struct cmd_options common;
	struct history_filter filter;
	const char *since, *until, *reason;
	int follow, summary, verify, utc;
	size_t width;			/* of the terminal, 0: none */
	uint64_t line;			/* the last one that was printed */
	const struct policy *policy;	/* for the summary; empty: not known */
	struct history_summary sum;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* ---- one record ---- */

static void print_time(const struct events *o, int64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[32] = "";
	struct tm tm;

	if (o->utc ? gmtime_r(&t, &tm) : localtime_r(&t, &tm))
		strftime(text, sizeof(text), "%m-%d %H:%M:%S", &tm);
	cells_print(stdout, text, 14);
}

/* What `print` makes of a record, in a column. */
static void print_cell(const struct history_record *r, void (*print)(FILE *out, const struct history_record *record),
		       size_t width)
{
	char *text = history_text(print, r);

	if (text)
		cells_print(stdout, text, width);
	free(text);
}

static void print_row(const struct events *o, const struct history_record *r, int64_t when)
{
	/* what was wanted gets most of what the columns before it leave; one cell is between */
	size_t rest = o->width > COLUMNS_BEFORE + 22 ? o->width - COLUMNS_BEFORE - 1 : 21;
	size_t who = rest / 3 < 22 ? rest / 3 : 22;

	print_time(o, when);
	printf(" %6llu  %s", (unsigned long long)r->count, r->observed ? cells_yellow() : cells_red());
	print_cell(r, history_print_why, 24);
	printf("%s ", cells_plain());
	print_cell(r, history_print_what, rest - who > 60 ? 60 : rest - who);
	putchar(' ');
	print_cell(r, history_print_who, who);
	putchar('\n');
}

static int show(void *context, const struct history_record *r)
{
	struct events *o = context;

	if (r->line)
		o->line = r->line;
	if (o->common.json) {
		history_print_json(stdout, r);
	} else if (o->width) {
		print_row(o, r, r->first);
	} else {
		history_print_line(stdout, r);
		putchar('\n');
	}
	return ferror(stdout) || stopped;
}

static int add_up(void *context, const struct history_record *r)
{
	struct events *o = context;

	return history_add(&o->sum, r);
}

/* ---- the summary ---- */

static void print_group_json(const struct history_record *r, const char *to_type)
{
	char address[ADDRESS_TEXT_MAX], protocol[HISTORY_PROTOCOL_MAX], time[TEXT_TIME_MAX];
	struct json j;

	json_start(&j, stdout);
	json_object(&j, NULL);
	json_number(&j, "count", (int64_t)r->count);
	json_string(&j, "first", text_time(r->first, time));
	json_string(&j, "last", text_time(r->last, time));
	json_string(&j, "verdict", r->observed ? "observed" : "refused");
	json_string(&j, "reason", reason_name(r->reason));
	json_string(&j, "name", r->name);
	json_string(&j, "destination", history_address_is_set(&r->destination) && !r->name ?
		    address_format(&r->destination, address) : NULL);
	json_number(&j, "destination_port", r->name ? 0 : r->destination_port);
	json_string(&j, "protocol", history_protocol(r->protocol, protocol));
	json_string(&j, "target", r->target);
	json_string(&j, "command", r->command);
	json_string(&j, "cgroup", r->cgroup);
	json_string(&j, "container", r->container);
	json_string(&j, "container_name", r->container_name);
	json_bool(&j, "others", r->others);
	json_string(&j, "advice", to_type);
	json_object_end(&j);
	json_end(&j);
}

/* With the line to type, which is not cut: it is there to be pasted. */
static void print_group(const struct events *o, const struct history_record *r)
{
	char time[TEXT_TIME_MAX], line[ADVICE_MAX];
	bool known = !advice(r, o->policy, line, sizeof(line));

	if (o->common.json) {
		print_group_json(r, known ? line : NULL);
	} else if (o->width) {
		print_row(o, r, r->last);
		printf("%24s%s%s%s\n", "", known ? "" : "(", line, known ? "" : ")");
	} else {
		printf("%llu %s ", (unsigned long long)r->count, text_time(r->last, time));
		history_print_why(stdout, r);
		putchar(' ');
		history_print_what(stdout, r);
		fputs(" by ", stdout);
		history_print_who(stdout, r);
		printf(": %s%s%s\n", known ? "" : "(", line, known ? "" : ")");
	}
}

static void print_summary(struct events *o, struct guard *g)
{
	static const struct policy none;
	size_t shown = o->width && o->sum.count > SHOWN ? SHOWN : o->sum.count;
	struct error ignored;	/* whether a target is from the configuration matters to few lines */

	o->policy = g && !guard_look(g, time(NULL), &ignored) ? &g->policy : &none;
	history_rank(&o->sum);
	for (size_t i = 0; i < shown; i++)
		print_group(o, o->sum.group[i].record);
	if (shown < o->sum.count)
		printf("and %zu more: ohguard events --summary | less\n", o->sum.count - shown);
	if (o->sum.left_out)
		error_warn("%llu more attempts are of more kinds than can be told apart: ask for less by --since",
			   (unsigned long long)o->sum.left_out);
	if (!o->sum.count && o->width)
		puts("nothing was refused");
}

/* ---- where they come from ---- */

static int wait_for_more(struct events *o, struct guard *g, bool written, struct error *e)
{
	struct history_follow follow;
	struct history_buffer buffer = { .seen = clock_boot_ns() };
	bool other;
	int r = 0;

	history_follow_start(&follow, g->history, o->line);
	while (r >= 0 && !stopped && !ferror(stdout)) {
		fflush(stdout);
		usleep(300000);
		r = written ? history_follow(&follow, &o->filter, show, o) :
			      history_read_buffer(&g->engine, &buffer, &o->filter, show, o, e);
		if (!r)
			r = engine_renew(&g->engine, g->pins, ENGINE_EVENTS, &other, e);
		written = answerer_is_alive(&g->engine);
	}
	history_follow_end(&follow);
	return r < 0 ? r : 0;
}

/* g is NULL: nothing is loaded, and the history is all there is. */
static int read_all(struct events *o, const char *path, struct guard *g, struct error *e)
{
	history_visit visit = o->summary ? add_up : show;
	bool written = !g || answerer_is_alive(&g->engine);
	struct history_buffer buffer = { 0 };
	struct oh_count lost;
	int r = o->summary ? history_scan(path, &o->filter, visit, o, e) :
			     history_read(path, &o->filter, visit, o, e);

	if (r >= 0 && !written) {
		error_warn("nobody writes the history now (start ohguard-events.service): what the kernel's buffer "
			   "holds since is shown, and stays there");
		r = history_read_buffer(&g->engine, &buffer, &o->filter, visit, o, e);
	}
	if (r >= 0 && g && !engine_read_count(&g->engine, OH_COUNT_EVENTS_LOST, &lost, e) && lost.packets)
		error_warn("%llu events were lost since the load: the buffer was full and nobody read it",
			   (unsigned long long)lost.packets);
	if (r >= 0 && o->summary)
		print_summary(o, g);
	if (r >= 0 && o->follow && g)
		r = wait_for_more(o, g, written, e);
	history_summary_free(&o->sum);
	return r < 0 ? r : 0;
}

static int verify(const struct events *o, const char *path, const char *state, struct error *e)
{
	char mark[PATH_MAX + 96];
	struct history_verdict v;
	struct json j;
	int r;

	snprintf(mark, sizeof(mark), "%s/" GUARD_HISTORY_MARK, state);
	r = history_verify(path, mark, &v, e);
	if (r)
		return r;
	if (o->common.json) {
		json_start(&j, stdout);
		json_object(&j, NULL);
		json_bool(&j, "intact", !v.broken);
		json_number(&j, "lines", (int64_t)v.lines);
		json_number(&j, "first", (int64_t)v.first);
		json_number(&j, "torn", (int64_t)v.torn);
		json_string(&j, "problem", v.broken ? e->text : NULL);
		json_object_end(&j);
		json_end(&j);
	} else if (!v.broken) {
		printf("%llu lines from line %llu on, each with the hash of the one before\n",
		       (unsigned long long)v.lines, (unsigned long long)v.first);
	}
	if (v.torn)
		error_warn("%llu lines were torn by a crash and are left out", (unsigned long long)v.torn);
	return v.broken ? -EBADMSG : 0;
}

static int act(struct events *o, const char *path, const char *state, struct guard *g, struct error *e)
{
	return o->verify ? verify(o, path, state, e) : read_all(o, path, g, e);
}

/* Nothing is loaded: the history is where the configuration says. */
static int act_unloaded(struct events *o, struct error *e)
{
	struct error e_read = { "" };
	struct guard g = { 0 };
	int r = config_read(o->common.guard.config, &g.config, &e_read);

	if (r)
		return cmd_open_failed(-ENOENT, e);
	guard_set_paths(&g, o->common.guard.instance);
	config_free(&g.config);
	r = act(o, g.history, g.state, NULL, &e_read);
	if (r)
		return cmd_fail(&e_read);
	return o->verify ? CMD_OK : cmd_open_failed(-ENOENT, e);
}

static int read_options(struct events *o, int argc, char **argv)
{
	struct poptOption options[] = {
		{ "follow", 'f', POPT_ARG_NONE, &o->follow, 0, "Wait for more and print them as they come", NULL },
		{ "summary", 's', POPT_ARG_NONE, &o->summary, 0, "Add up what is the same, most frequent first", NULL },
		{ "since", 0, POPT_ARG_STRING, &o->since, 0, "Only from this time on: 2h (ago), 14:30, 2026-11-28",
		  "TIME" },
		{ "until", 0, POPT_ARG_STRING, &o->until, 0, "Only up to this time", "TIME" },
		{ "container", 0, POPT_ARG_STRING, &o->filter.container, 0, "Only of this container, by name or id",
		  "CONTAINER" },
		{ "command", 0, POPT_ARG_STRING, &o->filter.command, 0, "Only of programs of this name", "PATTERN" },
		{ "reason", 0, POPT_ARG_STRING, &o->reason, 0, "Only what was refused for this reason", "REASON" },
		{ "utc", 0, POPT_ARG_NONE, &o->utc, 0, "Print times in UTC, on a terminal too", NULL },
		{ "verify", 0, POPT_ARG_NONE, &o->verify, 0, "Check whether the history was changed or cut", NULL },
		POPT_TABLEEND
	};
	int64_t now = (int64_t)time(NULL);
	struct error e;
	int r = cmd_parse(argc, argv, options, "[PATTERN]", &o->common);

	if (r != CMD_GO_ON)
		return r;
	if (o->common.argc > 1)
		return cmd_usage("%s: one pattern at most, of the name or address that was wanted", o->common.argv[1]);
	if (o->common.argc)
		o->filter.wanted = o->common.argv[0];
	if (o->follow && o->summary)
		return cmd_usage("--summary adds up what is there: it cannot --follow");
	if ((o->since && history_parse_time(o->since, now, &o->filter.since, &e)) ||
	    (o->until && history_parse_time(o->until, now, &o->filter.until, &e)) ||
	    (o->reason && history_parse_reason(o->reason, &o->filter.reason, &e)))
		return cmd_usage("%s", e.text);
	o->width = o->common.json ? 0 : cells_terminal();
	return CMD_GO_ON;
}

int cmd_events(int argc, char **argv)
{
	struct events o = { 0 };
	struct guard g;
	struct error e;
	int r = read_options(&o, argc, argv);

	if (r != CMD_GO_ON)
		return r;
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	r = guard_open(&o.common.guard, &g, &e);
	if (r == -ENOENT)
		return act_unloaded(&o, &e);
	if (r)
		return cmd_open_failed(r, &e);
	r = act(&o, g.history, g.state, &g, &e);
	guard_close(&g);
	return r ? cmd_open_failed(r, &e) : CMD_OK;
}
