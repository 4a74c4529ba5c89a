/* SPDX-License-Identifier: MIT */
/* The process behind `ohguard run`: it guards one cgroup with an engine of its own, answers what is refused there,
 * keeps names fresh, and clears everything away when the process that asked for it is gone, however that ended. */
#ifndef OHGUARD_KEEPER_H
#define OHGUARD_KEEPER_H

#include "policy/config.h"
#include "policy/grants.h"

struct keeper {
	const struct config *config;
	const struct grants *grants;	/* besides the configuration's targets */
	const char *cgroup;		/* to be made */
	const char *learn;		/* refuse nothing, and write what was needed to this file; NULL: enforce */
	int front;			/* socket: READY goes out by it, and its end is the end */
	int covered;			/* of keeper_mount() */
};

#define KEEPER_READY 'r'

/* Gives this process mounts of its own, with a bpffs for the links. They keep the links for as long as any process has
 * these mounts: so what runs under the guard is guarded, whoever is killed. *ret_covered: a descriptor for keep(). */
int keeper_mount(const struct config *c, int *ret_covered, struct error *e);

/* Guards until the end, in a process of its own. 0, or a negative errno: it could not. */
int keep(const struct keeper *k, struct error *e);

#endif
