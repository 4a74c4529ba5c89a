/* SPDX-License-Identifier: MIT */
/* Writes the names of the policy into the map that judges queries and TLS hellos. */
#ifndef OHGUARD_PUBLISH_NAMES_H
#define OHGUARD_PUBLISH_NAMES_H

#include "engine/engine.h"
#include "policy/policy.h"

/* The part of publish_policy() for the names that may be asked for. The ids must have been read. */
int publish_names(const struct policy *p, const struct engine *engine, struct error *e);

#endif
