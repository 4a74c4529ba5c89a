// SPDX-License-Identifier: MIT
#include "base/clock.h"

#include <time.h>

static int64_t nanoseconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_boot_ns(void)
{
	return nanoseconds(CLOCK_BOOTTIME);
}

int64_t clock_boot(void)
{
	return nanoseconds(CLOCK_BOOTTIME) / 1000000000;
}

int64_t clock_monotonic_ms(void)
{
	return nanoseconds(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_monotonic(void)
{
	return nanoseconds(CLOCK_MONOTONIC) / 1000000000;
}

int64_t clock_boot_at(void)
{
	/* rounded to a tenth before it is cut: else two calls could differ by the time between the two readings */
	return (nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_BOOTTIME) + 50000000) / 100000000 / 10;
}
