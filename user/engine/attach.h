/* SPDX-License-Identifier: MIT */
/* Programs in force at the cgroup: their pinned links. */
#ifndef OHGUARD_ATTACH_H
#define OHGUARD_ATTACH_H

#include "engine/load.h"

/* Puts the programs in force at the cgroup. Each pinned link is updated in one step. If there is none, or it is dead
 * or at another cgroup, a new link is pinned in its place. */
int engine_attach(struct engine_program_set *set, const char *pins, const char *cgroup, struct error *e);
/* Removes the links of uplinks and of the cgroup, last the verdict's, and then the folder. */
int engine_detach(const char *pins, struct error *e);

#endif
