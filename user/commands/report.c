// SPDX-License-Identifier: MIT
/* ohguard report: one page to look at, from the history and what is in force. Nothing in it comes from elsewhere. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/reason.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "commands/html.h"
#include "engine/publish.h"
#include "guard/guard.h"
#include "history/print.h"
#include "history/reader.h"
#include "history/summary.h"

#define COLUMNS 48
#define SHOWN 15	/* bars of a list */
#define DAY 86400
#define PAGE_TIME_MAX 40

struct report {
	struct cmd_options common;
	const char *since_text;
	int64_t since, now;
	uint64_t refused, observed, over_time[COLUMNS];
	uint64_t reasons[OH_REASON_MAX];
	struct history_summary names, programs, containers, all;
	bool healthy;
	struct target_row {
		const struct target *target;
		struct oh_use use;
		int64_t lapses;
	} *targets;
	size_t target_count;
};

static int64_t column_seconds(const struct report *o)
{
	int64_t span = o->now - o->since;

	return span < COLUMNS ? 1 : (span + COLUMNS - 1) / COLUMNS;
}

/* A record that keeps only what it is to be added up by. */
static int add_by(struct history_summary *sum, const struct history_record *r, struct history_record what)
{
	what.first = r->first;
	what.last = r->last;
	what.count = r->count;
	return history_add(sum, &what);
}

static int add(void *context, const struct history_record *r)
{
	struct report *o = context;
	int64_t column = (r->last - o->since) / column_seconds(o);
	struct history_record what = *r;
	int e = history_add(&o->all, r);

	if (column >= 0)
		o->over_time[column < COLUMNS ? column : COLUMNS - 1] += r->count;
	*(r->observed ? &o->observed : &o->refused) += r->count;
	o->reasons[r->reason & (OH_REASON_MAX - 1)] += r->count;
	what.command = what.cgroup = what.container = what.container_name = NULL;
	what.reason = what.observed = 0;
	if (!e)
		e = add_by(&o->names, r, what);
	if (!e)
		e = add_by(&o->programs, r, (struct history_record){ .command = r->command, .others = r->others });
	if (!e && r->container)
		e = add_by(&o->containers, r, (struct history_record){
			   .container = r->container, .container_name = r->container_name });
	return e;
}

/* ---- what is in force ---- */

static int read_targets(struct report *o, struct guard *g, struct error *e)
{
	int r = guard_look(g, o->now, e);

	if (!r)
		r = publish_read_ids(&g->policy, &g->engine, e);
	o->targets = r ? NULL : calloc(g->policy.count + 1, sizeof(*o->targets));
	if (!r && !o->targets)
		r = error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; !r && i < g->policy.count; i++) {
		const struct policy_target *t = &g->policy.list[i];

		if (!t->id)
			continue;
		o->targets[o->target_count].target = t->target;
		o->targets[o->target_count].lapses = t->lapses;
		r = engine_read_use(&g->engine, t->id, &o->targets[o->target_count++].use, e);
	}
	return r;
}

/* ---- the page ---- */

static const char *page_time(int64_t seconds, char buffer[PAGE_TIME_MAX])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(buffer, PAGE_TIME_MAX, "%Y-%m-%d %H:%M UTC", &tm))
		*buffer = '\0';
	return buffer;
}

static void print_container(FILE *out, const struct history_record *r)
{
	text_print(out, r->container_name ? r->container_name : r->container);
}

static void print_bars(FILE *out, const char *title, struct history_summary *sum,
		       void (*print)(FILE *out, const struct history_record *record))
{
	history_rank(sum);
	if (!sum->count)
		return;
	html_bars_begin(out, title);
	for (size_t i = 0; i < sum->count && i < SHOWN; i++) {
		char *text = history_text(print, sum->group[i].record);

		if (!text)
			break;
		html_bar(out, text, sum->group[i].record->count, sum->group[0].record->count);
		free(text);
	}
	html_bars_end(out);
}

/* The most frequent first, as in the other lists. */
static void print_reasons(FILE *out, const struct report *o)
{
	uint64_t most = 0, below = UINT64_MAX;

	do {	/* those that are as frequent as each other stand in the order of their numbers */
		uint64_t next = 0;

		for (unsigned int i = 0; i < OH_REASON_MAX; i++) {
			if (reason_name(i) && o->reasons[i] < below && o->reasons[i] > next)
				next = o->reasons[i];
		}
		if (next && !most)
			html_bars_begin(out, "By reason");
		most = most ? most : next;
		for (unsigned int i = 0; next && i < OH_REASON_MAX; i++) {
			if (reason_name(i) && o->reasons[i] == next)
				html_bar(out, reason_name(i), next, most);
		}
		below = next;
	} while (below);
	if (most)
		html_bars_end(out);
}

static void print_latest(FILE *out, struct report *o)
{
	static void (*const cells[])(FILE *out, const struct history_record *record) = {
		history_print_what, history_print_who, history_print_why };
	char time[PAGE_TIME_MAX];

	history_rank(&o->all);
	if (!o->all.count)
		return;
	fputs("<section class=\"wide\"><h2>What was refused</h2><table><tr><th>What</th><th>Who</th><th>Why</th>"
	      "<th class=\"n\">Times</th><th class=\"n late\">Last</th></tr>\n", out);
	for (size_t i = 0; i < o->all.count && i < 2 * SHOWN; i++) {
		const struct history_record *r = o->all.group[i].record;

		fputs("<tr>", out);
		for (size_t n = 0; n < sizeof(cells) / sizeof(*cells); n++) {
			char *text = history_text(cells[n], r);

			fputs("<td>", out);
			if (text)
				html_text(out, text);
			fputs("</td>", out);
			free(text);
		}
		fprintf(out, "<td class=\"n\">%llu</td><td class=\"n late\">%s</td></tr>\n",
			(unsigned long long)r->count, page_time(r->last, time));
	}
	fputs("</table></section>\n", out);
}

static void print_targets(FILE *out, const struct report *o)
{
	char text[OH_TARGET_TEXT_MAX], left[16];

	fputs("<section class=\"wide\"><h2>The allowlist</h2><table><tr><th>Target</th><th class=\"n\">Connections</th>"
	      "<th class=\"n\">Bytes</th><th class=\"n\">Lapses</th></tr>\n", out);
	for (size_t i = 0; i < o->target_count; i++) {
		const struct target_row *t = &o->targets[i];

		fputs("<tr><td>", out);
		html_text(out, target_identity(t->target, text));
		if (t->use.hits)
			fprintf(out, "</td><td class=\"n\">%llu</td>", (unsigned long long)t->use.hits);
		else
			fputs("</td><td class=\"n soft\">never used</td>", out);
		fprintf(out, "<td class=\"n\">%llu</td><td class=\"n\">", (unsigned long long)t->use.bytes);
		if (t->lapses)
			fprintf(out, "in %s", text_seconds((uint64_t)(t->lapses > o->now ? t->lapses - o->now : 0),
							   left, sizeof(left)));
		fputs("</td></tr>\n", out);
	}
	fputs("</table></section>\n", out);
}

static void print_page(FILE *out, struct report *o)
{
	char title[64], from[PAGE_TIME_MAX], to[PAGE_TIME_MAX];

	snprintf(title, sizeof(title), "ohguard: %s", o->common.guard.instance);
	page_time(o->since, from);
	page_time(o->now, to);
	html_begin(out, title);
	fputs("<header><h1>", out);
	html_text(out, title);
	fprintf(out, "</h1><p class=\"soft\">%s to %s</p><p>%llu refused", from, to, (unsigned long long)o->refused);
	if (o->observed)
		fprintf(out, ", %llu observed", (unsigned long long)o->observed);
	fprintf(out, ". <span class=\"%s\">%s</span></p></header>\n", o->healthy ? "good" : "bad",
		o->healthy ? "Loaded and healthy." : "Degraded: ohguard status says why.");
	fputs("<section class=\"wide\"><h2>Refusals over time</h2>\n", out);
	html_columns(out, o->over_time, COLUMNS, from, to);
	fputs("</section>\n", out);
	print_bars(out, "By name or address", &o->names, history_print_what);
	print_bars(out, "By program", &o->programs, history_print_who);
	print_bars(out, "By container", &o->containers, print_container);
	print_reasons(out, o);
	print_latest(out, o);
	print_targets(out, o);
	html_end(out);
}

/* A history of an hour fills the page, and not its last column alone. */
static int begin(void *context, const struct history_record *r)
{
	struct report *o = context;

	o->since = r->first > o->since && r->first < o->now ? r->first : o->since;
	return 1;
}

static int gather(struct report *o, struct guard *g, struct error *e)
{
	struct history_filter filter = { .since = o->since };
	int r = o->since_text ? 0 : history_scan(g->history, &filter, begin, o, e);

	if (r >= 0)
		r = history_scan(g->history, &filter, add, o, e);

	if (r == -ENOMEM)
		return error_set(e, ENOMEM, "out of memory");
	if (r)
		return r;
	o->healthy = cmd_is_healthy(g);	/* first, since it reads the policy anew, into which the targets point */
	return read_targets(o, g, e);
}

static int write_page(struct report *o, const char *path, struct error *e)
{
	struct file_out out;
	int r = file_begin(&out, path, 0600, e);

	if (r)
		return r;
	print_page(out.stream, o);
	return file_commit(&out, e);
}

static void free_report(struct report *o)
{
	history_summary_free(&o->names);
	history_summary_free(&o->programs);
	history_summary_free(&o->containers);
	history_summary_free(&o->all);
	free(o->targets);
}

int cmd_report(int argc, char **argv)
{
	struct report o = { .now = (int64_t)time(NULL) };
	struct poptOption options[] = {
		{ "since", 0, POPT_ARG_STRING, &o.since_text, 0, "From this time on (default: 7d ago)", "TIME" },
		POPT_TABLEEND
	};
	struct guard g;
	struct error e;
	int r = cmd_parse(argc, argv, options, "FILE.html", &o.common);

	if (r != CMD_GO_ON)
		return r;
	if (o.common.argc != 1)
		return cmd_usage("which file is the page to be? for example: ohguard report /root/report.html");
	o.since = o.now - 7 * DAY;
	if (o.since_text && history_parse_time(o.since_text, o.now, &o.since, &e))
		return cmd_usage("%s", e.text);
	r = guard_open(&o.common.guard, &g, &e);
	if (r)
		return cmd_open_failed(r, &e);
	r = gather(&o, &g, &e);
	if (!r)
		r = write_page(&o, o.common.argv[0], &e);
	free_report(&o);
	guard_close(&g);
	if (r)
		return cmd_fail(&e);
	printf("%s written\n", o.common.argv[0]);
	return CMD_OK;
}
