/* SPDX-License-Identifier: MIT */
/* The kernel itself keeps what it learned from answers. Here only expired entries are removed.
 * boot: seconds since the machine started. */
#ifndef OHGUARD_PUBLISH_ANSWERS_H
#define OHGUARD_PUBLISH_ANSWERS_H

#include "engine/engine.h"

int publish_sweep_answers(const struct engine *engine, __u32 boot, struct error *e);

#endif
