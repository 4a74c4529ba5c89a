/* SPDX-License-Identifier: MIT */
/* What DNS said of each name, and when to ask again: pure functions with an injected clock, and the records' file.
 * Times are seconds of CLOCK_REALTIME, so that they outlive a reboot. */
#ifndef OHGUARD_RECORDS_H
#define OHGUARD_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names/answer.h"
#include "policy/config.h"

#define RECORD_WHY_MAX 112

struct record_address {
	struct oh_address address;
	int64_t expires;	/* first second in which it is no longer allowed */
	bool current;		/* the last good answer held it */
};

/* One name and family. Ordered by name, then family. */
struct record {
	char *name;
	int family;		/* 4 or 6 */
	int64_t answered;	/* the last good answer, 0: none yet */
	int64_t tried;		/* the last query, 0: none yet */
	int64_t due;		/* when to ask again */
	uint32_t failures;	/* in a row */
	char *why;		/* of the last failure, NULL after a good answer: see record_why() */
	struct record_address *addresses;
	size_t count;
};

struct records {
	struct record *list;
	size_t count;
};

/* Reads the file. A missing file holds no record. -EINVAL: it cannot be understood, and *ret is empty. */
int records_read(const char *path, struct records *ret, struct error *e);
int records_write(const char *path, const struct records *records, struct error *e);
void records_free(struct records *records);

/* Leaves exactly the records of the given names (sorted, each once), both families of each. New ones are due at
 * once. */
int records_keep(struct records *records, const char *const *names, size_t count, struct error *e);

/* The record of a name, or NULL. A name's two records are neighbours: family 4, then family 6. */
struct record *records_find(const struct records *records, const char *name, int family);
/* The same for a walk along the records: tries *at first, and sets it to where the next one may be. */
struct record *records_find_from(const struct records *records, const char *name, int family, size_t *at);

/* Merges a good answer. (answer->count of 0: the name has no address of this family.) */
int record_answered(struct record *r, const struct answer *answer, int64_t now, const struct config *c,
		    struct error *e);

/* Why its last query failed; "" after a good answer. */
const char *record_why(const struct record *r);

/* Notes a failure: the last good answer lives on until it is max-stale old, and the pause before the next try doubles,
 * up to five minutes. */
void record_failed(struct record *r, const char *why, int64_t now, const struct config *c);

/* For a start without network: the last good answer is allowed again until the name has been tried. */
void record_extend(struct record *r, int64_t now, const struct config *c);

#endif
