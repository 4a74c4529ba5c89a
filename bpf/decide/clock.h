/* SPDX-License-Identifier: GPL-2.0-only */
/* The clock that expiries use. It is separate, since a proof replaces it with its own. */
#ifndef OHGUARD_BPF_CLOCK_H
#define OHGUARD_BPF_CLOCK_H

#include <ohguard/abi.h>

#include <bpf/bpf_helpers.h>

/* Seconds of CLOCK_BOOTTIME. */
static __always_inline __u32 oh_now(void)
{
	return bpf_ktime_get_boot_ns() / 1000000000;
}

#endif
