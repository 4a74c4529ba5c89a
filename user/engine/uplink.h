/* SPDX-License-Identifier: MIT */
/* The interfaces over which packets leave the machine: those that are named, or those of the default routes. */
#ifndef OHGUARD_UPLINK_H
#define OHGUARD_UPLINK_H

#include <ohguard/abi.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "policy/interface.h"

#define UPLINKS_MAX 32		/* named ones and those that "auto" finds */
struct uplink {
	char name[OH_INTERFACE_MAX];
	unsigned int index;
};

struct uplinks {
	struct uplink list[UPLINKS_MAX];
	size_t count;
	/* What was asked for and is not there now: UPLINK_AUTO where there is no default route. */
	uplink_names missing;
	char other[OH_INTERFACE_MAX];	/* a default route's interface that is not Ethernet, "": none */
};

/* Which of them there are now. Fails on a named one that is not an Ethernet interface. */
int uplink_find(const uplink_names wanted, struct uplinks *ret, struct error *e);
/* The interfaces of the default routes, IPv4 and IPv6. That they cannot be read is an error and not "none": an uplink
 * that is guarded would be given up for it. */
int uplink_default_routes(struct uplinks *ret, struct error *e);
/* A descriptor that is readable after interfaces or routes have changed, -1 with errno. What changed is not told:
 * look. */
int uplink_changes_open(void);
void uplink_changes_drain(int fd);
bool uplink_is_in(const struct uplinks *u, unsigned int index);

#endif
