/* SPDX-License-Identifier: MIT */
/* What to type to allow what was refused. */
#ifndef OHGUARD_ADVICE_H
#define OHGUARD_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history/record.h"
#include "policy/policy.h"

#define ADVICE_MAX 400
#define ADVICE_ALLOW "ohguard allow "	/* how a line begins that is such a command */
#define ADVICE_PLAIN " --sni off"	/* and may end */

/* The command ("ohguard allow github.com:22 --sni off") or the line of the configuration ("[inbound] accept = 8000
 * 10.0.0.7") that would allow what the record says. It is safe to paste, whatever the record holds. -ENOENT: nothing
 * would, and line says why. */
int advice(const struct history_record *record, const struct policy *policy, char *line, size_t size);

/* Whether a TCP port hardly speaks TLS: a name at it wants sni=off. */
bool advice_is_plain(uint16_t port);

/* The same for a target that is not allowed; sni=off where its port hardly speaks TLS. */
void advice_for_target(const struct target *target, char *line, size_t size);

#endif
