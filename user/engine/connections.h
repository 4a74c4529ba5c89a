/* SPDX-License-Identifier: MIT */
/* Open connections of the guarded sockets. */
#ifndef OHGUARD_CONNECTIONS_H
#define OHGUARD_CONNECTIONS_H

#include "engine/engine.h"

/* Ends those whose target was taken back. Their packets are refused anyway, but a program that waits would not notice:
 * now it gets ECONNABORTED at once. If the kernel cannot do that (no CONFIG_INET_DIAG_DESTROY), they stay refused and
 * silent. */
void connections_end(const struct engine *engine);

#endif
