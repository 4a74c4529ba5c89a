/* SPDX-License-Identifier: MIT */
/* Sends records to systemd's journal by its own protocol, as fields: `journalctl OHGUARD_REASON=fragment`. */
#ifndef OHGUARD_HISTORY_JOURNAL_H
#define OHGUARD_HISTORY_JOURNAL_H

#include "history/record.h"

#define HISTORY_JOURNAL "/run/systemd/journal/socket"

/* A descriptor, or -1: there is no journal, which is no error. */
int history_journal_open(void);
/* line_hash: of its line in the file. What the journal does not take at once is left out: it is in the file. */
void history_journal_send(int journal, const char *instance, const struct history_record *record,
			  const char *line_hash);

#endif
