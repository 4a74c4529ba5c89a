/* SPDX-License-Identifier: MIT */
/* What workloads want and nobody has allowed, under `load --ask`: read from the kernel, and denied there. What is
 * allowed instead becomes policy, and is no question any more. */
#ifndef OHGUARD_QUESTIONS_H
#define OHGUARD_QUESTIONS_H

#include <stddef.h>

#include "engine/engine.h"
#include "policy/target.h"

struct question {
	struct oh_question_key key;
	struct oh_question kernel;
	struct target target;	/* what `allow` takes to answer it; the port of a query is the usual one */
	bool waits;		/* false: it is refused, and not asked again for a while */
};

struct questions {
	struct question *list;	/* the oldest first */
	size_t count;
};

/* Those that are of any effect. On failure *ret is empty. */
int questions_read(const struct engine *engine, struct questions *ret, struct error *e);
void questions_free(struct questions *q);

/* True if a target answers it: names that are asked for need not agree in the port. */
bool question_is_about(const struct question *q, const struct target *t);

/* Refuses what it is about for so many seconds. *ret_changed: it was not so before. */
int question_deny(const struct engine *engine, const struct question *q, uint64_t seconds, bool *ret_changed,
		  struct error *e);

/* Removes those that the targets answer, since they are allowed now. */
int questions_settle(const struct engine *engine, const struct target *targets, size_t count, struct error *e);

/* Removes those that are of no effect any more. Where nobody does, they take the room of others. */
int questions_sweep(const struct engine *engine, struct error *e);

/* As it is typed: "example.com", "example.com:8443", "192.0.2.1". Returns buffer. */
const char *question_target(const struct question *q, char buffer[OH_TARGET_TEXT_MAX]);

#endif
