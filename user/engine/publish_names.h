/* SPDX-License-Identifier: MIT */
/* The names of the policy, on their way into the map that queries and TLS hellos are judged by. */
#ifndef OHGUARD_PUBLISH_NAMES_H
#define OHGUARD_PUBLISH_NAMES_H

#include "engine/engine.h"
#include "policy/policy.h"

/* The part of publish_policy() that concerns the names that may be asked for; the ids must have been read. */
int publish_names(const struct policy *p, const struct engine *engine, struct error *e);

#endif
