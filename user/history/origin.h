/* SPDX-License-Identifier: MIT */
/* Makes a record of an event: finds out what the kernel did not say while the container and the interface live. */
#ifndef OHGUARD_HISTORY_ORIGIN_H
#define OHGUARD_HISTORY_ORIGIN_H

#include <limits.h>
#include <net/if.h>

#include "engine/container.h"
#include "engine/engine.h"
#include "history/record.h"

/* What the texts of the last record are in, and what the next event may be spared. All zero to begin with. */
struct history_origin {
	const struct engine *engine;
	uint64_t cgroup;	/* of the last event: to find its path takes longer than all else */
	char path[PATH_MAX];
	struct container container, by_address;
	char id[CONTAINER_SHORT + 1];
	char interface[IF_NAMESIZE];
	char command[OH_COMMAND_MAX + 1];
	char name[OH_EVENT_NAME_MAX + 1];
	char target[OH_TARGET_TEXT_MAX];
};

/* boot_at: CLOCK_REALTIME seconds of boot. The record counts the event once. */
void history_of_event(struct history_origin *origin, const struct oh_event *event, int64_t boot_at,
		      struct history_record *ret);

#endif
