// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "base/reason.h"
#include "base/text.h"
#include "base/version.h"
#include "commands/stats.h"

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
	for (size_t i = 0; i < STATS_MAPS; i++)
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

void stats_prometheus_down(const char *instance)
{
	const struct stats s = { .instance = instance };

	prometheus_one(&s, "ohguard_up", "gauge", "1: loaded.", 0);
}

void stats_prometheus(const struct stats *s)
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
