/* SPDX-License-Identifier: MIT */
/* What would have to be allowed, so that what the history tells could pass: the smallest list, by names. */
#ifndef OHGUARD_HISTORY_WANTED_H
#define OHGUARD_HISTORY_WANTED_H

#include "history/record.h"
#include "policy/policy.h"

enum wanted_kind {
	WANTED_TARGET,		/* a line of [allow] */
	WANTED_NAME,		/* asked for, but nothing was connected to it: a line of [dns] name */
	WANTED_OTHER,		/* no target allows it: target.range has the address, reason says why */
};

struct wanted_item {
	enum wanted_kind kind;
	struct target target;
	struct oh_address at;	/* WANTED_TARGET of a TLS name: where it was given; all zero: elsewhere */
	uint8_t reason, protocol;
	uint64_t count;
};

struct wanted {
	struct wanted_item *list;
	size_t count;
	uint64_t left_out;	/* more than WANTED_MAX */
};
#define WANTED_MAX 4096

/* 0, or -ENOMEM with *e filled in. A record that needs nothing is ignored. */
int wanted_add(struct wanted *w, const struct history_record *record, struct error *e);
/* Drops what something else on the list makes superfluous, or what `policy` allows (NULL: nothing), and sorts. Names
 * below one of the suffixes (NULL ends them, or is none) become that suffix. */
int wanted_finish(struct wanted *w, const struct policy *policy, const char *const *suffixes, struct error *e);
void wanted_free(struct wanted *w);

/* "github.com", "192.0.2.1:22", "plain.example:80 sni=off", as the configuration takes it. Returns buffer. */
#define WANTED_TEXT_MAX (OH_TARGET_TEXT_MAX + 16)
const char *wanted_text(const struct wanted_item *item, char buffer[WANTED_TEXT_MAX]);

/* As sections of a configuration. */
void wanted_print(FILE *out, const struct wanted *w);

#endif
