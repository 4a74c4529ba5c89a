/* SPDX-License-Identifier: MIT */
/* What a guard lets pass, as lines for people: of what is in force, of what would be, and what differs. */
#ifndef OHGUARD_RULES_H
#define OHGUARD_RULES_H

#include "engine/engine.h"
#include "policy/policy.h"

/* Sorted, each line once. Free with rules_free(). */
struct rules {
	char **list;
	size_t count;
};

/* What the kernel holds: targets, inbound rules and settings. What it does not show as text (names that may only be
 * asked for, private ranges) is taken from the configuration in force, NULL: not known. */
int rules_in_force(const struct engine *engine, const char *cgroup, const struct config *in_force, struct rules *ret,
		   struct error *e);
/* What it would hold under this policy, with programs of these settings. */
int rules_of(const struct policy *policy, const struct oh_settings *settings, const char *cgroup,
	     const struct config *c, struct rules *ret, struct error *e);
void rules_free(struct rules *rules);

/* Calls tell() with each line of only one of the two: added, or else removed. Returns how many there are. */
size_t rules_compare(const struct rules *before, const struct rules *after,
		     void (*tell)(bool added, const char *line, void *context), void *context);

#endif
