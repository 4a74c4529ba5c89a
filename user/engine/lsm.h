/* SPDX-License-Identifier: MIT */
/* BPF LSM programs: loading those of bpf/lock.bpf.c that this kernel has a hook for, and pinning their links. */
#ifndef OHGUARD_LSM_H
#define OHGUARD_LSM_H

#include <stdbool.h>

#include "base/error.h"

struct bpf_object;

#define LSM_LAST "oh_command"	/* removed last: the lock's maps are found through it */

enum lsm_part {
	LSM_LOCK,	/* protects the guard */
	LSM_PACKET,	/* refuses packet sockets */
};

/* Opens the programs of one part, not loaded yet. -EOPNOTSUPP, with advice, where this system has no BPF LSM.
 * The caller closes it. */
int lsm_open(enum lsm_part part, struct bpf_object **ret, struct error *e);
int lsm_load(struct bpf_object *object, struct error *e);
/* Attaches all of them and pins each link in the folder, over the one that is there. On failure none that is new
 * stays. */
int lsm_attach(struct bpf_object *object, const char *folder, struct error *e);
/* Removes the pins, and the folder. What is not there is no error. */
int lsm_detach(const char *folder, struct error *e);
/* What to do about a kernel that runs no BPF LSM programs, though it loads them; returns -EOPNOTSUPP. */
int lsm_advise(const char *why, struct error *e);

#endif
