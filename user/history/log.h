/* SPDX-License-Identifier: MIT */
/* The history as files:
 *
 *	INSTANCE.jsonl			what is written now
 *	INSTANCE.000000001234.jsonl.gz	what was, by the number of its first line
 *
 * Each line has a number, and the SHA-256 of the line before, without its newline, as "before". So a line that was
 * changed, removed or put between others shows. The last line's number and hash are also kept elsewhere, so that an end
 * that was cut off shows too. What a crash left of a line is told and skipped: the chain goes on. */
#ifndef OHGUARD_HISTORY_LOG_H
#define OHGUARD_HISTORY_LOG_H

#include <limits.h>
#include <sys/types.h>

#include "base/error.h"
#include "history/record.h"
#include "policy/config.h"

#define HISTORY_HASH_MAX 65		/* with its NUL */

struct history_log {
	char base[PATH_MAX + 64], now[PATH_MAX + 80];	/* without and with ".jsonl" */
	struct config_history limits;
	int file, mark;			/* -1: not open */
	off_t size;
	uint64_t line, first_line;	/* the last one written, and the first one of this file; 0: none */
	int64_t first_time;		/* of that */
	int64_t not_before;		/* rotating failed: when to try again */
	char hash[HISTORY_HASH_MAX];	/* of the last line */
	bool cut;		/* when it was opened, lines were missing at its end: the numbers go on behind them */
};

/* path: struct guard's `history`; mark: the file that keeps the end. Makes folder and files, and goes on behind the
 * last whole line. */
int history_log_open(struct history_log *log, const char *path, const char *mark, const struct config_history *limits,
		     struct error *e);
void history_log_close(struct history_log *log);

/* Appends a record; fields: what history_print_fields() made of it. Its line and of are set here: of != 0 marks a
 * repeat. On failure (-ENOSPC) the file is as before. */
int history_log_append(struct history_log *log, struct history_record *record, const char *fields, struct error *e);

/* What history_verify() found. */
struct history_verdict {
	uint64_t lines;		/* whole ones */
	uint64_t first;		/* the number of the first: older ones are gone by age */
	uint64_t torn;		/* parts of lines, as a crash leaves them */
	bool broken;		/* changed or cut: *e says where and how */
};
/* 0, also for a broken chain, or a negative errno. */
int history_verify(const char *path, const char *mark, struct history_verdict *ret, struct error *e);

#endif
