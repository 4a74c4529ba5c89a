/* SPDX-License-Identifier: MIT */
/* Which suffixes may be allowed. */
#ifndef OHGUARD_SUFFIX_H
#define OHGUARD_SUFFIX_H

#include "policy/target.h"

/* Refuses a suffix under which anyone can register a name (publicsuffix.org). ask: it is for asking only.
 * 0, or -EINVAL with *e filled in. */
int suffix_check(const struct target *t, bool ask, struct error *e);

#endif
