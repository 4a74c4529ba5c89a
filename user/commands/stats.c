// SPDX-License-Identifier: MIT
/* ohguard stats: counters, read once into one record and printed as text, JSON or Prometheus. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/reason.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "commands/stats.h"
#include "engine/publish.h"
#include "guard/guard.h"

/* The maps that can become full. */
static const enum engine_map shown_maps[STATS_MAPS] = {
	ENGINE_ADDRESSES, ENGINE_LEARNED, ENGINE_OPENED, ENGINE_RANGES, ENGINE_NAMES, ENGINE_LOCAL,
	ENGINE_QUESTIONS };

static void add(struct oh_count *to, const struct oh_count *count)
{
	to->packets += count->packets;
	to->bytes += count->bytes;
}

static int read_counts(const struct engine *engine, struct stats *s, struct error *e)
{
	struct oh_count lost;
	int r = engine_read_count(engine, OH_COUNT_EVENTS_LOST, &lost, e);

	for (uint32_t i = 1; !r && i < OH_REASON_MAX; i++) {
		if (!reason_name(i))
			continue;
		r = engine_read_count(engine, i, &s->reasons[i], e);
		if (!r && i >= OH_REASON_FIRST_REFUSAL)
			r = engine_read_count(engine, OH_COUNT_OBSERVED + i, &s->observed_reasons[i], e);
		if (r)
			continue;
		add(i < OH_REASON_FIRST_REFUSAL ? &s->allowed : &s->refused, &s->reasons[i]);
		add(&s->observed, &s->observed_reasons[i]);
	}
	if (!r)
		s->events_lost = lost.packets;
	return r;
}

static int read_targets(const struct guard *g, struct stats *s, struct error *e)
{
	int r = 0;

	s->targets = calloc(g->policy.count ? g->policy.count : 1, sizeof(*s->targets));
	if (!s->targets)
		return error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; !r && i < g->policy.count; i++) {
		const struct policy_target *t = &g->policy.list[i];

		if (!t->id)
			continue;
		s->targets[s->target_count].target = t->target;
		s->targets[s->target_count].id = t->id;
		r = engine_read_use(&g->engine, t->id, &s->targets[s->target_count++].use, e);
	}
	return r;
}

static void read_refresh(const struct guard *g, struct stats *s)
{
	for (size_t i = 0; i < g->records.count; i++) {
		const struct record *r = &g->records.list[i];

		if (r->tried > s->last)
			s->last = r->tried;
		if (!r->failures && r->tried > s->succeeded)
			s->succeeded = r->tried;
		if (!s->next_due || r->due < s->next_due)
			s->next_due = r->due;
		s->failures += r->failures > 0;
		s->addresses += r->count;
	}
	s->names = g->records.count / 2;
}

static int read_stats(struct guard *g, struct stats *s, struct error *e)
{
	struct oh_control control;
	int r = guard_look(g, time(NULL), e);

	if (!r)
		r = publish_read_ids(&g->policy, &g->engine, e);
	if (!r)
		r = read_counts(&g->engine, s, e);
	if (!r)
		r = read_targets(g, s, e);
	for (size_t i = 0; !r && i < STATS_MAPS; i++) {
		s->maps[i].map = shown_maps[i];
		r = engine_map_fill(&g->engine, shown_maps[i], &s->maps[i].entries, &s->maps[i].max, e);
	}
	if (!r)
		r = engine_read_control(&g->engine, &control, e);
	if (r)
		return r;
	s->observing = g->engine.settings.observe;
	s->mode = engine_mode(&g->engine.settings);
	s->since = control.since ? clock_boot_at() + control.since : 0;
	read_refresh(g, s);
	return 0;
}

/* From the history: a file that may be large. */
static int read_top(const struct guard *g, struct stats *s, struct error *e)
{
	return top_read(g->history, time(NULL) - TOP_SECONDS, &s->names_top, &s->programs_top, e);
}

static void free_stats(struct stats *s)
{
	top_free(&s->names_top);
	top_free(&s->programs_top);
	free(s->targets);
	s->targets = NULL;
}

static void json_count(struct json *j, const char *key, const struct oh_count *count)
{
	json_object(j, key);
	json_number(j, "packets", (int64_t)count->packets);
	json_number(j, "bytes", (int64_t)count->bytes);
	json_object_end(j);
}

static void json_time(struct json *j, const char *key, int64_t seconds)
{
	char text[TEXT_TIME_MAX];

	json_string(j, key, seconds ? text_time(seconds, text) : NULL);
}

static void json_reasons(struct json *j, const char *key, const struct oh_count *counts, unsigned int from,
			 unsigned int to)
{
	json_object(j, key);
	for (unsigned int i = from; i < to; i++) {
		if (reason_name(i))
			json_count(j, reason_name(i), &counts[i]);
	}
	json_object_end(j);
}

static void print_json(const struct stats *s)
{
	char text[OH_TARGET_TEXT_MAX];
	struct json j;

	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", s->instance);
	json_time(&j, "since", s->since);
	json_string(&j, "mode", s->mode);
	json_object(&j, "verdicts");
	json_count(&j, "allowed", &s->allowed);
	json_count(&j, "refused", &s->refused);
	json_count(&j, "observed", &s->observed);
	json_object_end(&j);
	json_reasons(&j, "rules", s->reasons, 1, OH_REASON_FIRST_REFUSAL);
	json_reasons(&j, "reasons", s->reasons, OH_REASON_FIRST_REFUSAL, OH_REASON_MAX);
	json_reasons(&j, "observed", s->observed_reasons, OH_REASON_FIRST_REFUSAL, OH_REASON_MAX);
	json_number(&j, "events_lost", (int64_t)s->events_lost);
	json_array(&j, "targets");
	for (size_t i = 0; i < s->target_count; i++) {
		json_object(&j, NULL);
		json_string(&j, "target", target_format(s->targets[i].target, text));
		json_number(&j, "port", s->targets[i].target->port);
		json_number(&j, "last_port", s->targets[i].target->port + s->targets[i].target->more);
		json_string(&j, "service", target_service_name(s->targets[i].target->service));
		json_number(&j, "packets", (int64_t)s->targets[i].use.packets);
		json_number(&j, "bytes", (int64_t)s->targets[i].use.bytes);
		json_number(&j, "hits", (int64_t)s->targets[i].use.hits);
		json_object_end(&j);
	}
	json_array_end(&j);
	top_json(&j, "top_refused", &s->names_top);
	top_json(&j, "top_programs", &s->programs_top);
	json_array(&j, "maps");
	for (size_t i = 0; i < STATS_MAPS; i++) {
		json_object(&j, NULL);
		json_string(&j, "name", engine_map_names[s->maps[i].map]);
		json_number(&j, "entries", (int64_t)s->maps[i].entries);
		json_number(&j, "max", (int64_t)s->maps[i].max);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object(&j, "refresh");
	json_time(&j, "last", s->last);
	json_time(&j, "next_due", s->next_due);
	json_number(&j, "failures", (int64_t)s->failures);
	json_number(&j, "names", (int64_t)s->names);
	json_number(&j, "addresses", (int64_t)s->addresses);
	json_object_end(&j);
	json_object_end(&j);
	json_end(&j);
}

/* So that numbers stand below each other, whatever the targets' names. */
static int widest(const struct stats *s)
{
	char text[OH_TARGET_TEXT_MAX];
	int width = 26;

	for (size_t i = 0; i < s->target_count; i++) {
		int length = s->targets[i].use.packets ? (int)strlen(target_identity(s->targets[i].target, text)) : 0;

		if (length > width)
			width = length;
	}
	return width;
}

static void text_count(int width, const char *name, uint64_t packets, uint64_t bytes)
{
	printf("%-*s %12llu %18llu", width, name, (unsigned long long)packets, (unsigned long long)bytes);
}

static void text_counts(int width, const char *verdict, const struct oh_count *sum, const struct oh_count *counts,
			unsigned int from, unsigned int to)
{
	text_count(width + 2, verdict, sum->packets, sum->bytes);
	putchar('\n');
	for (unsigned int i = from; i < to; i++) {
		if (!counts[i].packets)
			continue;
		fputs("  ", stdout);
		text_count(width, reason_name(i), counts[i].packets, counts[i].bytes);
		putchar('\n');
	}
}

static void text_targets(int width, const struct stats *s)
{
	char text[OH_TARGET_TEXT_MAX];

	printf("%-*s %12s %18s %10s\n", width + 2, "by target", "packets", "bytes", "hits");
	for (size_t i = 0; i < s->target_count; i++) {
		const struct oh_use *use = &s->targets[i].use;

		if (!use->packets)
			continue;
		fputs("  ", stdout);
		text_count(width, target_identity(s->targets[i].target, text), use->packets, use->bytes);
		printf(" %10llu\n", (unsigned long long)use->hits);
	}
}

static void text_maps(int width, const struct stats *s)
{
	printf("%-*s %12s %18s\n", width + 2, "maps of the kernel", "entries", "room");
	for (size_t i = 0; i < STATS_MAPS; i++)
		printf("  %-*s %12llu %18llu\n", width, engine_map_names[s->maps[i].map],
		       (unsigned long long)s->maps[i].entries, (unsigned long long)s->maps[i].max);
}

static void print_text(const struct stats *s)
{
	char when[TEXT_TIME_MAX];
	int width = widest(s);

	printf("%s since %s%s\n", s->instance, s->since ? text_time(s->since, when) : "it was locked down",
	       s->observing ? ", observing: nothing is refused" : "");
	printf("%-*s %12s %18s\n", width + 2, "by reason", "packets", "bytes");
	text_counts(width, "allowed", &s->allowed, s->reasons, 1, OH_REASON_FIRST_REFUSAL);
	text_counts(width, "refused", &s->refused, s->reasons, OH_REASON_FIRST_REFUSAL, OH_REASON_MAX);
	if (s->observing || s->observed.packets)
		text_counts(width, "observed", &s->observed, s->observed_reasons, OH_REASON_FIRST_REFUSAL,
			    OH_REASON_MAX);
	text_targets(width, s);
	top_text("refused most in the last day", &s->names_top);
	top_text("refused most in the last day, by program", &s->programs_top);
	if (s->events_lost)
		printf("%llu event%s lost: the buffer was full and nobody read it\n",
		       (unsigned long long)s->events_lost, TEXT_PLURAL(s->events_lost));
	text_maps(width, s);
	printf("refresh: %zu name%s, %zu address%s, %zu failing", s->names, TEXT_PLURAL(s->names), s->addresses,
	       s->addresses == 1 ? "" : "es", s->failures);
	if (s->last)
		printf(", last %s", text_time(s->last, when));
	if (s->next_due)
		printf(", next %s", text_time(s->next_due, when));
	putchar('\n');
}

/* ---- rates ---- */

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static void print_rate(const char *name, const struct oh_count *now, const struct oh_count *before, double seconds)
{
	double packets = (double)(now->packets - before->packets) / seconds;
	double bytes = (double)(now->bytes - before->bytes) / seconds;

	if (packets > 0)
		printf("  %-26s %10.1f packets/s %14.0f bytes/s\n", name, packets, bytes);
}

static void print_rates(const struct stats *s, const struct stats *before, double seconds)
{
	char when[TEXT_TIME_MAX], text[OH_TARGET_TEXT_MAX];

	printf("%s at %s\n", s->instance, text_time(time(NULL), when));
	print_rate("allowed", &s->allowed, &before->allowed, seconds);
	print_rate("refused", &s->refused, &before->refused, seconds);
	print_rate("observed", &s->observed, &before->observed, seconds);
	for (unsigned int i = OH_REASON_FIRST_REFUSAL; i < OH_REASON_MAX; i++)
		print_rate(reason_name(i) ? reason_name(i) : "?", &s->reasons[i], &before->reasons[i], seconds);
	for (size_t i = 0; i < s->target_count; i++) {
		const struct oh_use *use = &s->targets[i].use, *old = NULL;

		for (size_t n = 0; !old && n < before->target_count; n++) {
			if (before->targets[n].id == s->targets[i].id)
				old = &before->targets[n].use;
		}
		if (old && use->packets > old->packets)
			print_rate(target_identity(s->targets[i].target, text),
				   &(struct oh_count){ use->packets, use->bytes },
				   &(struct oh_count){ old->packets, old->bytes }, seconds);
	}
	top_text("refused most in the last day", &s->names_top);
	top_text("refused most in the last day, by program", &s->programs_top);
}

/* The policy is built anew for each reading: targets of the one before are known by their ids alone. */
static int watch(struct guard *g, const char *instance, struct error *e)
{
	struct stats before = { 0 }, s;
	int64_t since = 0, now;
	int r = 0;

	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	while (!r && !stopped && !ferror(stdout)) {
		s = (struct stats){ .instance = instance };
		r = read_stats(g, &s, e);
		now = clock_monotonic_ms();
		if (!r && since)
			r = read_top(g, &s, e);
		if (!r && since) {
			if (isatty(STDOUT_FILENO))
				fputs("\x1b[H\x1b[J", stdout);
			print_rates(&s, &before, (double)(now - since) / 1000);
			fflush(stdout);
		}
		free_stats(&before);
		before = s;
		since = now;
		if (!stopped)
			sleep(2);
	}
	free_stats(&before);
	return r;
}

/* node_exporter reads the file at any time: it is replaced whole. */
static int write_prometheus(const struct stats *s, const char *instance, const char *path, struct error *e)
{
	FILE *screen = stdout;
	struct file_out out;
	int r = path ? file_begin(&out, path, 0644, e) : 0;

	if (r)
		return r;
	if (path)	/* glibc's is a variable (stdio(3)) */
		stdout = out.stream;
	if (s)
		stats_prometheus(s);
	else
		stats_prometheus_down(instance);
	stdout = screen;
	return path ? file_commit(&out, e) : 0;
}

struct options {
	struct cmd_options common;
	int prometheus, watch;
	const char *output;
};

static int read_options(struct options *o, int argc, char **argv)
{
	struct poptOption options[] = {
		{ "prometheus", 0, POPT_ARG_NONE, &o->prometheus, 0, "Print in Prometheus's text format", NULL },
		{ "output", 0, POPT_ARG_STRING, &o->output, 0, "With --prometheus: replace this file", "FILE" },
		{ "watch", 'w', POPT_ARG_NONE, &o->watch, 0, "Stay, and print rates every two seconds", NULL },
		POPT_TABLEEND
	};
	int r = cmd_parse(argc, argv, options, NULL, &o->common);

	if (r != CMD_GO_ON)
		return r;
	if (o->prometheus + o->common.json + o->watch > 1)
		return cmd_usage("--json, --prometheus and --watch: give only one of them");
	if (o->output && !o->prometheus)
		return cmd_usage("--output %s: what is written there is of --prometheus", o->output);
	return CMD_GO_ON;
}

static int print_once(struct guard *g, const struct options *o, struct error *e)
{
	struct stats s = { .instance = o->common.guard.instance };
	int r;

	if (o->prometheus)	/* first, since it reads the policy anew, into which the targets of `s` point */
		s.healthy = cmd_is_healthy(g);
	r = read_stats(g, &s, e);
	if (!r)
		r = read_top(g, &s, e);
	if (!r && o->prometheus) {
		s.locked = g->locked;
		r = write_prometheus(&s, s.instance, o->output, e);
	} else if (!r && o->common.json) {
		print_json(&s);
	} else if (!r) {
		print_text(&s);
	}
	free_stats(&s);
	return r;
}

int cmd_stats(int argc, char **argv)
{
	struct options o = { 0 };
	struct guard g;
	struct error e;
	int r = read_options(&o, argc, argv);

	if (r != CMD_GO_ON)
		return r;
	r = guard_open(&o.common.guard, &g, &e);
	if (r == -ENOENT && o.prometheus)	/* what collects the numbers must learn that, too */
		return write_prometheus(NULL, o.common.guard.instance, o.output, &e) ? cmd_fail(&e) : CMD_OK;
	if (r)
		return cmd_open_failed(r, &e);
	r = o.watch ? watch(&g, o.common.guard.instance, &e) : print_once(&g, &o, &e);
	guard_close(&g);
	return r ? cmd_fail(&e) : CMD_OK;
}
