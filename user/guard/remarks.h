/* SPDX-License-Identifier: MIT */
/* What `status` has to say: sentences, one after the other. */
#ifndef OHGUARD_REMARKS_H
#define OHGUARD_REMARKS_H

#include <stddef.h>

#define REMARKS_MAX 16
#define REMARK_MAX 512

struct remarks {
	char list[REMARKS_MAX][REMARK_MAX];
	size_t count;
};

/* Adds one; what finds the list full is left out. */
void remark(struct remarks *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
