/* SPDX-License-Identifier: MIT */
/* Sections and keys that do not exist: which one was meant. */
#ifndef OHGUARD_MISSPELT_H
#define OHGUARD_MISSPELT_H

#include "base/error.h"

/* Says that there is no such key (NULL: no such section), and which of those that exist is near. Returns -EINVAL. */
int misspelt(const char *section, const char *key, struct error *e);

#endif
