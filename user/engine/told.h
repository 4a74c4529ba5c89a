/* SPDX-License-Identifier: MIT */
/* What the kernel has told of refusals, read without taking anything from it. */
#ifndef OHGUARD_TOLD_H
#define OHGUARD_TOLD_H

#include "engine/engine.h"

/* Calls back for each event that nobody has taken yet, oldest first. */
typedef void (*told_event)(void *context, const struct oh_event *event);
int told_peek(const struct engine *engine, told_event each, void *context, struct error *e);

/* Reads how often each refusal has occurred that was told lately: at most `room` of them, in no order. Returns how
 * many, or a negative errno. */
int told_read_folds(const struct engine *engine, struct oh_folded *ret, uint32_t room, struct error *e);

/* The allowed target that an address belongs to, as "github.com:443". False: none. */
bool told_find_target(const struct engine *engine, const struct oh_address *address, char ret[OH_TARGET_TEXT_MAX]);

#endif
