/* SPDX-License-Identifier: MIT */
/* The keys of the configuration, and what each of their values does to it. */
#ifndef OHGUARD_KEYS_H
#define OHGUARD_KEYS_H

#include "policy/config.h"

struct config_key {
	const char *section, *key;
	/* 0, or a negative errno with *e filled in: the value is bad. */
	int (*set)(struct config *c, const char *value, struct error *e);
	bool repeated;		/* each line adds a value; of any other key the last one counts */
	const char *fallback;	/* the value that it has without a line; NULL: see otherwise */
	const char *otherwise;	/* what holds without a line, in words */
};
extern const struct config_key config_keys[];
extern const size_t config_key_count;
#define CONFIG_KEYS_MAX 64

/* NULL: there is no such key. With key NULL, any key of the section. */
const struct config_key *config_key(const char *section, const char *key);

/* For what holds without a line. */
int config_add_target(struct config *c, const struct target *t, struct error *e);
int config_add_inbound(struct config *c, uint16_t port, uint16_t more, const struct oh_range *range, struct error *e);

/* Replaces its uplinks by these (NULL ends them), as lines of the file would. */
int config_set_uplinks(struct config *c, const char **values, struct error *e);

#endif
