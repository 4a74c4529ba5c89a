/* SPDX-License-Identifier: MIT */
/* Reads INI files (configuration, policy and state alike) with libinih, strictly: what the library would
 * cut, join or skip is an error here, and every error names file and line. */
#ifndef OHGUARD_INI_H
#define OHGUARD_INI_H

#include <stddef.h>

#include "base/error.h"

/* Room for a name of 253 bytes and what stands beside it. */
#define INI_LINE_MAX 1024

/* Called for each "key = value" with the section it stands in ("" before the first). Returns 0, or a
 * negative errno with *e filled in; file and line are put before its text. */
typedef int (*ini_visit)(void *context, const char *section, const char *key, const char *value,
			 struct error *e);

/* Walks the file. Refused: a file that is not a regular one, not root's (or the caller's) own, or writable by
 * group or others; a line that is too long or neither a section, a pair nor a comment.
 * 0, -ENOENT where there is no such file (*e is filled in as well), or another negative errno. */
int ini_read(const char *path, ini_visit visit, void *context, struct error *e);

/* The same, and hands out what was read, byte by byte: the file may be another by then. Free *ret_text; on failure
 * there is none. */
int ini_read_text(const char *path, ini_visit visit, void *context, char **ret_text, size_t *ret_size, struct error *e);

#endif
