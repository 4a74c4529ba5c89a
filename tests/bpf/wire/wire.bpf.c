/* The packet parsers as programs: to see that they verify, to time them, and to compare with the host build. */
#include <linux/bpf.h>
#include <linux/types.h>

#include "../../../bpf/dns_answer.h"
#include "../../../bpf/dns_query.h"
#include "../../../bpf/ntp.h"
#include "../../../bpf/tls_hello.h"
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

/* As the engine would: begin, parse, look up, act only on a scratch that was kept. */
OH_INLINE int wire_allowed(struct oh_scratch *s, __u64 stamp)
{
	__u32 *rule = bpf_map_lookup_elem(&wire_names, oh_key(s));

	if (!oh_scratch_kept(s, stamp))
		return WIRE_BUSY;
	return rule ? 0 : WIRE_REFUSED;
}

OH_INLINE int wire_query_run(struct __sk_buff *skb)
{
	struct oh_scratch *s = oh_scratch();
	__u64 stamp;
	int r;

	if (!s)
		return WIRE_BUSY;
	stamp = oh_scratch_begin(s);
	r = oh_dns_query(skb, WIRE_OFF(skb), WIRE_LEN(skb));
	return r ? r : wire_allowed(s, stamp);
}

OH_INLINE int wire_hello_run(struct __sk_buff *skb)
{
	struct oh_scratch *s = oh_scratch();
	__u64 stamp;
	int r;

	if (!s)
		return WIRE_BUSY;
	stamp = oh_scratch_begin(s);
	r = oh_tls_hello(skb, WIRE_OFF(skb), WIRE_LEN(skb));
	return r ? r : wire_allowed(s, stamp);
}

OH_INLINE int wire_answer_run(struct __sk_buff *skb)
{
	struct oh_scratch *s = oh_scratch();
	struct oh_dns_pending *asked;
	__u32 zero = 0;

	asked = bpf_map_lookup_elem(&wire_pending, &zero);
	if (!s || !asked)
		return WIRE_BUSY;
	return oh_dns_answer(skb, WIRE_OFF(skb), WIRE_LEN(skb), s, asked);
}

OH_INLINE int wire_ntp_run(struct __sk_buff *skb)
{
	return oh_ntp_request(skb, WIRE_OFF(skb), WIRE_LEN(skb), skb->mark);
}

/* tc returns any number; cgroup_skb, where the engine lives, returns a verdict. */
#define WIRE_PROGRAMS(name)                                                                                            \
	SEC("tc") int tc_##name(struct __sk_buff *skb) { return wire_##name##_run(skb); }                              \
	SEC("cgroup_skb/egress") int cg_##name(struct __sk_buff *skb) { return wire_##name##_run(skb) == 0; }

SEC("tc") int tc_empty(struct __sk_buff *skb)
{
	(void)skb;
	return 0;
}

WIRE_PROGRAMS(query)
WIRE_PROGRAMS(answer)
WIRE_PROGRAMS(hello)
WIRE_PROGRAMS(ntp)
