/* SPDX-License-Identifier: MIT */
/* Prints what a change adds and removes. */
#ifndef OHGUARD_DIFFERENCE_H
#define OHGUARD_DIFFERENCE_H

#include "base/json.h"
#include "guard/rules.h"

/* Each returns how many lines differ. On a screen: as many as anyone reads; in JSON ("added", "removed"): all. */
size_t difference_print(const struct rules *before, const struct rules *after);
size_t difference_json(const struct rules *before, const struct rules *after, struct json *j);

#endif
