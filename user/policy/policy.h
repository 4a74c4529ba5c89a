/* SPDX-License-Identifier: MIT */
/* The policy: all targets of configuration and grants. */
#ifndef OHGUARD_POLICY_H
#define OHGUARD_POLICY_H

#include "policy/config.h"
#include "policy/grants.h"

enum policy_source { POLICY_CONFIG, POLICY_RUNTIME, POLICY_GRANT };	/* POLICY_GRANT lapses */

struct policy_target {
	const struct target *target;	/* in the configuration or in the grants */
	enum policy_source source;
	int64_t lapses;			/* seconds of CLOCK_REALTIME, 0: does not */
	uint32_t id, generation;	/* in the kernel; 0: not there yet */
};

/* Names that may be asked for without being allowed: see [dns] name. */
struct policy_asks {
	const struct target *list;
	size_t count;
};

/* Ordered by target_compare(), each target once. */
struct policy {
	struct policy_target *list;
	size_t count;
	struct policy_asks asks;	/* the configuration's */
	const char (*search)[TARGET_NAME_MAX + 1];	/* suffixes that names are looked for with */
	size_t search_count;
	const struct config_private *private;
	size_t private_count;
	const struct oh_range *local;	/* the configuration's, as the next */
	size_t local_count;
	struct policy_asks asks_now;	/* for a short time: what `allow` is about to ask for */
};

/* The configuration wins over a grant, and a lasting grant over one that lapses. Lapsed grants are left out. The policy
 * points into config and grants. */
int policy_build(const struct config *c, const struct grants *grants, int64_t now, struct policy *ret, struct error *e);
void policy_free(struct policy *p);
struct policy_target *policy_find(const struct policy *p, const struct target *target);

/* The names to resolve: sorted, each once, pointing into the policy's targets. Free *ret. */
int policy_names(const struct policy *p, const char ***ret, size_t *ret_count, struct error *e);

#endif
