/* SPDX-License-Identifier: MIT */
/* The policy's way into the maps. */
#ifndef OHGUARD_PUBLISH_H
#define OHGUARD_PUBLISH_H

#include "engine/engine.h"
#include "names/records.h"
#include "policy/policy.h"

/* Fills in the ids of the targets that the kernel knows. Changes nothing. */
int publish_read_ids(struct policy *p, const struct engine *engine, struct error *e);

/* True where the kernel holds exactly the policy's targets. It does not after a command that was killed half way, or
 * when the resolvers have changed. The ids are filled in. */
int publish_is_current(struct policy *p, const struct engine *engine, bool *ret, struct error *e);

/* Makes the connect hooks know this machine's own addresses. publish_policy() does it too. */
int publish_local(const struct engine *engine, struct error *e);

/* Makes the maps say what the policy and the records say, and nothing else, by the least change: what is taken back
 * goes first and at once, nothing is emptied on the way. -E2BIG where a map is full: all that fits is in then. */
int publish_policy(struct policy *p, const struct records *records, const struct engine *engine, int64_t now,
		   struct error *e);

#endif
