/* SPDX-License-Identifier: MIT */
/* The interfaces that a frame can leave this machine by: what "auto" stands for. */
#ifndef OHGUARD_INTERFACES_H
#define OHGUARD_INTERFACES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* One interface, as the kernel tells of it. */
struct interface {
	unsigned int index;
	char name[16];		/* IFNAMSIZ */
	unsigned short type;	/* ARPHRD_ETHER, ... */
	bool up;
	bool out;		/* frames leave the machine by it, and by none below it */
	/* for those who find that out */
	unsigned int master, lower;	/* the bridge or bond that it is a port of; what it stands on. 0: none */
	bool hardware, routed;
};

struct interfaces {
	struct interface *list;
	size_t count;
};

/* A way out is hardware, or what a route leads beyond its own link by: in any table, by any of its next hops. Where
 * that is made of other interfaces (a bridge, bond, VLAN or macvlan), those are the ways out in its place. Networks of
 * containers and VMs are none: no hardware is in them, and no route leads beyond them.
 * That they cannot be read is an error and not "none". Free with interfaces_free(). */
int interfaces_find(struct interfaces *ret, struct error *e);
void interfaces_free(struct interfaces *interfaces);

#endif
