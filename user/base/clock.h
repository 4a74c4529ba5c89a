/* SPDX-License-Identifier: MIT */
/* The clocks: the kernel side counts from boot, files and people by the calendar. */
#ifndef OHGUARD_CLOCK_H
#define OHGUARD_CLOCK_H

#include <stdint.h>

/* Seconds of CLOCK_BOOTTIME. */
int64_t clock_boot(void);
int64_t clock_boot_ns(void);

int64_t clock_monotonic_ms(void);
/* Seconds of CLOCK_MONOTONIC, for durations. Time in suspend does not count. */
int64_t clock_monotonic(void);

/* Seconds of CLOCK_REALTIME at which CLOCK_BOOTTIME was 0: the same at each call, unless someone set the clock. */
int64_t clock_boot_at(void);

#endif
