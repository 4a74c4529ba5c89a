/* SPDX-License-Identifier: MIT */
/* Who takes what is sent to a port of this machine. */
#ifndef OHGUARD_LISTENER_H
#define OHGUARD_LISTENER_H

#include <ohguard/abi.h>
#include <stdbool.h>
#include <stdint.h>

/* The cgroup of the UDP socket that takes what is sent to a port at an address of this machine: its id, or 0: there is
 * none, or the kernel does not tell. */
uint64_t listener_cgroup(const struct oh_address *address, uint16_t port);

/* Whether a guard of ours judges the packets of a cgroup, by whichever instance, there or above. path: as
 * engine_cgroup_path() has it. */
bool listener_is_guarded(const char *path);

#endif
