/* SPDX-License-Identifier: MIT */
/* `load --confirm`: who goes back when nobody confirms. */
#ifndef OHGUARD_GOING_BACK_H
#define OHGUARD_GOING_BACK_H

#include "guard/back.h"

/* Keeps what is in force, and starts a process that goes back to it after that many seconds. */
int going_back_begin(const struct guard *g, const struct guard_options *options, uint64_t seconds, struct error *e);
/* Waits until it is time. False: confirmed, or nothing to go back to. */
bool going_back_wait(const struct guard_options *options);
/* Goes back at once if it is time and that process is gone: for every `refresh`. *ret_deadline: when it will be, in
 * seconds of CLOCK_REALTIME; 0: nothing waits. */
void going_back_if_due(const struct guard *g, const struct guard_options *options, int64_t *ret_deadline);

#endif
