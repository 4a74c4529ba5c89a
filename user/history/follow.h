/* SPDX-License-Identifier: MIT */
/* Goes on reading where a history is written. */
#ifndef OHGUARD_HISTORY_FOLLOW_H
#define OHGUARD_HISTORY_FOLLOW_H

#include <limits.h>

#include "history/reader.h"

struct history_follow {
	char now[PATH_MAX + 80];
	int file;		/* -1: there is none yet */
	uint64_t line;		/* the last one that was handed out */
	size_t have;
	char buffer[HISTORY_LINE_MAX];
};

/* after: the number of the last line that is known already. */
void history_follow_start(struct history_follow *follow, const char *path, uint64_t after);
/* Hands out what has come since, repeats as records of their own, also of a file that was rotated away meanwhile. */
int history_follow(struct history_follow *follow, const struct history_filter *filter, history_visit visit,
		   void *context);
void history_follow_end(struct history_follow *follow);

#endif
