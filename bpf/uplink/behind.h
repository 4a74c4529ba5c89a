/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a forwarded frame's source is of a network that this machine forwards for: the way back to it must not be the
 * way that the frame takes. */
#ifndef OHGUARD_BPF_BEHIND_H
#define OHGUARD_BPF_BEHIND_H

#include "decide/source.h"
#include "payload/resent.h"

static __always_inline bool oh_found_route(long result)
{
	return result == BPF_FIB_LKUP_RET_SUCCESS || result == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       result == BPF_FIB_LKUP_RET_FRAG_NEEDED;
}

/* The frame under way. The route to its source must lead over the device that it came in by; or, where that is a port
 * of a bridge, straight to a neighbour over another one than it leaves by. A default route by a gateway is neither. */
__attribute__((noinline)) int oh_is_from_behind(struct __sk_buff *skb)
{
	struct bpf_fib_lookup route = {};
	__u32 zero = 0, differ = 0;
	const struct oh_frame *fr = bpf_map_lookup_elem(&oh_frames, &zero);
	__u32 from = skb->ingress_ifindex;

	if (!fr || !from)
		return 0;
	route.ifindex = from;
	if (fr->flow.family == 4) {
		route.family = OH_FAMILY_INET;
		route.ipv4_src = fr->flow.destination.word[3];
		route.ipv4_dst = fr->flow.source.word[3];
	} else {
		route.family = OH_FAMILY_INET6;
		for (int i = 0; i < 4; i++) {
			route.ipv6_src[i] = fr->flow.destination.word[i];
			route.ipv6_dst[i] = fr->flow.source.word[i];
		}
	}
	if (!oh_found_route(bpf_fib_lookup(skb, &route, sizeof(route), 0)))
		return 0;
	if (route.ifindex == from)
		return 1;
	/* the lookup puts a gateway in place of what was asked for */
	if (fr->flow.family == 4)
		differ = route.family == OH_FAMILY_INET ? route.ipv4_dst ^ fr->flow.source.word[3] : 1;
	for (int i = 0; fr->flow.family == 6 && i < 4; i++)
		differ |= route.ipv6_dst[i] ^ fr->flow.source.word[i];
	return !differ && route.ifindex != skb->ifindex;
}

/* A frame that no guarded socket sent, as far as its rule leaves open to whom the answer goes. A socket of this machine
 * that is not guarded may have any address of its own namespace, what is forwarded also one behind this machine. */
static __always_inline bool oh_is_frame_own(struct __sk_buff *skb, const struct oh_frame *fr, enum oh_reason reason)
{
	return !oh_must_own_source(&fr->flow, reason, &fr->admission) || oh_is_source_own(skb, &fr->flow, true) ||
	       (fr->flow.forwarded && oh_is_from_behind(skb));
}

#endif
