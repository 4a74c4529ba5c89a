/* SPDX-License-Identifier: MIT */
/* Packet sockets, refused to the workload by BPF LSM where there is one. */
#ifndef OHGUARD_PACKET_H
#define OHGUARD_PACKET_H

#include <stdbool.h>

#include "engine/engine.h"

/* Puts it in force for the guarded cgroup, in place of the old programs. Counts and events go to the engine's maps.
 * -EOPNOTSUPP, with advice: there is no BPF LSM. */
int packet_load(const char *pins, const struct engine *engine, const char *cgroup, bool observe, struct error *e);
int packet_unload(const char *pins, struct error *e);
/* True if the kernel refuses them. This is found by trying to make one. */
bool packet_in_force(const char *pins);

/* A cgroup's id and its depth below the root of its mount. */
int packet_find_cgroup(const char *path, uint64_t *ret_id, uint32_t *ret_level, struct error *e);
/* The level alone, 0: the whole machine. Or a negative errno. */
int packet_cgroup_level(const char *path);

#endif
