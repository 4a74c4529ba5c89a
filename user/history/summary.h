/* SPDX-License-Identifier: MIT */
/* Records that say the same of the same program, added up and ranked. */
#ifndef OHGUARD_HISTORY_SUMMARY_H
#define OHGUARD_HISTORY_SUMMARY_H

#include <stddef.h>

#include "history/record.h"

/* One group: what (name, or target or address, and port), who (program and container) and why (reason) are the same. */
struct history_group {
	struct history_record *record;	/* the first one; its count, first and last are those of all. NULL: free */
	uint64_t hash;
};

struct history_summary {
	struct history_group *group;	/* a hash table; when ranked, a list of `count`, most frequent first */
	size_t count, room;
	uint64_t left_out;		/* attempts that found no place: HISTORY_GROUPS_MAX */
};
#define HISTORY_GROUPS_MAX (1 << 16)

/* Whether two records say the same of the same program; and a number that is the same for such. */
bool history_is_same(const struct history_record *a, const struct history_record *b);
uint64_t history_hash(const struct history_record *record);

/* 0 or -ENOMEM. Not after ranking. */
int history_add(struct history_summary *summary, const struct history_record *record);
void history_rank(struct history_summary *summary);
void history_summary_free(struct history_summary *summary);

#endif
