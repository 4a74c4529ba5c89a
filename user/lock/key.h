/* SPDX-License-Identifier: MIT */
/* The key of `lock`: 32 random bytes in a file, as 64 hexadecimal digits. The kernel is told its hash only. */
#ifndef OHGUARD_LOCK_KEY_H
#define OHGUARD_LOCK_KEY_H

#include <ohguard/lock.h>
#include <stdbool.h>

#include "base/error.h"

#define LOCK_KEY_FILE "/etc/ohguard/lock.key"

/* Makes a key at path, mode 0600 before it holds anything, where there is no file; what is there is kept. */
int lock_key_make(const char *path, struct error *e);
/* Reads the key at path and gives its hash. A file that others than its owner may read or write is refused. */
int lock_key_read(const char *path, __u8 ret[OH_LOCK_KEY_MAX], struct error *e);
/* In a time that does not depend on where they differ. */
bool lock_key_equal(const __u8 a[OH_LOCK_KEY_MAX], const __u8 b[OH_LOCK_KEY_MAX]);

#endif
