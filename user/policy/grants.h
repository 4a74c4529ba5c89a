/* SPDX-License-Identifier: MIT */
/* What `allow` added: a file in the state folder, so that it survives a reboot. */
#ifndef OHGUARD_GRANTS_H
#define OHGUARD_GRANTS_H

#include <stddef.h>
#include <stdint.h>

#include "policy/target.h"

struct grant {
	struct target target;
	int64_t lapses;		/* seconds of CLOCK_REALTIME, 0: for good */
};

struct grants {
	struct grant *list;
	size_t count;
};

/* A missing file is no grant. On failure *ret is empty. */
int grants_read(const char *path, struct grants *ret, struct error *e);
int grants_write(const char *path, const struct grants *grants, struct error *e);
void grants_free(struct grants *grants);
int grants_copy(const struct grants *grants, struct grants *ret, struct error *e);

/* Adds a grant, or changes when the existing one lapses. */
int grants_add(struct grants *grants, const struct target *target, int64_t lapses, struct error *e);
struct grant *grants_find(const struct grants *grants, const struct target *target);
void grants_remove(struct grants *grants, struct grant *grant);
/* Those that have lapsed are kept for a day, so that people can see what they had: they allow nothing. */
#define GRANTS_LAPSED_KEPT 86400
/* Drops those that lapsed longer ago; all that lapsed, if there are very many. True if there were any. */
bool grants_lapse(struct grants *grants, int64_t now);

#endif
