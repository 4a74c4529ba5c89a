/* SPDX-License-Identifier: MIT */
/* Open connections of the guarded sockets. */
#ifndef OHGUARD_CONNECTIONS_H
#define OHGUARD_CONNECTIONS_H

#include "engine/engine.h"

/* Ends those whose target was taken back: their packets are refused from then on, and a program that waits for one
 * would not be told. It sees ECONNABORTED at once. Where the kernel cannot (no CONFIG_INET_DIAG_DESTROY) they stay as
 * they are, refused and silent. */
void connections_end(const struct engine *engine);

#endif
