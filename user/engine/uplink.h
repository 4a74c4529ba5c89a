/* SPDX-License-Identifier: MIT */
/* The interfaces by which frames leave the machine: those that are named, or all that there are. */
#ifndef OHGUARD_UPLINK_H
#define OHGUARD_UPLINK_H

#include <ohguard/abi.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "policy/interface.h"

#define UPLINKS_MAX 128		/* named ones and those that "auto" finds */
struct uplink {
	char name[OH_INTERFACE_MAX];
	unsigned int index;
	bool up;		/* of a way out: frames can leave by it now */
};

struct uplinks {
	struct uplink list[UPLINKS_MAX];
	size_t count;
	uplink_names missing;	/* wanted, but not there now: UPLINK_AUTO if there is no way out */
	char other[UPLINKS_MAX][OH_INTERFACE_MAX];	/* ways out that are not Ethernet, and cannot be guarded */
	size_t other_count;
};

/* Finds those that exist now. Fails if a named one is not an Ethernet interface. */
int uplink_find(const uplink_names wanted, struct uplinks *ret, struct error *e);
/* All that a frame can leave by: see interfaces.h. If they cannot be read, that is an error and not "none": else a
 * guarded uplink would be given up. */
int uplink_ways_out(struct uplinks *ret, struct error *e);
/* A descriptor that becomes readable when interfaces, routes or filters change, -1 with errno. It does not tell what
 * changed: look. */
int uplink_changes_open(void);
void uplink_changes_drain(int fd);
bool uplink_is_in(const struct uplinks *u, unsigned int index);

#endif
