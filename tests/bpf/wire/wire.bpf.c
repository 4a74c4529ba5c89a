// SPDX-License-Identifier: MIT
/* The packet parsers as programs: to see that they verify, to time them, and to compare with the host build. */
#include <linux/bpf.h>
#include <linux/types.h>

#include "parse/dns_answer.h"
#include "parse/dns_query.h"
#include "parse/ntp.h"
#include "parse/tls_client.h"
#include "wire.h"

char wire_license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct oh_name_key);
	__type(value, __u32);
} wire_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct oh_dns_pending);
} wire_pending SEC(".maps");

/* As the engine would: take a slot, parse, look up, release. */
OH_INLINE int wire_allowed(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);

	return s && bpf_map_lookup_elem(&wire_names, oh_key(s)) ? 0 : WIRE_REFUSED;
}

OH_INLINE int wire_query_run(struct __sk_buff *skb)
{
	__u32 slot = oh_scratch_take();
	int r;

	if (slot >= OH_SLOTS)
		return WIRE_BUSY;
	r = oh_dns_query(skb, WIRE_OFF(skb), WIRE_LEN(skb), slot);
	if (!r)
		r = wire_allowed(slot);
	oh_scratch_release(slot);
	return r;
}

OH_INLINE int wire_hello_run(struct __sk_buff *skb)
{
	__u32 slot = oh_scratch_take();
	int r;

	if (slot >= OH_SLOTS)
		return WIRE_BUSY;
	r = oh_tls_hello(skb, WIRE_OFF(skb), WIRE_LEN(skb), slot);
	if (!r)
		r = wire_allowed(slot);
	oh_scratch_release(slot);
	return r;
}

/* The same in two parts, cut behind as many bytes as the mark says. */
OH_INLINE int wire_parts_run(struct __sk_buff *skb)
{
	__u32 slot = oh_scratch_take(), at = skb->mark;
	struct oh_scratch *s;
	int r;

	if (slot >= OH_SLOTS)
		return WIRE_BUSY;
	r = oh_tls_hello(skb, WIRE_OFF(skb), at, slot);
	if (r == OH_HELLO_INCOMPLETE)
		r = oh_tls_hello(skb, WIRE_OFF(skb), WIRE_LEN(skb), slot);
	else if (r == OH_HELLO_NAMED)
		r = oh_tls_client(skb, WIRE_OFF(skb) + at, WIRE_LEN(skb) - at, slot);
	s = oh_scratch(slot);
	if (r == OH_HELLO_NAMED && s && !OH_MEM(s->rest.hello))
		r = OH_HELLO_COMPLETE;
	if (!r)
		r = wire_allowed(slot);
	oh_scratch_release(slot);
	return r;
}

OH_INLINE int wire_answer_run(struct __sk_buff *skb)
{
	__u32 slot = oh_scratch_take(), zero = 0;
	struct oh_dns_pending *asked = bpf_map_lookup_elem(&wire_pending, &zero);
	struct oh_scratch *s = oh_scratch(slot);
	int r;

	if (slot >= OH_SLOTS || !s || !asked)
		return WIRE_BUSY;
	r = oh_dns_answer(skb, WIRE_OFF(skb), WIRE_LEN(skb), s, asked, slot);
	oh_scratch_release(slot);
	return r;
}

OH_INLINE int wire_ntp_run(struct __sk_buff *skb)
{
	return oh_ntp_request(skb, WIRE_OFF(skb), WIRE_LEN(skb), skb->mark);
}

/* tc returns any number; cgroup_skb, where the engine lives, returns a verdict. */
#define WIRE_PROGRAMS(name)                                                                                            \
	SEC("classifier") int tc_##name(struct __sk_buff *skb) { return wire_##name##_run(skb); }                      \
	SEC("cgroup_skb/egress") int cg_##name(struct __sk_buff *skb) { return wire_##name##_run(skb) == 0; }

SEC("classifier") int tc_empty(struct __sk_buff *skb)
{
	(void)skb;
	return 0;
}

WIRE_PROGRAMS(query)
WIRE_PROGRAMS(answer)
WIRE_PROGRAMS(hello)
WIRE_PROGRAMS(parts)
WIRE_PROGRAMS(ntp)
