/* SPDX-License-Identifier: MIT */
/* For CBMC: a clock that stands still at any second. */
#ifndef OHGUARD_BPF_CLOCK_H
#define OHGUARD_BPF_CLOCK_H

static __u32 proof_now;

static inline __u32 oh_now(void)
{
	return proof_now;
}

#endif
