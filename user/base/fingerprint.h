/* SPDX-License-Identifier: MIT */
/* Tells apart two lists that are walked in the same order: 64-bit FNV-1a. No defence against an adversary. */
#ifndef OHGUARD_FINGERPRINT_H
#define OHGUARD_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

#define FINGERPRINT_START 0xcbf29ce484222325

/* Adds these bytes to a fingerprint. */
uint64_t fingerprint_add(uint64_t print, const void *bytes, size_t size);

#endif
