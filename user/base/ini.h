/* SPDX-License-Identifier: MIT */
/* Reads INI files (configuration, policy and state) with libinih, strictly: what the library would cut, join or skip is
 * an error here, and every error names file and line. */
#ifndef OHGUARD_INI_H
#define OHGUARD_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Room for a name of 253 bytes and more. */
#define INI_LINE_MAX 1024

/* Called for each [section], with key and value NULL, and for each "key = value" with its section ("" before the
 * first). Returns 0, or a negative errno with *e filled in: file and line are put before its text. */
typedef int (*ini_visit)(void *context, const char *section, const char *key, const char *value,
			 struct error *e);

/* Walks the file. Refuses a file that is not regular, belongs to neither root nor the caller, or is writable by group
 * or others; and a line that is too long or neither a section, a pair nor a comment.
 * 0, -ENOENT (no such file; *e is filled in too), or another negative errno. */
int ini_read(const char *path, ini_visit visit, void *context, struct error *e);

/* The two halves of it: reads a file whole, for free() (anyones: whoever owns it, and whoever may write it); and walks
 * such a text, whose errors name path. *ret_line, unless it is NULL, is the line for which visit is called, from 1. */
int ini_load(const char *path, bool anyones, char **ret_text, size_t *ret_size, struct error *e);
int ini_walk(const char *path, const char *text, size_t size, unsigned int *ret_line, ini_visit visit, void *context,
	     struct error *e);

#endif
