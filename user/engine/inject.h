/* SPDX-License-Identifier: MIT */
/* Sends packets to a workload, by a raw socket in its network namespace. They reach it by that namespace's loopback
 * interface and never leave the machine. */
#ifndef OHGUARD_INJECT_H
#define OHGUARD_INJECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct inject;

int inject_open(struct inject **ret, struct error *e);
void inject_close(struct inject *in);

/* Sends one IP packet in the network namespace with that cookie, or in that of the process if the kernel has no cookies
 * (before 5.14). family: 4 or 6. 0, -ENOENT (no such namespace), or another negative errno. */
int inject_send(struct inject *in, uint64_t netns, pid_t pid, int family, const void *packet, size_t length);

#endif
