/* SPDX-License-Identifier: MIT */
/* Ways out that the guard cannot close, since they are allowed or are no packets of the workload. For `status`. */
#ifndef OHGUARD_WAYS_OUT_H
#define OHGUARD_WAYS_OUT_H

#include "guard/remarks.h"
#include "policy/policy.h"

/* Suffixes below which anyone can have a name. */
void ways_out_suffixes(const struct policy *policy, struct remarks *ret);

/* With one cgroup guarded: a resolver on this machine's loopback that no guard judges. It passes on whatever name it is
 * asked for. */
void ways_out_resolver(const struct oh_settings *settings, const char *cgroup, struct remarks *ret);

/* With one cgroup guarded: Unix sockets that its processes may connect to and whose servers run commands. */
void ways_out_sockets(const char *cgroup, struct remarks *ret);

#endif
