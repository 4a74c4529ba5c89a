/* SPDX-License-Identifier: MIT */
/* What the binary holds compressed. */
#ifndef OHGUARD_UNPACK_H
#define OHGUARD_UNPACK_H

#include <stddef.h>

/* What is compressed (RFC 1952) between start and end, at most max bytes, with a NUL behind it. Free it. NULL: out of
 * memory, or no such thing. */
void *unpack(const unsigned char *start, const unsigned char *end, size_t max, size_t *ret_size);

#endif
