/* SPDX-License-Identifier: GPL-2.0-only */
/* A query for a forbidden name is refused here. User space answers it with "no such name", since no cgroup hook can
 * write a packet. Nothing leaves, and if nobody answers the sender gets EPERM. */
#ifndef OHGUARD_BPF_HAND_OVER_H
#define OHGUARD_BPF_HAND_OVER_H

#include "decide/flow.h"
#include "maps.h"

#define OH_SOL_IP 0
#define OH_SOL_IPV6 41
#define OH_IP_RECVERR 11	/* linux/in.h */
#define OH_IPV6_RECVERR 25	/* linux/in6.h */

/* The egress hook returns this to drop a datagram and let its sender believe that it left. */
#define OH_EGRESS_ANSWERED 2

static __always_inline const struct oh_answerer *oh_answerer_alive(void)
{
	__u32 zero = 0;
	const struct oh_answerer *a = bpf_map_lookup_elem(&oh_answerer, &zero);

	return a && bpf_ktime_get_boot_ns() < a->until ? a : NULL;
}

/* The answering process makes raw sockets, and nobody else may. */
static __always_inline bool oh_is_answerer(void)
{
	const struct oh_answerer *a = oh_settings.answer ? oh_answerer_alive() : NULL;

	return a && a->pid == bpf_get_current_pid_tgid() >> 32;
}

/* 1 if the answering process got the packet. A global function, so that the verifier checks it once; so pid_name has
 * two arguments, the name from bit 32. */
__attribute__((noinline)) int oh_hand_over(struct __sk_buff *skb, __u64 netns, __u64 pid_name, __u64 cgroup,
					   __u32 reason)
{
	__u32 length = skb->len < OH_REFUSED_PACKET_MAX ? skb->len : OH_REFUSED_PACKET_MAX;
	struct oh_refused *r;

	if (!length || !oh_answerer_alive())
		return 0;
	r = bpf_ringbuf_reserve(&oh_refused, sizeof(*r), 0);
	if (!r)
		return 0;
	r->netns = netns;
	r->pid = pid_name;
	r->length = length;
	r->reason = reason;
	r->reserved = 0;
	r->cgroup = cgroup;
	r->name = pid_name >> 32;
	r->reserved2 = 0;
	length -= 1;	/* the verifier needs a bound that the compiler cannot undo, and no zero */
	asm volatile("%0 &= %1" : "+r"(length) : "i"(OH_REFUSED_PACKET_MAX - 1));
	if (bpf_skb_load_bytes(skb, 0, r->packet, length + 1)) {
		bpf_ringbuf_discard(r, 0);
		return 0;
	}
	bpf_ringbuf_submit(r, 0);
	return 1;
}

/* The egress hook's return value for a refused packet. A TCP segment is always dropped: the answer ends its
 * connection. */
static __always_inline int oh_answer_refused(struct __sk_buff *skb, const struct oh_flow *f,
					     const struct oh_connection *c, enum oh_reason reason)
{
	if (!oh_settings.answer || !c || f->options)
		return 0;
	if (f->protocol == OH_PROTOCOL_TCP) {
		if (c->refused && (f->payload_length || (c->asked && oh_opens(f))))
			oh_hand_over(skb, c->netns, c->owner.pid, 0, reason);
		return 0;
	}
	return reason == OH_DNS_NAME_NOT_ALLOWED && oh_hand_over(skb, c->netns, c->owner.pid, 0, reason) ?
	       OH_EGRESS_ANSWERED : 0;
}

/* A datagram socket that queues its errors, as glibc's resolver does, gets ENOBUFS for a dropped packet and would not
 * wait for the answer. So that option is ignored. Returns the option's new length, -1: ignored. */
static __always_inline int oh_filter_option(const struct bpf_sockopt *ctx)
{
	bool wish = (ctx->level == OH_SOL_IP && ctx->optname == OH_IP_RECVERR) ||
		    (ctx->level == OH_SOL_IPV6 && ctx->optname == OH_IPV6_RECVERR);

	if (wish && ctx->sk && ctx->sk->type == SOCK_DGRAM && ctx->sk->protocol == OH_PROTOCOL_UDP)
		return -1;
	return ctx->optlen > 4096 ? 0 : ctx->optlen;	/* 5.10 returns EFAULT if more is left unchanged */
}

#endif
