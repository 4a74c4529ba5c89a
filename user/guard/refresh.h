/* SPDX-License-Identifier: MIT */
/* Resolves what is due and puts it in force. */
#ifndef OHGUARD_REFRESH_H
#define OHGUARD_REFRESH_H

#include "guard/change.h"
#include "guard/guard.h"
#include "names/resolve.h"

#define REFRESH_LONGEST 60	/* seconds between two looks at what is due: `allow` and `load` wake nobody */

/* The queries of one round. Names are copies. Free with refresh_free(). */
struct refresh {
	struct resolve_query *queries;
	size_t count;
};

struct refresh_report {
	size_t asked, failed;	/* names and families */
	bool in_force;		/* the answers are in force, whatever failed afterwards */
	bool outage;		/* no resolver answers: first says so */
	bool recovered;		/* one that had not been answered is, so the resolver is back */
	char first[100 + RECORD_WHY_MAX + 8];	/* the first failure, "" for none */
};

/* Adds the queries for a name: both families. */
int refresh_add(struct refresh *f, const char *name, struct error *e);
/* Adds what is due by the records. Of those that nobody answered one is tried again and again, to see the resolver come
 * back. */
int refresh_add_due(struct refresh *f, const struct records *records, int64_t now, struct error *e);
/* When to look again at what is due: a minute from now at the latest. */
int64_t refresh_next(const struct records *records, int64_t now);
/* Asks. The lock should not be held: a slow resolver takes seconds. */
int refresh_ask(struct refresh *f, const struct config *c, struct error *e);
/* Adds and asks for the names among targets that are not allowed yet. They may be asked for until the next publish; if
 * this fails, they may not. -ENOENT: one of them does not exist. */
int refresh_ask_new(struct refresh *f, struct guard *g, const struct target *targets, size_t count, struct error *e);
/* Why an answer for a name may not hold that address: what it is for ("private", "metadata"). NULL: it may. */
const char *refresh_refuses(const struct config *c, const char *name, const struct oh_address *a);
/* Merges the answers into the records that are still wanted. Addresses that an answer may not hold are dropped; if none
 * is left, that is a failure. If the resolver is back, all that failed for it becomes due. */
int refresh_merge(const struct refresh *f, struct records *records, const struct config *c, int64_t now,
		  struct refresh_report *report, struct error *e);
void refresh_free(struct refresh *f);

/* True if no resolver answers for any name: one line says it for all. */
bool refresh_outage(const struct records *records, const struct config *c, char *line, size_t size);
/* Asks for the new names among targets, has `edit` add the grants, and takes up the answers. All or nothing. */
int refresh_allow(struct guard *g, const struct target *targets, size_t count, change_step edit, void *context,
		  struct refresh_report *report, struct error *e);

/* Prints one line about what failed, if anything did. */
void refresh_warn(const struct refresh_report *report);

/* The whole round for an open guard without its lock: reads, asks, locks, reads again, merges, publishes, saves. If the
 * resolver is back, all that failed for it is asked again at once. all: asks for every name, due or not.
 * What DNS failed to answer is in the report; a negative errno is a failure of our own. */
int refresh_round(struct guard *g, bool all, struct refresh_report *report, struct error *e);

#endif
