/* SPDX-License-Identifier: MIT */
/* Every number of a guard, read once. */
#ifndef OHGUARD_STATS_H
#define OHGUARD_STATS_H

#include "commands/top.h"
#include "engine/publish.h"
#include "guard/guard.h"

#define STATS_MAPS 7

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
	} maps[STATS_MAPS];
	int64_t last, next_due;		/* of refresh; 0: none */
	int64_t succeeded;		/* the last lookup that did not fail, 0: none */
	size_t failures, names, addresses;
	bool healthy, locked;		/* for Prometheus alone: it takes a while to find out */
	struct top names_top, programs_top;
};

/* In Prometheus's text format. */
void stats_prometheus(const struct stats *stats);
/* For an instance that is not loaded. */
void stats_prometheus_down(const char *instance);

#endif
