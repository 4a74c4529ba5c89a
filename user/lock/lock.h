/* SPDX-License-Identifier: MIT */
/* The lock: BPF LSM protects the guard from all but trusted processes. These run its own binary, in the mounts that the
 * lock was taken in, and ask for the key before they change what is allowed. See docs/threat-model.md. */
#ifndef OHGUARD_LOCK_H_USER
#define OHGUARD_LOCK_H_USER

#include <ohguard/lock.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* What the lock keeps, as paths. */
struct lock_subject {
	const char *instance, *pins, *state, *run;
	const char *config;	/* the configuration's file */
	const char *key;	/* the key's file */
	const char *cgroup;	/* the guarded cgroup */
};

/* Finds out whether an instance is locked, and makes this process a trusted one if it is let in.
 * 0: not locked; 1: locked, and trusted; -EPERM: locked, and this process is not let in; or another negative errno. */
int lock_enter(const char *pins, const char *instance, const char *state, struct error *e);
/* Compares the key in a file with the key of the lock. */
int lock_check_key(const char *pins, const char *key, struct error *e);

/* Whether this system can be locked. -EOPNOTSUPP, with advice: it has no BPF LSM. */
int lock_check_system(struct error *e);
/* Takes the lock, and makes the key if there is none. On failure nothing of the lock remains. */
int lock_take(const struct lock_subject *s, struct error *e);
/* Begin and end of a change of links: nobody else gets hold of a new one before the lock keeps it. */
int lock_begin_change(const char *pins, struct error *e);
int lock_end_change(const struct lock_subject *s, struct error *e);
int lock_release(const char *pins, struct error *e);

#endif
