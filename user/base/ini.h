/* SPDX-License-Identifier: MIT */
/* Reads INI files (configuration, policy and state) with libinih, strictly: what the library would cut, join or skip is
 * an error here, and every error names file and line. */
#ifndef OHGUARD_INI_H
#define OHGUARD_INI_H

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

/* The same, and hands out the bytes that were read, since the file may change. Free *ret_text; on failure there is
 * none. */
int ini_read_text(const char *path, ini_visit visit, void *context, char **ret_text, size_t *ret_size, struct error *e);

#endif
