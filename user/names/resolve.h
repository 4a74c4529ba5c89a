/* SPDX-License-Identifier: MIT */
/* Asks the configured resolvers for many names at once, with c-ares. */
#ifndef OHGUARD_RESOLVE_H
#define OHGUARD_RESOLVE_H

#include "names/answer.h"
#include "policy/config.h"
#include "base/error.h"

struct resolve_query {
	const char *name;	/* lower case, no last dot */
	int family;		/* 4 or 6 */
	/* filled in: */
	const char *failure;	/* NULL after a good answer, else why there is none */
	struct answer answer;	/* free with answer_free() */
};

/* True for a failure that came from no answer at all: the resolver is away. ("": there was none.) */
bool resolve_was_silent(const char *failure);

/* Asks them all, some hundred at a time, over TCP if an answer is truncated. Each query holds its own failure.
 * Returns 0, or a negative errno if nothing could be asked at all. */
int resolve_all(const struct oh_address *resolvers, size_t resolver_count, struct resolve_query *queries, size_t count,
		struct error *e);

#endif
