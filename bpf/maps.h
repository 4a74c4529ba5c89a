/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps, and read-only data. Policy comes from the user side alone; connections from the hooks alone. */
#ifndef OHGUARD_BPF_MAPS_H
#define OHGUARD_BPF_MAPS_H

#include <ohguard/abi.h>

#include <bpf/bpf_helpers.h>

#include "counters.h"
#include "parse/name_key.h"

/* Allowed addresses, from the user side. Not preallocated: memory grows with the list, not with its bound. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OH_ADDRESSES_DEFAULT);
	__type(key, struct oh_address);
	__type(value, struct oh_entry);
} oh_addresses SEC(".maps");

/* Allowed ranges: read only if oh_addresses does not admit. An entry repeats the grants of the ranges that contain it,
 * since a lookup finds only the longest match. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OH_RANGES_MAX);
	__type(key, struct oh_range);
	__type(value, struct oh_entry);
} oh_ranges SEC(".maps");

/* Addresses in answers to the workload's own queries. Only the kernel adds, and only the user side removes: so neither
 * source shortens what the other proved. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OH_ANSWERS_MAX);
	__type(key, struct oh_address);
	__type(value, struct oh_entry);
} oh_learned SEC(".maps");

/* Names that CNAMEs lead to: the same, for names. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OH_OPENED_MAX);
	__type(key, struct oh_name_key);
	__type(value, struct oh_entry);
} oh_opened SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OH_PENDING_MAX);
	__type(key, struct oh_pending_key);
	__type(value, struct oh_dns_pending);
} oh_pending SEC(".maps");

/* The time when all requests to a time server so far are paid for: nanoseconds of CLOCK_BOOTTIME. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OH_TIME_SERVERS_MAX);
	__type(key, struct oh_address);
	__type(value, __u64);
} oh_ntp_paid SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OH_TARGETS_MAX);
	__type(key, __u32);
	__type(value, struct oh_target);
} oh_targets SEC(".maps");

/* Names that may be queried, and given to TLS servers. An entry repeats the rules of the suffixes that cover it. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OH_NAMES_MAX);
	__type(key, struct oh_name_key);
	__type(value, struct oh_name_entry);
} oh_names SEC(".maps");

/* This machine's own addresses: packets to them are loopback, but a connect hook knows no interface. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OH_LOCAL_MAX);
	__type(key, struct oh_address);
	__type(value, __u8);
} oh_local SEC(".maps");

/* Networks on this machine, and its own addresses for queries by a container; and the bridges that lead nowhere else.
 * The value is the network's interface, 0: an own address. The user side writes both: see user/engine/inside.h. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OH_INSIDE_MAX);
	__type(key, struct oh_range);
	__type(value, __u32);
} oh_inside SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OH_BRIDGES_MAX);
	__type(key, __u32);
	__type(value, __u8);
} oh_bridges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct oh_control);
} oh_control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct oh_connection);
} oh_connections SEC(".maps");

/* Connections over an uplink that the far side has answered. They are for packets without a socket what oh_connections
 * is for the others, and identify replies. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OH_FLOWS_MAX);
	__type(key, struct oh_flow_key);
	__type(value, struct oh_connection);
} oh_flows SEC(".maps");

/* Packets let out over an uplink and not answered yet. A flood of SYNs ends here. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OH_OPENINGS_MAX);
	__type(key, struct oh_flow_key);
	__type(value, struct oh_opening);
} oh_openings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct oh_answerer);
} oh_answerer SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, OH_REFUSED_BYTES);
} oh_refused SEC(".maps");

/* Under --observe: the name whose answer held the address last. Last letter first, as in an event. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OH_SEEN_MAX);
	__type(key, struct oh_address);
	__uint(value_size, OH_EVENT_NAME_MAX);
} oh_seen SEC(".maps");

/* What was asked under `load --ask`. Only the user side removes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OH_QUESTIONS_MAX);
	__type(key, struct oh_question_key);
	__type(value, struct oh_question);
} oh_questions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OH_TARGETS_MAX);
	__type(key, __u32);
	__type(value, struct oh_use);
} oh_target_use SEC(".maps");

const volatile struct oh_settings oh_settings = {};

#endif
