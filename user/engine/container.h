/* SPDX-License-Identifier: MIT */
/* Which Docker container a packet came from: by its cgroup, or else by its address. Answers are for people: a container
 * that may forge its source address can pass for another one. */
#ifndef OHGUARD_CONTAINER_H
#define OHGUARD_CONTAINER_H

#include <ohguard/abi.h>
#include <stdbool.h>

#define CONTAINER_ID_MAX 64
#define CONTAINER_SHORT 12	/* digits of an id that people are shown */
#define CONTAINER_NAME_MAX 128

struct container {
	char id[CONTAINER_ID_MAX + 1];	/* "": not known */
	char name[CONTAINER_NAME_MAX];	/* "": Docker has none for it */
};

/* By the id at the end of a cgroup's path. False where there is none. */
bool container_by_cgroup(const char *cgroup, struct container *ret);

/* By an address that Docker gave to a container which runs now. */
bool container_by_address(const struct oh_address *address, struct container *ret);

#endif
