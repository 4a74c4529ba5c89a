/* SPDX-License-Identifier: MIT */
/* Tries from inside a guarded cgroup what `verify` wants to know. */
#ifndef OHGUARD_PROBE_H
#define OHGUARD_PROBE_H

#include "policy/check.h"
#include "policy/policy.h"

#define PROBE_ADDRESSES_MAX 4

struct probe {
	struct check check;
	/* of a name, as DNS says outside of the guard: they are tried even if the name does not resolve inside */
	struct oh_address known[PROBE_ADDRESSES_MAX];
	size_t known_count;
	/* filled in: */
	bool works;
	int milliseconds;
	char said[64];		/* what came of it: "answered", "refused (EPERM)" */
};

/* Fills in what DNS says here. */
void probe_resolve(struct probe *p, const struct config *c);
/* Runs them one after the other in a process of its own, in a cgroup of its own below this one. */
int probe_run(struct probe *probes, size_t count, const char *cgroup, const struct policy *policy,
	      const struct config *c, struct error *e);

#endif
