/* SPDX-License-Identifier: MIT */
/* Reads the history's files from the oldest to the newest, also while they are written: see log.h. */
#ifndef OHGUARD_HISTORY_READER_H
#define OHGUARD_HISTORY_READER_H

#include <limits.h>
#include <stddef.h>

#include "base/error.h"
#include "history/filter.h"
#include "history/record.h"

/* Returns 0 to go on; anything else ends the reading and is handed on. */
typedef int (*history_visit)(void *context, const struct history_record *record);

/* Calls back for each record that the filter takes, in the order of their first occurrence, a record's repeats added
 * up in it. path: that of the instance without its ".jsonl" (struct guard's `history`). No file is no error. */
int history_read(const char *path, const struct history_filter *filter, history_visit visit, void *context,
		 struct error *e);

/* The same line by line and faster, repeats as records of their own: their counts add up to the same. */
int history_scan(const char *path, const struct history_filter *filter, history_visit visit, void *context,
		 struct error *e);

/* Calls back for each line of a file, compressed or not, without its newline; it may be changed. NULL: it cannot be
 * read (too long, or cut off). No such file is no error. */
#define HISTORY_LINE_MAX 16384
typedef int (*history_line)(void *context, char *line, size_t length, struct error *e);
int history_lines(const char *path, history_line each, void *context, struct error *e);

/* The file name of path, and in folder the folder that it is in. */
const char *history_split(const char *path, char folder[PATH_MAX]);

/* The history's files but for the one that is written now, oldest first. */
struct history_files {
	size_t count;
	char **path;
};
int history_list(const char *path, struct history_files *ret, struct error *e);
void history_list_free(struct history_files *files);

#endif
