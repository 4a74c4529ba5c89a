/* SPDX-License-Identifier: GPL-2.0-only */
/* A segment that its socket's own hook has just let out: at the uplink nothing is left to judge or count. While the
 * socket lives, the far side's answers are known by it, so the connection needs no flow. */
#ifndef OHGUARD_BPF_KNOWN_H
#define OHGUARD_BPF_KNOWN_H

#include "decide/source.h"
#include "payload/resent.h"
#include "uplink/flows.h"

#define OH_ETHERNET 14		/* header bytes: the user side refuses other links */

/* Reads a TCP segment behind the plainest IP header. */
static __always_inline bool oh_read_plain(struct __sk_buff *skb, struct oh_flow *f)
{
	const void *at = (const void *)(long)skb->data + OH_ETHERNET, *end = (const void *)(long)skb->data_end;
	const struct oh_ip4_header *ip4 = at;
	const struct oh_ip6_header *ip6 = at;
	const struct oh_tcp_header *tcp;

	if (skb->protocol == bpf_htons(OH_ETH_P_IP)) {
		tcp = at + sizeof(*ip4);
		if ((const void *)(tcp + 1) > end || ip4->version_length != 0x45 ||
		    ip4->fragment & bpf_htons(0x3fff) || ip4->protocol != OH_PROTOCOL_TCP)
			return false;
		f->family = 4;
		oh_address_from_ip4(&f->source, ip4->source);
		oh_address_from_ip4(&f->destination, ip4->destination);
	} else {
		tcp = at + sizeof(*ip6);
		if (skb->protocol != bpf_htons(OH_ETH_P_IPV6) || (const void *)(tcp + 1) > end ||
		    ip6->next != OH_PROTOCOL_TCP)
			return false;
		f->family = 6;
		f->source = ip6->source;
		f->destination = ip6->destination;
	}
	f->protocol = OH_PROTOCOL_TCP;
	f->source_port = bpf_ntohs(tcp->source);
	f->destination_port = bpf_ntohs(tcp->destination);
	f->tcp_flags = tcp->flags;
	return true;
}

/* A socket that is closed by a reset has given its port back before that leaves. */
static __always_inline bool oh_is_own_port(const struct bpf_sock *sk, const struct oh_flow *f)
{
	__u32 port = OH_MEM(sk->src_port);

	return f->source_port == port || (!port && f->tcp_flags & OH_TCP_RST);
}

/* Whether it is a segment of the socket's admitted connection, with both ends as the socket has them. Not after NAT or
 * in another network namespace, where an answer would not show the socket. Nor to a resolver: its answers are read by
 * their flow. Fills f. */
static __always_inline bool oh_is_known(struct __sk_buff *skb, const struct bpf_sock *sk,
					const struct oh_connection *own, struct oh_flow *f)
{
	struct oh_address near;

	if (!OH_MEM(own->admitted) || !own->home || own->port == OH_PORT_DNS || sk->type != SOCK_STREAM ||
	    !oh_read_plain(skb, f) || f->destination_port != own->port || !oh_is_own_port(sk, f) ||
	    !oh_address_equal(&f->destination, &own->to))
		return false;
	oh_socket_source(sk, f->family == 6, &near);
	return oh_address_equal(&f->source, &near) && oh_target_life(own->target, own->generation);
}

/* After its last segment the connection outlives its socket: what is still under way to it may come in, and the kernel
 * answers that. Not if it ends before its payload was judged. */
static __always_inline void oh_note_closing(struct oh_frame *fr, const struct oh_connection *own)
{
	struct oh_connection *flow;

	if (!(fr->flow.tcp_flags & (OH_TCP_FIN | OH_TCP_RST)) || own->look != OH_LOOK_NONE)
		return;
	oh_flow_key_of(&fr->flow, &fr->key);
	flow = oh_claim_flow(&fr->key);
	if (!flow)
		return;
	oh_admit(flow, &fr->flow, OH_LOOK_NONE, own->target, own->generation);
	oh_release(flow);
}

#endif
