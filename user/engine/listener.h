/* SPDX-License-Identifier: MIT */
/* Who receives what is sent to a port of this machine. */
#ifndef OHGUARD_LISTENER_H
#define OHGUARD_LISTENER_H

#include <ohguard/abi.h>
#include <stdbool.h>
#include <stdint.h>

/* The id of the cgroup whose UDP socket receives what is sent to this address and port of this machine. 0: there is
 * none, or the kernel does not tell. */
uint64_t listener_cgroup(const struct oh_address *address, uint16_t port);

/* True if a guard of ours, of any instance, judges the packets of a cgroup, there or above it. path: from
 * engine_cgroup_path(). */
bool listener_is_guarded(const char *path);

#endif
