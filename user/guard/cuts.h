/* SPDX-License-Identifier: MIT */
/* The ssh sessions that a load would cut: it would also cut off whoever runs it. */
#ifndef OHGUARD_CUTS_H
#define OHGUARD_CUTS_H

#include "engine/engine.h"
#include "policy/policy.h"

struct cuts {
	/* what is to be in force, and where */
	const struct oh_settings *settings;
	const struct policy *policy;
	const char *cgroup;
	bool whole;			/* all of the machine's traffic is judged, not the cgroup's alone */
	const struct oh_settings *before;	/* of what is in force at the same place */
	/* found: */
	size_t count;
	char first[128];		/* "192.0.2.1 to port 22" */
};

/* Counts them: those that what is in force now lets pass, and what is to be would not. */
int cuts_find(struct cuts *c, const struct engine *engine, struct error *e);

#endif
