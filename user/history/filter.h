/* SPDX-License-Identifier: MIT */
/* Which records somebody wants to see. */
#ifndef OHGUARD_HISTORY_FILTER_H
#define OHGUARD_HISTORY_FILTER_H

#include "base/error.h"
#include "history/record.h"

/* What is 0 or NULL does not restrict. */
struct history_filter {
	int64_t since, until;		/* seconds of CLOCK_REALTIME: a record's first to last must touch this span */
	const char *wanted;		/* pattern (fnmatch(3)) of the name, whatever its case, or of the address */
	const char *container;		/* pattern of its name, or the beginning of its id */
	const char *command;		/* pattern */
	uint8_t reason;			/* enum oh_reason */
	const struct oh_address *address;	/* the destination */
};

bool history_takes(const struct history_filter *filter, const struct history_record *record);

/* Reads a point in time: "2h" (ago), "14:30" (today), "2026-11-28", "2026-11-28 14:30[:05]" (local time), or as it is
 * printed in JSON, "2026-11-28T14:30:05Z". */
int history_parse_time(const char *text, int64_t now, int64_t *ret, struct error *e);
int history_parse_reason(const char *text, uint8_t *ret, struct error *e);

#endif
