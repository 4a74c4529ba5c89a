/* SPDX-License-Identifier: MIT */
/* What `load --confirm` goes back to: kept in the state folder before anything changes, so that it outlives the loader
 * and a reboot. Who finds that its time is over (a process of its own, and every `refresh`) loads it again. */
#ifndef OHGUARD_BACK_H
#define OHGUARD_BACK_H

#include "guard/guard.h"

struct back {
	int64_t deadline;		/* seconds of CLOCK_BOOTTIME */
	bool other_boot;		/* it was kept before a reboot: its time is over */
	bool nothing;			/* nothing was loaded before */
	bool observe;
	uint32_t ask;		/* seconds, 0: it asked nothing */
	char cgroup[PATH_MAX];
	char source[PATH_MAX];		/* where its configuration came from */
	uplink_names uplinks;
};

/* Keeps what is in force now, or only moves the deadline if something is kept already: what was never confirmed is
 * nothing to go back to. The lock is held, and g's engine is that in force. */
int back_keep(const struct guard *g, int64_t deadline, struct error *e);
/* -ENOENT: nothing is kept. */
int back_read(const struct guard *g, struct back *ret, struct error *e);
bool back_is_due(const struct back *b);
/* The configuration that is kept, into g, with its paths. */
int back_read_config(struct guard *g, const char *instance, struct error *e);
/* Confirmed, or gone back to. */
int back_forget(const struct guard *g, struct error *e);

#endif
