/* SPDX-License-Identifier: MIT */
/* The key of `lock`: 32 random bytes in a file, as 64 hexadecimal digits. The kernel only gets its hash. */
#ifndef OHGUARD_LOCK_KEY_H
#define OHGUARD_LOCK_KEY_H

#include <ohguard/lock.h>
#include <stdbool.h>

#include "base/error.h"

#define LOCK_KEY_FILE "/etc/ohguard/lock.key"

/* Makes a key at path if there is none. The file has mode 0600 before it holds anything. */
int lock_key_make(const char *path, struct error *e);
/* Reads the key at path and gives its hash. Refuses a file that anyone but its owner may read or write. */
int lock_key_read(const char *path, __u8 ret[OH_LOCK_KEY_MAX], struct error *e);
/* Copies the key at path to a new file, mode 0600. -EEXIST if there is one. */
int lock_key_copy(const char *path, const char *to, struct error *e);
/* Takes the same time wherever they differ. */
bool lock_key_equal(const __u8 a[OH_LOCK_KEY_MAX], const __u8 b[OH_LOCK_KEY_MAX]);

#endif
