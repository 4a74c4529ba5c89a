/* SPDX-License-Identifier: MIT */
/* Keeps the history: makes records of events, adds repeats up, and writes both. A first occurrence is written at once,
 * its repeats are added up and written later, so that a program that tries every second does not fill the disk. */
#ifndef OHGUARD_HISTORY_WRITER_H
#define OHGUARD_HISTORY_WRITER_H

#include "base/error.h"
#include "engine/engine.h"
#include "history/record.h"
#include "policy/config.h"

struct history_writer;

/* path, mark and limits: as of history_log_open(). If that fails it is tried again later, and history_writer_problem()
 * says why: -ENOMEM alone is returned. */
int history_writer_open(const char *instance, const char *path, const char *mark, const struct config_history *limits,
			const struct engine *engine, struct history_writer **ret, struct error *e);
/* Writes what was not yet, and frees it. */
void history_writer_close(struct history_writer *writer);

/* An event that was taken from the buffer. */
void history_writer_take(struct history_writer *writer, const struct oh_event *event);
/* Now and then: takes up what the kernel has counted, and writes the repeats that are due. */
void history_writer_tick(struct history_writer *writer, int64_t now);

/* Why nothing is written at present, or NULL. */
const char *history_writer_problem(const struct history_writer *writer);

#endif
