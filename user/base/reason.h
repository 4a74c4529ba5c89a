/* SPDX-License-Identifier: MIT */
/* The names of the reasons, from the list that also makes the enum. */
#ifndef OHGUARD_REASON_H
#define OHGUARD_REASON_H

#include <ohguard/reasons.h>

/* NULL if there is no such reason. */
const char *reason_name(unsigned int reason);
const char *reason_text(unsigned int reason);

#endif
