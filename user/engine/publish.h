/* SPDX-License-Identifier: MIT */
/* Writes the policy into the maps. */
#ifndef OHGUARD_PUBLISH_H
#define OHGUARD_PUBLISH_H

#include "engine/engine.h"
#include "names/records.h"
#include "policy/policy.h"

/* Fills in the ids of the targets that the kernel knows. Changes nothing. */
int publish_read_ids(struct policy *p, const struct engine *engine, struct error *e);

/* True if the kernel holds exactly the policy's targets. It does not after a command was killed half way, or after the
 * resolvers have changed. The ids are filled in. */
int publish_is_current(struct policy *p, const struct engine *engine, bool *ret, struct error *e);

/* Makes the connect hooks know this machine's own addresses. publish_policy() does it too. */
int publish_local(const struct engine *engine, struct error *e);

/* Makes the maps hold what the policy and the records say, and nothing else, by the least change: removals come first,
 * and nothing is emptied on the way. -E2BIG: a map is full, and holds all that fits. */
int publish_policy(struct policy *p, const struct records *records, const struct engine *engine, int64_t now,
		   struct error *e);

#endif
