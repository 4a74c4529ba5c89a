/* SPDX-License-Identifier: MIT */
/* The lock: BPF LSM keeps the guard from everyone but trusted processes, which run its own binary in the place that the
 * lock was taken in; and these ask for the key before they change what is allowed. See docs/threat-model.md. */
#ifndef OHGUARD_LOCK_H_USER
#define OHGUARD_LOCK_H_USER

#include <ohguard/lock.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* What is to be kept, as paths. */
struct lock_subject {
	const char *instance, *pins, *state, *run;
	const char *config;	/* the configuration's file */
	const char *key;	/* the key's file */
	const char *cgroup;	/* the guarded one */
};

/* Finds out whether an instance is locked, and makes this process a trusted one if it may be.
 * 0: not locked; 1: locked, and trusted; -EPERM: locked, and this process is not let in; or another negative errno. */
int lock_enter(const char *pins, const char *instance, const char *state, struct error *e);
/* Compares the key in a file with that of the lock. */
int lock_check_key(const char *pins, const char *key, struct error *e);

/* Takes the lock, and makes the key where there is none. Nothing of the lock is left where that fails. */
int lock_take(const struct lock_subject *s, struct error *e);
/* Around a change of links: nobody else gets hold of a new one before it is kept. */
int lock_begin_change(const char *pins, struct error *e);
int lock_end_change(const struct lock_subject *s, struct error *e);
int lock_release(const char *pins, struct error *e);

#endif
