/* SPDX-License-Identifier: MIT */
/* Records of what the kernel's buffer holds, where nobody writes a history. */
#ifndef OHGUARD_HISTORY_BUFFER_H
#define OHGUARD_HISTORY_BUFFER_H

#include "engine/engine.h"
#include "history/reader.h"

/* Goes on from one reading to the next. */
struct history_buffer {
	int64_t seen;	/* nanoseconds of CLOCK_BOOTTIME: only what was told later */
};

/* Repeats are added up. Nothing is taken from the buffer. */
int history_read_buffer(const struct engine *engine, struct history_buffer *buffer, const struct history_filter *filter,
			history_visit visit, void *context, struct error *e);

/* The history, and where nobody writes one now, what the buffer holds since. */
int history_read_all(const char *path, const struct engine *engine, const struct history_filter *filter,
		     history_visit visit, void *context, struct error *e);

#endif
