/* SPDX-License-Identifier: MIT */
/* Whether somebody answers refused packets: the one process that does says so again and again in oh_answerer. */
#ifndef OHGUARD_ANSWERER_H
#define OHGUARD_ANSWERER_H

#include <stdbool.h>

#include "engine/engine.h"

/* This process answers from now on for OH_ANSWERER_ALIVE nanoseconds; false: nobody does any more. */
int answerer_beat(const struct engine *engine, bool alive, struct error *e);
bool answerer_is_alive(const struct engine *engine);

#endif
