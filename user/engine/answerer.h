/* SPDX-License-Identifier: MIT */
/* Whether a process answers refused packets. The one that does says so again and again in oh_answerer. */
#ifndef OHGUARD_ANSWERER_H
#define OHGUARD_ANSWERER_H

#include <stdbool.h>

#include "engine/engine.h"

/* True: this process answers for the next OH_ANSWERER_ALIVE nanoseconds. False: nobody does any more. */
int answerer_beat(const struct engine *engine, bool alive, struct error *e);
bool answerer_is_alive(const struct engine *engine);

#endif
