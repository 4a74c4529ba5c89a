/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a forwarded frame's source is in a network that this machine forwards for: the route back to it must differ
 * from the frame's own way out. */
#ifndef OHGUARD_BPF_BEHIND_H
#define OHGUARD_BPF_BEHIND_H

#include "decide/source.h"
#include "payload/resent.h"

static __always_inline bool oh_found_route(long result)
{
	return result == BPF_FIB_LKUP_RET_SUCCESS || result == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       result == BPF_FIB_LKUP_RET_FRAG_NEEDED;
}

/* The current frame. The route to its source must use the device it came in by. If that is a bridge port, it may also
 * lead directly to a neighbour over a device other than the one the frame leaves by. A default route by a gateway is
 * neither. */
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
	/* the lookup replaces the requested address with a gateway's */
	if (fr->flow.family == 4)
		differ = route.family == OH_FAMILY_INET ? route.ipv4_dst ^ fr->flow.source.word[3] : 1;
	for (int i = 0; fr->flow.family == 6 && i < 4; i++)
		differ |= route.ipv6_dst[i] ^ fr->flow.source.word[i];
	return !differ && route.ifindex != skb->ifindex;
}

/* Checks the source of a frame that no guarded socket sent, if its rule does not fix who gets the answer. An unguarded
 * local socket may use any address of its own namespace. Forwarded frames may also have one behind this machine. */
static __always_inline bool oh_is_frame_own(struct __sk_buff *skb, const struct oh_frame *fr, enum oh_reason reason)
{
	return !oh_must_own_source(&fr->flow, reason, &fr->admission) || oh_is_source_own(skb, &fr->flow, true) ||
	       (fr->flow.forwarded && oh_is_from_behind(skb));
}

#endif
