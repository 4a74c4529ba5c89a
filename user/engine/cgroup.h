/* SPDX-License-Identifier: MIT */
/* A cgroup of our own: made, emptied and removed. */
#ifndef OHGUARD_CGROUP_H
#define OHGUARD_CGROUP_H

#include <limits.h>

#include "base/error.h"

/* The cgroup2 folder of this process; where it cannot be seen from here, the top of the mount. */
int cgroup_find_own(char ret[PATH_MAX], struct error *e);

/* The names of the cgroups that `run` and `verify` make, by their pid. */
#define CGROUP_OF_RUN "ohguard-run-%d"
#define CGROUP_OF_VERIFY "ohguard-verify-%d"
/* Removes those that killed ones have left in a folder. What still has a process stays. */
void cgroup_remove_left(const char *folder);

/* Moves the calling process there. 0 or -errno. */
int cgroup_join(const char *path);

/* Kills every process in it and below, and those that they make meanwhile. */
void cgroup_kill(const char *path);

/* Removes it and those below, once they are empty: waits up to ten seconds for that. */
int cgroup_remove(const char *path, struct error *e);

#endif
