/* The mounts that a lock is taken among, and from which alone it lets processes in: those of process 1. A systemd unit
 * that is confined has mounts of its own. */
#ifndef OHGUARD_PLACE_H
#define OHGUARD_PLACE_H

/* For main(): how this process was called, before anything changes that. */
void place_remember(int argc, char **argv);
/* Where this process has other mounts than process 1 and may have those: executes itself anew among them, and does not
 * return. Nothing that it has seen so far is kept. Whether it is let in there says the kernel, by what it finds then. */
void place_enter(void);

#endif
