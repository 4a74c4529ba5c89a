/* SPDX-License-Identifier: MIT */
/* Answers what an engine refused for its name, and what waited for that under `load --ask`: see inject.h, held.h. */
#ifndef OHGUARD_ANSWERS_H
#define OHGUARD_ANSWERS_H

#include "engine/engine.h"

struct held;
struct inject;
struct ring_buffer;

struct answers {
	struct inject *inject;
	struct held *held;
	struct ring_buffer *ring;	/* of refused packets; NULL: none */
};

int answers_open(struct answers *a, const struct engine *engine, struct error *e);
void answers_close(struct answers *a);
/* Reads from another engine from now on. */
int answers_renew(struct answers *a, const struct engine *engine, struct error *e);

/* Readable if there is something to answer. */
int answers_fd(const struct answers *a);
/* The milliseconds, at most so many, until answers_give() is due even if there is nothing. */
int answers_wait(const struct answers *a, int most);
/* Says that somebody answers, and does so. */
int answers_give(struct answers *a, const struct engine *engine, struct error *e);

#endif
