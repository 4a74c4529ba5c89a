/* SPDX-License-Identifier: MIT */
/* Queries that wait for an answer under `load --ask`. Once there is one, their senders are told at once. Who is not
 * told asks again by itself, so what finds no room here is only slower. */
#ifndef OHGUARD_HELD_H
#define OHGUARD_HELD_H

#include "engine/engine.h"
#include "engine/inject.h"

struct held;

int held_open(struct held **ret, struct error *e);
void held_free(struct held *h);
void held_add(struct held *h, const struct oh_refused *query);
bool held_any(const struct held *h);
/* Looks at the questions, and answers the queries whose question is over. */
void held_settle(struct held *h, const struct engine *engine, struct inject *inject);

#endif
