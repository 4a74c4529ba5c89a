/* SPDX-License-Identifier: MIT */
/* What `status` says: a list of sentences. */
#ifndef OHGUARD_REMARKS_H
#define OHGUARD_REMARKS_H

#include <stddef.h>

#define REMARKS_MAX 16
#define REMARK_MAX 512

struct remarks {
	char list[REMARKS_MAX][REMARK_MAX];
	size_t count;
};

/* Adds a sentence, unless the list is full. */
void remark(struct remarks *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
