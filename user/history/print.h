/* SPDX-License-Identifier: MIT */
/* A record as text, for a pipe or for eyes. What is from outside is escaped. */
#ifndef OHGUARD_HISTORY_PRINT_H
#define OHGUARD_HISTORY_PRINT_H

#include "history/record.h"

/* Everything in one line without its newline, which never changes its order. */
void history_print_line(FILE *out, const struct history_record *record);
/* What was wanted: "github.com", "192.0.2.1:443/tcp", "reply from port 8000 to 192.0.2.7". */
void history_print_what(FILE *out, const struct history_record *record);
/* By whom: "curl in agent", "forwarded from docker0". */
void history_print_who(FILE *out, const struct history_record *record);
/* Why, and for a reply what to write. */
void history_print_why(FILE *out, const struct history_record *record);

/* What one of these prints, for free(). NULL: out of memory. */
char *history_text(void (*print)(FILE *out, const struct history_record *record), const struct history_record *record);

#endif
