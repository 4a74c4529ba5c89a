/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What bpf/lock.bpf.c and user/lock/lock.c share: the guard's own protection, and the refusal of packet sockets. */
#ifndef OHGUARD_LOCK_H
#define OHGUARD_LOCK_H

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

#define OH_LOCK_KEY_MAX 32	/* bytes of a SHA-256 */
#define OH_LOCK_TEXT_MAX 256
#define OH_LOCK_INODES_MAX 256
#define OH_LOCK_TASKS_MAX 1024
#define OH_LOCK_OBJECTS_MAX 1024

/* What only trusted tasks may do with an inode. */
enum oh_keep {
	OH_KEEP_BINARY = 1,	/* a task that executes it may become trusted */
	/* to write, replace, rename, remove it or change its attributes; for a folder, also what is in it */
	OH_KEEP_WHOLE = 2,
	OH_KEEP_SECRET = 4,	/* to open it, even for reading; for a folder, what is in it */
	OH_KEEP_PATH = 8,	/* to rename it, or to mount on it: it is on the path to one of the others */
	OH_KEEP_DOOR = 16,	/* the lock's own folder: a task that may enter becomes trusted when it opens it */
	OH_KEEP_ROOT = 32,	/* not protected itself: opening it shows where trusted tasks live, see oh_lock.root */
};

/* Key of oh_inodes (hash; value __u32, enum oh_keep): numbers as in the kernel, not as from stat(2). Inode 0 says that
 * something on the device is protected; with OH_NO_DEVICE the inode is a mount's address. */
#define OH_NO_DEVICE 0xffffffffffffffffULL
struct oh_inode {
	__u64 inode;
	__u64 device;
};

/* Value of oh_lock (array of one). */
struct oh_lock {
	__u32 taker;		/* pid of the process that takes the lock, until its first open makes it trusted */
	__u32 mark;		/* enum oh_keep: how to protect what a trusted task opens now. 0: not at all */
	__u32 busy;		/* 1: links are being made: nobody else may get a link by its id */
	__u32 level;		/* depth of the guarded cgroup below the root; 0: the root is guarded */
	__u32 on;		/* 0: nothing is refused any more. Links end some time after their pins, this at once */
	__u32 reserved;
	__u64 cgroup;		/* its id */
	__u64 mounts, network, clock, root, root_mount;	/* addresses: namespaces and root of a trusted task */
	__u8 key[OH_LOCK_KEY_MAX];	/* SHA-256 of the key */
	/* what is locked: paths, NUL-terminated */
	char instance[64], state[OH_LOCK_TEXT_MAX], pins[OH_LOCK_TEXT_MAX];
};

/* Written by the loader into the programs' read-only data, as the constant oh_packet, before the programs are
 * verified. */
struct oh_packet_settings {
	__u64 cgroup;		/* the guarded one */
	__u32 level;		/* its depth: 0 is the root */
	__u32 netns;		/* inode number of the host's network namespace */
	__u32 observe;		/* 1: refuse nothing, report all the same */
	__u32 reserved;
};

/* A socket that nobody makes, and its answer while the hook is active: a way to test for it. */
#define OH_PACKET_PROBE_PROTOCOL 0x6f68
#define OH_PACKET_PROBE_ANSWER 117	/* EUCLEAN */

_Static_assert(sizeof(struct oh_inode) == 16, "no padding: a map's key");

#endif
