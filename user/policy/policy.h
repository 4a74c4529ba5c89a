/* SPDX-License-Identifier: MIT */
/* The policy: all targets from configuration and grants, what their names resolve to, and its way into the maps. */
#ifndef OHGUARD_POLICY_H
#define OHGUARD_POLICY_H

#include "policy/config.h"
#include "engine/engine.h"
#include "policy/grants.h"
#include "names/records.h"

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
	const struct config_private *private;
	size_t private_count;
	struct policy_asks asks_now;	/* for a while: what `allow` is about to ask for */
};

/* What the configuration allows wins over a grant, and a lasting grant over one that lapses. Grants whose time is
 * over are left out. The policy points into config and grants. */
int policy_build(const struct config *c, const struct grants *grants, int64_t now, struct policy *ret, struct error *e);
void policy_free(struct policy *p);
struct policy_target *policy_find(const struct policy *p, const struct target *target);

/* The names to resolve: sorted, each once, pointing into the policy's targets. Free *ret. */
int policy_names(const struct policy *p, const char ***ret, size_t *ret_count, struct error *e);

/* Fills in the ids of the targets that the kernel knows. Changes nothing. */
int policy_read_ids(struct policy *p, const struct engine *engine, struct error *e);

/* Adds bytes to a fingerprint, by which two lists are told apart. */
#define POLICY_PRINT_START 0xcbf29ce484222325
uint64_t policy_print(uint64_t print, const void *bytes, size_t size);

/* True where the kernel holds exactly the policy's targets. It does not after a command that was killed half way, or
 * when the resolvers have changed. The ids are filled in. */
int policy_in_force(struct policy *p, const struct engine *engine, bool *ret, struct error *e);
/* The part of policy_publish() that concerns the names that may be asked for; the ids must have been read. */
int policy_publish_names(const struct policy *p, const struct engine *engine, struct error *e);

/* Takes what is over out of the addresses that the kernel learned. */
int policy_sweep_answers(const struct engine *engine, struct error *e);

/* Makes the maps say what the policy and the records say, and nothing else, by the least change: what is taken back
 * goes first and at once, nothing is emptied on the way. -E2BIG where a map is full: all that fits is in then. */
int policy_publish(struct policy *p, const struct records *records, const struct engine *engine, int64_t now,
		   struct error *e);

#endif
