/* SPDX-License-Identifier: MIT */
/* Which Docker container a packet came from, by its cgroup or else by its address. The answer is for people, not for
 * decisions: a container that can forge its source address can pass for another one. */
#ifndef OHGUARD_CONTAINER_H
#define OHGUARD_CONTAINER_H

#include <ohguard/abi.h>
#include <stdbool.h>

#define CONTAINER_ID_MAX 64
#define CONTAINER_SHORT 12	/* digits of an id that people are shown */
#define CONTAINER_NAME_MAX 128

struct container {
	char id[CONTAINER_ID_MAX + 1];	/* "": not known */
	char name[CONTAINER_NAME_MAX];	/* "": Docker knows none */
};

/* By the id at the end of a cgroup's path. False if there is none. */
bool container_by_cgroup(const char *cgroup, struct container *ret);

/* By an address that Docker gave to a running container. */
bool container_by_address(const struct oh_address *address, struct container *ret);

#endif
