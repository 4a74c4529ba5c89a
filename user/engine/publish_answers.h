/* SPDX-License-Identifier: MIT */
/* What the kernel learned from answers is its own: here only what is over is taken out. */
#ifndef OHGUARD_PUBLISH_ANSWERS_H
#define OHGUARD_PUBLISH_ANSWERS_H

#include "engine/engine.h"

int publish_sweep_answers(const struct engine *engine, struct error *e);

#endif
