/* SPDX-License-Identifier: MIT */
/* What is allowed, or is no packet of the workload's, and leads out all the same: to be told. */
#ifndef OHGUARD_WAYS_OUT_H
#define OHGUARD_WAYS_OUT_H

#include "guard/remarks.h"
#include "policy/policy.h"

/* Suffixes below which anyone can have a name. */
void ways_out_suffixes(const struct policy *policy, struct remarks *ret);

#endif
