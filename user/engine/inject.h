/* SPDX-License-Identifier: MIT */
/* Packets that come in where a workload is: sent by a raw socket in its network namespace, they reach it by that
 * namespace's loopback interface and never leave the machine. */
#ifndef OHGUARD_INJECT_H
#define OHGUARD_INJECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct inject;

int inject_open(struct inject **ret, struct error *e);
void inject_close(struct inject *in);

/* Sends one IP packet in the network namespace with that cookie, or where the kernel gives none (before 5.14) in that
 * of the process. family: 4 or 6. 0, -ENOENT where there is no such namespace, or another negative errno. */
int inject_send(struct inject *in, uint64_t netns, pid_t pid, int family, const void *packet, size_t length);

#endif
