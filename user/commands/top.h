/* SPDX-License-Identifier: MIT */
/* What was refused most lately, and to which programs: from the history's newest file alone, so asking is cheap. */
#ifndef OHGUARD_TOP_H
#define OHGUARD_TOP_H

#include "base/error.h"
#include "base/json.h"

#define TOP_SECONDS 86400
#define TOP_MAX 10

struct top {
	struct top_entry {
		char *text;
		uint64_t refused;
	} list[TOP_MAX];
	size_t count;
};

int top_read(const char *history, int64_t since, struct top *ret_wanted, struct top *ret_programs, struct error *e);
void top_free(struct top *top);

void top_json(struct json *j, const char *key, const struct top *top);
void top_text(const char *title, const struct top *top);

#endif
