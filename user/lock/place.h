/* SPDX-License-Identifier: MIT */
/* The mounts that a lock is taken among, and from which alone it lets processes in: those of process 1. A systemd unit
 * that is confined has mounts of its own. */
#ifndef OHGUARD_PLACE_H
#define OHGUARD_PLACE_H

/* For main(): how this process was called, before anything changes that. */
void place_remember(int argc, char **argv);
/* Where this process has other mounts than process 1 and may have those: executes itself anew among them, and does not
 * return. Nothing that it has seen so far is kept. */
void place_enter(void);
/* The same for a process that a lock has refused, even if its mounts are right: it may have been executed before the
 * lock was taken. Returns if that did not help. */
void place_retry(void);

#endif
