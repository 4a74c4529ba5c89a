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
#include "base/version.h"
#include "commands/cmd.h"
#include "commands/top.h"
#include "engine/publish.h"
#include "guard/guard.h"

/* The maps that can become full. */
static const enum engine_map shown_maps[] = {
	ENGINE_ADDRESSES, ENGINE_LEARNED, ENGINE_OPENED, ENGINE_RANGES, ENGINE_NAMES, ENGINE_LOCAL,
	ENGINE_QUESTIONS };

struct stats {
	const char *instance;
	int64_t since;			/* 0: no policy was ever in force */
	bool observing;
	const char *mode;
	struct oh_count allowed, refused, observed;
	struct oh_count reasons[OH_REASON_MAX], observed_reasons[OH_REASON_MAX];
	uint64_t events_lost;
	struct stats_target {
		const struct target *target;
		uint32_t id;
		struct oh_use use;
	} *targets;
	size_t target_count;
	struct {
		enum engine_map map;
		uint64_t entries, max;
	} maps[sizeof(shown_maps) / sizeof(*shown_maps)];
	int64_t last, next_due;		/* of refresh; 0: none */
	int64_t succeeded;		/* the last lookup that did not fail, 0: none */
	size_t failures, names, addresses;
	bool healthy, locked;		/* for Prometheus alone: it takes a while to find out */
	struct top names_top, programs_top;
};

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
	for (size_t i = 0; !r && i < sizeof(s->maps) / sizeof(*s->maps); i++) {
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
	for (size_t i = 0; i < sizeof(s->maps) / sizeof(*s->maps); i++) {
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

static void text_count(const char *name, const struct oh_count *count)
{
	if (count->packets)
		printf("  %-26s %12llu packets %16llu bytes\n", name, (unsigned long long)count->packets,
		       (unsigned long long)count->bytes);
}

static void print_text(const struct stats *s)
{
	char text[OH_TARGET_TEXT_MAX], when[TEXT_TIME_MAX];

	printf("%s since %s%s\n", s->instance, s->since ? text_time(s->since, when) : "it was locked down",
	       s->observing ? ", observing: nothing is refused" : "");
	printf("allowed %llu packets, %llu bytes\n", (unsigned long long)s->allowed.packets,
	       (unsigned long long)s->allowed.bytes);
	for (unsigned int i = 1; i < OH_REASON_FIRST_REFUSAL; i++)
		text_count(reason_name(i), &s->reasons[i]);
	printf("refused %llu packets, %llu bytes\n", (unsigned long long)s->refused.packets,
	       (unsigned long long)s->refused.bytes);
	for (unsigned int i = OH_REASON_FIRST_REFUSAL; i < OH_REASON_MAX; i++)
		text_count(reason_name(i), &s->reasons[i]);
	if (s->observing || s->observed.packets)
		printf("observed %llu packets, %llu bytes\n", (unsigned long long)s->observed.packets,
		       (unsigned long long)s->observed.bytes);
	for (unsigned int i = OH_REASON_FIRST_REFUSAL; i < OH_REASON_MAX; i++)
		text_count(reason_name(i), &s->observed_reasons[i]);
	top_text("refused most in the last day", &s->names_top);
	top_text("by program", &s->programs_top);
	if (s->events_lost)
		printf("%llu events lost: the buffer was full and nobody read it\n",
		       (unsigned long long)s->events_lost);
	puts("targets");
	for (size_t i = 0; i < s->target_count; i++) {
		const struct oh_use *use = &s->targets[i].use;

		if (use->packets)
			printf("  %-26s %12llu packets %16llu bytes %8llu hits\n",
			       target_identity(s->targets[i].target, text), (unsigned long long)use->packets,
			       (unsigned long long)use->bytes, (unsigned long long)use->hits);
	}
	for (size_t i = 0; i < sizeof(s->maps) / sizeof(*s->maps); i++)
		printf("%s: %llu of %llu\n", engine_map_names[s->maps[i].map], (unsigned long long)s->maps[i].entries,
		       (unsigned long long)s->maps[i].max);
	printf("refresh: %zu names, %zu addresses, %zu failing", s->names, s->addresses, s->failures);
	if (s->last)
		printf(", last %s", text_time(s->last, when));
	if (s->next_due)
		printf(", next %s", text_time(s->next_due, when));
	putchar('\n');
}

static void prometheus_metric(const char *metric, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

/* A label can hold text from outside. The exposition format escapes it as JSON does. */
static void prometheus_target(const struct stats *s, const char *metric, const char *help, bool bytes)
{
	char text[OH_TARGET_TEXT_MAX];

	prometheus_metric(metric, "counter", help);
	for (size_t i = 0; i < s->target_count; i++) {
		printf("%s{instance=\"%s\",target=\"", metric, s->instance);
		text_print_json(stdout, target_identity(s->targets[i].target, text));
		printf("\"} %llu\n", (unsigned long long)(bytes ? s->targets[i].use.bytes : s->targets[i].use.packets));
	}
}

static void prometheus_reason(const struct stats *s, const char *metric, const char *verdict, unsigned int reason,
			      uint64_t value)
{
	printf("%s{instance=\"%s\",verdict=\"%s\",reason=\"%s\"} %llu\n", metric, s->instance, verdict,
	       reason_name(reason), (unsigned long long)value);
}

static void prometheus_reasons(const struct stats *s, const char *metric, const char *help, bool bytes)
{
	prometheus_metric(metric, "counter", help);
	for (unsigned int i = 1; i < OH_REASON_MAX; i++) {
		const char *verdict = i < OH_REASON_FIRST_REFUSAL ? "allowed" : "refused";

		if (!reason_name(i))
			continue;
		prometheus_reason(s, metric, verdict, i, bytes ? s->reasons[i].bytes : s->reasons[i].packets);
		if (s->observed_reasons[i].packets)
			prometheus_reason(s, metric, "observed", i, bytes ? s->observed_reasons[i].bytes :
									    s->observed_reasons[i].packets);
	}
}

static void prometheus_maps(const struct stats *s, const char *metric, const char *help, bool max)
{
	prometheus_metric(metric, "gauge", help);
	for (size_t i = 0; i < sizeof(s->maps) / sizeof(*s->maps); i++)
		printf("%s{instance=\"%s\",map=\"%s\"} %llu\n", metric, s->instance, engine_map_names[s->maps[i].map],
		       (unsigned long long)(max ? s->maps[i].max : s->maps[i].entries));
}

static void prometheus_one(const struct stats *s, const char *metric, const char *type, const char *help,
			   uint64_t value)
{
	prometheus_metric(metric, type, help);
	printf("%s{instance=\"%s\"} %llu\n", metric, s->instance, (unsigned long long)value);
}

static void prometheus_programs(const struct stats *s)
{
	if (!s->programs_top.count)
		return;
	prometheus_metric("ohguard_program_refusals", "gauge",
			  "Refusals in the last day, by program: the most frequent ones.");
	for (size_t i = 0; i < s->programs_top.count; i++) {
		printf("ohguard_program_refusals{instance=\"%s\",program=\"", s->instance);
		text_print_json(stdout, s->programs_top.list[i].text);
		printf("\"} %llu\n", (unsigned long long)s->programs_top.list[i].refused);
	}
}

static void print_down(const char *instance)
{
	const struct stats s = { .instance = instance };

	prometheus_one(&s, "ohguard_up", "gauge", "1: loaded.", 0);
}

static void print_prometheus(const struct stats *s)
{
	prometheus_one(s, "ohguard_up", "gauge", "1: loaded.", 1);
	prometheus_one(s, "ohguard_healthy", "gauge", "1: status finds no problem.", s->healthy);
	prometheus_one(s, "ohguard_locked", "gauge", "1: locked by BPF LSM.", s->locked);
	prometheus_metric("ohguard_build_info", "gauge", "Always 1.");
	printf("ohguard_build_info{instance=\"%s\",version=\"%s\"} 1\n", s->instance, OHGUARD_VERSION);
	prometheus_reasons(s, "ohguard_packets_total", "Packets and attempts, by verdict and reason.", false);
	prometheus_reasons(s, "ohguard_bytes_total", "Bytes of IP packets, by verdict and reason.", true);
	prometheus_target(s, "ohguard_target_packets_total", "Packets to an allowed target.", false);
	prometheus_target(s, "ohguard_target_bytes_total", "Bytes of IP packets to an allowed target.", true);
	prometheus_one(s, "ohguard_observing", "gauge", "1: nothing is refused (load --observe).", s->observing);
	prometheus_one(s, "ohguard_events_lost_total", "counter", "Events that found the buffer full.", s->events_lost);
	prometheus_maps(s, "ohguard_map_entries", "Entries in a map of the kernel.", false);
	prometheus_maps(s, "ohguard_map_max", "Entries that a map of the kernel has room for.", true);
	prometheus_one(s, "ohguard_refresh_failing", "gauge", "Lookups that fail now.", s->failures);
	prometheus_one(s, "ohguard_refresh_last_seconds", "gauge", "Time of the last query, in seconds since 1970.",
		       (uint64_t)s->last);
	prometheus_one(s, "ohguard_refresh_success_seconds", "gauge",
		       "Time of the last query that was answered, in seconds since 1970.", (uint64_t)s->succeeded);
	prometheus_programs(s);
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
	top_text("by program", &s->programs_top);
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
		print_prometheus(s);
	else
		print_down(instance);
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
