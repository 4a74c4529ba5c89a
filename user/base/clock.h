/* SPDX-License-Identifier: MIT */
/* The clocks: the kernel side counts from boot, state files and people by the calendar. */
#ifndef OHGUARD_CLOCK_H
#define OHGUARD_CLOCK_H

#include <stdint.h>

/* Seconds of CLOCK_BOOTTIME. */
int64_t clock_boot(void);
int64_t clock_boot_ns(void);

int64_t clock_monotonic_ms(void);
/* Seconds of CLOCK_MONOTONIC: for how long something took, or may take. A suspended machine's do not count. */
int64_t clock_monotonic(void);

/* Seconds of CLOCK_REALTIME at which CLOCK_BOOTTIME was 0. The same at each call, but where the calendar was set. */
int64_t clock_boot_at(void);

#endif
