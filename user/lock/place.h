/* SPDX-License-Identifier: MIT */
/* The mounts of process 1. A lock is taken there, and lets in only processes from there. A confined systemd unit has
 * mounts of its own. */
#ifndef OHGUARD_PLACE_H
#define OHGUARD_PLACE_H

/* For main(): keeps the arguments of this process, before anything changes them. */
void place_remember(int argc, char **argv);
/* If this process has other mounts than process 1 and may enter those, it executes itself anew there and does not
 * return. Nothing that it has seen so far is kept. */
void place_enter(void);
/* The same for a process that a lock has refused, even if its mounts are right: it may have been executed before the
 * lock was taken. Returns if that did not help. */
void place_retry(void);

#endif
