/* SPDX-License-Identifier: MIT */
/* How often what happened: the kernel tells a refusal once, and counts its repeats (struct oh_folded). */
#ifndef OHGUARD_TALLY_H
#define OHGUARD_TALLY_H

#include "history/origin.h"

struct tally {
	struct tally_entry {
		uint64_t fold;
		struct history_record *record;	/* its count is that of all so far */
	} *list;
	size_t count;
	bool incomplete;	/* memory was short */
	struct history_origin origin;	/* its engine is to be set */
};

/* An event that was taken from the buffer. */
void tally_take(struct tally *t, const struct oh_event *event);
/* Takes up what the kernel has counted since. */
int tally_count(struct tally *t, struct error *e);

#endif
