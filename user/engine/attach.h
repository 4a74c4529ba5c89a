/* SPDX-License-Identifier: MIT */
/* Programs in force at the cgroup: their pinned links. */
#ifndef OHGUARD_ATTACH_H
#define OHGUARD_ATTACH_H

#include "engine/load.h"

/* Puts the programs in force at the cgroup: by updating the pinned links, in one step each; by new links, pinned in
 * place of the old, where there is none, it is dead or at another cgroup. */
int engine_attach(struct engine_program_set *set, const char *pins, const char *cgroup, struct error *e);
/* Removes the links of the cgroup and of uplinks, the verdict's last, and the folder. */
int engine_detach(const char *pins, struct error *e);

#endif
