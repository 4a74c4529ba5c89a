/* SPDX-License-Identifier: MIT */
/* BPF LSM programs: loads those of bpf/lock.bpf.c that this kernel has a hook for, and pins their links. */
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

/* Opens the programs of one part without loading them. -EOPNOTSUPP, with advice: this system has no BPF LSM.
 * The caller closes it. */
int lsm_open(enum lsm_part part, struct bpf_object **ret, struct error *e);
int lsm_load(struct bpf_object *object, struct error *e);
/* Attaches all of them and pins each link in the folder, in place of the old one. On failure no new one stays. */
int lsm_attach(struct bpf_object *object, const char *folder, struct error *e);
/* Removes the pins and the folder. It is no error if they do not exist. */
int lsm_detach(const char *folder, struct error *e);
/* Advice for a kernel that loads BPF LSM programs but does not run them. Returns -EOPNOTSUPP. */
int lsm_advise(const char *why, struct error *e);

#endif
