/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4) of a block of memory. */
#ifndef OHGUARD_SHA256_H
#define OHGUARD_SHA256_H

#include <stddef.h>
#include <stdint.h>

void sha256(const void *data, size_t size, uint8_t ret[32]);

#endif
