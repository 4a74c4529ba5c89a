/* SPDX-License-Identifier: GPL-2.0-only */
/* The counters and events of every hook, LSM's too. */
#ifndef OHGUARD_BPF_COUNTERS_H
#define OHGUARD_BPF_COUNTERS_H

#include <ohguard/abi.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OH_COUNTS);
	__type(key, __u32);
	__type(value, struct oh_count);
} oh_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, OH_EVENTS_BYTES);
} oh_events SEC(".maps");

#endif
