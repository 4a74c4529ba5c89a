/* SPDX-License-Identifier: MIT */
/* A change of what is allowed. A command says what changes. The order in which it is written is here alone, since it
 * decides what a process that is killed half way leaves behind: docs/architecture.md, "Killed at any moment". */
#ifndef OHGUARD_CHANGE_H
#define OHGUARD_CHANGE_H

#include "guard/guard.h"

/* One step, with the lock held and the state read. context is the command's own. */
typedef int (*change_step)(struct guard *g, int64_t now, void *context, struct error *e);

struct change {
	change_step edit;		/* changes the grants, in memory; NULL: they stay */
	change_step learn;		/* changes the records, in memory; NULL: they stay */
	change_step put_in_force;	/* NULL: the policy is published, and that is all */
	void *context;
	/* More is allowed than before. If a step fails, grants and maps are put back to what they were. A change that
	 * allows less stays as far as it came. */
	bool widens;
	bool in_force;			/* set: the kernel has it, or as much of it as a full map takes */
};

/* Reads the state, changes it in memory, and then writes the grants, the maps and the records, in this order. (What is
 * in force and not in the grants would be taken back by the next refresh.) Takes the lock if it is not held. */
int change_policy(struct guard *g, struct change *c, struct error *e);

/* Makes new links. If the guard is locked, nobody else gets hold of one before the lock keeps it. *ret_unkept says why
 * the new links are in force but not kept: "" if all is well. Takes the instance's lock if it is not held. */
int change_links(struct guard *g, const struct guard_options *options,
		 int (*change)(struct guard *g, void *context, struct error *e), void *context,
		 struct error *ret_unkept, struct error *e);

#endif
