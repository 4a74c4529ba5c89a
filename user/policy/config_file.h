/* SPDX-License-Identifier: MIT */
/* Where the configuration comes from: its files, as one text, and their lines. */
#ifndef OHGUARD_CONFIG_FILE_H
#define OHGUARD_CONFIG_FILE_H

#include "policy/config.h"

#define CONFIG_PLACE "/etc/ohguard"
#define CONFIG_FILE CONFIG_PLACE "/ohguard.conf"
/* Its files NAME.conf are read after that one, in the order of their names. */
#define CONFIG_FOLDER CONFIG_PLACE "/conf.d"

/* Reads path, or if path is NULL CONFIG_FILE and CONFIG_FOLDER: only then a missing file means all defaults.
 * 0, or a negative errno with *e filled in and *ret zeroed. */
int config_read(const char *path, struct config *ret, struct error *e);
/* Frees what it holds, and zeroes it. */
void config_free(struct config *c);
/* The same for the copy that is in force already: a newer list of suffixes does not change what it allows. */
int config_read_loaded(const char *path, struct config *ret, struct error *e);
/* What an empty file gives. */
int config_default(struct config *ret, struct error *e);

/* The text of path, or if path is NULL that of CONFIG_FILE and of all files in CONFIG_FOLDER, each with a line before
 * it that names its file. Free *ret_text, which is NULL where there is no file. */
int config_text(const char *path, char **ret_text, size_t *ret_size, struct error *e);
/* Why nothing can make a target of that address of the metadata service, NULL for others. */
const char *config_bars(const struct config *c, const struct target *t);
/* Whether path alone is a configuration, whoever owns it. */
int config_check(const char *path, struct error *e);

/* A line that gives a key its value. */
struct config_key;	/* keys.h */
struct config_line {
	const struct config_key *key;
	const char *value, *file;	/* until the call returns */
	unsigned int line;
};
/* Returns 0 to go on, or a negative errno with *e filled in. */
typedef int (*config_visit)(void *context, const struct config_line *line, struct error *e);
/* Walks its lines in their order. path: what it was read from. */
int config_walk(const struct config *c, const char *path, config_visit each, void *context, struct error *e);

#endif
