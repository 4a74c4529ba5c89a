/* SPDX-License-Identifier: MIT */
/* Caches of names on this machine. */
#ifndef OHGUARD_CACHES_H
#define OHGUARD_CACHES_H

#include "base/error.h"

/* What a cache got before the guard was there, no answer has taught: empties the caches that are known and run, which
 * is systemd-resolved's. 0, or a negative errno with *e filled in. */
int caches_flush(struct error *e);

#endif
