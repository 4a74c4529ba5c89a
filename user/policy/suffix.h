/* SPDX-License-Identifier: MIT */
/* Which suffixes may be allowed: those below which nobody else can have a name, by the Public Suffix List. */
#ifndef OHGUARD_SUFFIX_H
#define OHGUARD_SUFFIX_H

#include <stdbool.h>

#include "policy/target.h"

#define SUFFIX_FILE "/usr/share/publicsuffix/public_suffix_list.dat"
#define SUFFIX_RULE_MAX 256

/* Reads the list anew: the one in this binary, and with it the rules of the file where that one is newer. Otherwise it
 * is read when it is first needed, with SUFFIX_FILE. 0, or a negative errno with *e filled in. */
int suffix_read(const char *file, struct error *e);

/* Whether anyone can have a name below the target's suffix. ret then says below which name: its own, or one further
 * down. False for all but suffixes; true where there is no list. */
bool suffix_is_wide(const struct target *t, char ret[SUFFIX_RULE_MAX]);

/* Refuses a wide suffix, unless the target says that it is meant. ask: it is for asking only. 0, or -EINVAL with *e
 * filled in. */
int suffix_check(const struct target *t, bool ask, struct error *e);

#endif
