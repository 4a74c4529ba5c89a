/* SPDX-License-Identifier: GPL-2.0-only */
/* Applies the same rules to each frame that leaves over an uplink, with or without a socket. Frames of guarded sockets
 * were judged before. Packet sockets, forwarded packets and the stack's own are judged only here. */
#ifndef OHGUARD_BPF_UPLINK_H
#define OHGUARD_BPF_UPLINK_H

#include "decide/kernel_memory.h"
#include "payload/inspect.h"
#include "payload/question.h"
#include "decide/report.h"
#include "uplink/behind.h"
#include "uplink/flows.h"
#include "uplink/known.h"
#include "uplink/openings.h"

#define OH_TC_GO_ON (-1)	/* programs attached after this one may refuse it */
#define OH_TC_DROP 2		/* TC_ACT_SHOT, TCX_DROP */

#define OH_ETH_P_ARP 0x0806
#define OH_FAMILY_PACKET 17

struct oh_arp {			/* RFC 826, for IPv4 over Ethernet, behind its Ethernet header */
	__u16 to[3], from[3];
	__be16 ethertype;
	__be16 hardware, protocol;
	__u8 hardware_length, protocol_length;
	__be16 operation;
	__u16 sender[3], sender_ip[2], target[3], target_ip[2];
};
_Static_assert(sizeof(struct oh_arp) == 42, "a packet on the wire");

#define OH_ARP_PADDING 18	/* up to the shortest frame */

static __always_inline bool oh_is_padding(struct __sk_buff *skb)
{
	__u16 padding[OH_ARP_PADDING / 2] = {}, any = 0;

	if (skb->len == sizeof(struct oh_arp))
		return true;
	if (skb->len != sizeof(struct oh_arp) + OH_ARP_PADDING ||
	    bpf_skb_load_bytes(skb, sizeof(struct oh_arp), padding, sizeof(padding)))
		return false;
	for (int i = 0; i < OH_ARP_PADDING / 2; i++)
		any |= padding[i];
	return !any;
}

/* A request or reply as the kernel makes it: its sender is true, and it carries nothing else. */
__attribute__((noinline)) int oh_parse_arp(struct __sk_buff *skb)
{
	struct oh_arp a = {};
	__u16 differ = 0;

	if (!oh_is_padding(skb) || bpf_skb_load_bytes(skb, 0, &a, sizeof(a)))
		return OH_PACKET_MALFORMED;
	for (int i = 0; i < 3; i++)
		differ |= a.from[i] ^ a.sender[i];
	differ |= a.hardware ^ bpf_htons(1);
	differ |= a.protocol ^ bpf_htons(OH_ETH_P_IP);
	differ |= a.hardware_length ^ 6;
	differ |= a.protocol_length ^ 4;
	if (differ || (a.operation != bpf_htons(1) && a.operation != bpf_htons(2)))
		return OH_PACKET_MALFORMED;
	return OH_HOST_NEED;
}

/* OH_NONE with f filled in, or the verdict. */
static __always_inline enum oh_reason oh_parse_frame(struct __sk_buff *skb, struct oh_flow *f)
{
	__be16 ethertype = 0;

	/* The type on the wire counts: a packet socket may have told the kernel another. A tag that the kernel keeps
	 * beside the frame belongs to a VLAN interface on top of this one: its frames are judged like any. */
	if (bpf_skb_load_bytes(skb, 12, &ethertype, sizeof(ethertype)) || ethertype != (__be16)skb->protocol)
		return OH_PACKET_MALFORMED;
	if (ethertype == bpf_htons(OH_ETH_P_ARP))
		return oh_parse_arp(skb);
	return oh_parse(skb, OH_ETHERNET, f);
}

/* Records a frame that is to leave; false if it must wait, since its sender has no room for another opening. A SYN is a
 * question that the far side may answer, but two must not be open at once: a server without state before the handshake
 * ends (SYN cookies) would answer both, and accept an acknowledgment of either for the connection. So any other segment
 * of the flow withdraws its open question. */
static __always_inline bool oh_note_frame(struct __sk_buff *skb, struct oh_connection *flow,
					  const struct oh_flow_key *key, const struct oh_flow *f, enum oh_look look,
					  const struct oh_admission *admission)
{
	struct oh_opening opening = { .target = admission->target, .generation = admission->generation, .look = look };

	if (f->protocol == OH_PROTOCOL_TCP && oh_opens(f)) {
		opening.first = f->sequence + 1;
		opening.syn = 1;
		if (!oh_note_opening(skb, key, &opening))
			return false;
		flow = bpf_map_lookup_elem(&oh_flows, key);	/* again: it may have been answered meanwhile */
		if (flow)
			flow->reopened = 1;
		return true;
	}
	OH_OPAQUE(flow);	/* the verifier needs to see the comparison here */
	if (flow && !admission->fresh) {
		if (flow->reopened)
			bpf_map_delete_elem(&oh_openings, key);
		flow->reopened = 0;
		return true;
	}
	if (look == OH_LOOK_NONE)
		return oh_note_opening(skb, key, &opening);
	if (admission->fresh)	/* the start of its payload is unknown */
		bpf_map_delete_elem(&oh_openings, key);
	return true;
}

/* A forbidden destination is reported as forwarded, any other fault under its own reason. */
static __always_inline enum oh_reason oh_forwarded_reason(const struct oh_flow *f, enum oh_reason reason)
{
	if (f->forwarded && reason >= OH_ADDRESS_NOT_ALLOWED && reason <= OH_PROTOCOL_NOT_ALLOWED)
		return OH_FORWARDED;
	return reason;
}

static __always_inline struct oh_frame *oh_frame_start(struct __sk_buff *skb, enum oh_stage stage)
{
	__u32 zero = 0;
	struct oh_frame *fr = bpf_map_lookup_elem(&oh_frames, &zero);

	if (!fr)
		return NULL;
	__builtin_memset(fr, 0, sizeof(*fr));
	fr->flow.stage = stage;
	fr->flow.interface = skb->ingress_ifindex;
	fr->flow.forwarded = fr->flow.interface != 0;
	fr->admission.slot = OH_SLOTS;
	return fr;
}

/* The kernel's own IGMP. It has no socket: a packet with one, or from another interface, is not the kernel's. */
static __always_inline bool oh_is_group_report(const struct oh_flow *f)
{
	return f->protocol == OH_PROTOCOL_IGMP && !f->socket && !f->forwarded && f->hop_limit == 1 &&
	       (f->destination.byte[12] & 0xf0) == 0xe0;
}

/* The kernel's own answer for a connection that no process has any more (TIME_WAIT), or a reset. It has no socket and
 * no data. */
static __always_inline bool oh_is_left_over(const struct oh_flow *f, const struct oh_connection *own)
{
	return !own && f->protocol == OH_PROTOCOL_TCP && !f->socket && !f->forwarded && !f->payload_length &&
	       (f->tcp_flags & (OH_TCP_ACK | OH_TCP_RST)) && !(f->tcp_flags & OH_TCP_SYN);
}

/* Where the question ends in the query that was parsed last. */
static __always_inline __u32 oh_question_end(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);

	return s ? OH_DNS_HEADER + s->query.name_len + 4 : 0;
}

static __always_inline bool oh_refuse_uplink(struct __sk_buff *skb, struct oh_frame *fr, enum oh_reason reason,
					     const struct oh_connection *own)
{
	const struct oh_flow *f = &fr->flow;
	struct oh_owner who = {};

	if (own && oh_observes())		/* reported at the socket's own hook */
		return true;
	if (own)
		who = own->owner;
	else
		who.cgroup = bpf_skb_cgroup_id(skb);
	if (oh_settings.ask && oh_waits_for(f, OH_HOOK_UPLINK_EGRESS, reason, &who, fr->admission.slot))
		return false;
	fr->refused = reason;
	if (reason == OH_DNS_NAME_NOT_ALLOWED)
		fr->question = oh_question_end(fr->admission.slot);
	reason = oh_forwarded_reason(f, reason);
	oh_count_verdict(reason, skb->len - OH_ETHERNET);
	if (!f->kernel_raw && !oh_is_group_report(f) && !oh_is_left_over(f, own))	/* nobody's attempt */
		oh_tell(f, OH_HOOK_UPLINK_EGRESS, reason, &who, fr->admission.slot);
	return oh_verdict(reason);
}

/* Whether what leaves by these rules may be answered. */
static __always_inline bool oh_has_answer(enum oh_reason reason)
{
	return reason == OH_TARGET || reason == OH_DNS || reason == OH_NTP;
}

/* Lets a frame out, unless there is no room for its opening. A packet with a socket is counted where sockets are
 * guarded, and not again here. */
static __always_inline bool oh_let_out(struct __sk_buff *skb, struct oh_frame *fr, enum oh_reason reason,
				       struct oh_connection *flow, const struct oh_connection *c)
{
	const struct oh_admission *admission = &fr->admission;
	enum oh_look look = c ? c->look : OH_LOOK_NONE;

	if (oh_has_answer(reason)) {
		if (admission->fresh)
			look = oh_settings.inspect && fr->flow.protocol == OH_PROTOCOL_TCP ?
				oh_look_for(reason, admission) : OH_LOOK_NONE;
		if (oh_opens(&fr->flow))
			oh_read_sequence(skb, &fr->flow);
		if (!oh_note_frame(skb, flow, &fr->key, &fr->flow, look, admission) && !oh_settings.observe)
			return false;
	}
	if (!fr->flow.socket) {
		oh_count(reason & (OH_REASON_MAX - 1), skb->len - OH_ETHERNET);
		if (admission->target)
			oh_count_use(admission, skb->len - OH_ETHERNET, admission->fresh);
	}
	return true;
}

/* Copies the bytes to inspect, so that nobody can change them afterwards. If there is no memory for it, oh_can_change()
 * will say so. */
static __always_inline void oh_make_linear(struct __sk_buff *skb, __u32 end)
{
	if (!oh_is_linear(skb, end))
		bpf_skb_pull_data(skb, end);
}

/* Inspects the payload, given what is known of its connection. */
static __always_inline enum oh_reason oh_inspect_frame(struct __sk_buff *skb, struct oh_frame *fr,
						       struct oh_connection *c, enum oh_reason reason)
{
	struct oh_connection *flow = OH_MEM(fr->admission.flow) ? c : NULL;

	if (!oh_is_looked_at(c, reason, &fr->admission))
		return reason;
	if (fr->flow.protocol == OH_PROTOCOL_TCP)
		oh_read_sequence(skb, &fr->flow);
	oh_make_linear(skb, oh_looked_at(&fr->flow, c));
	if (flow && !oh_claim(flow))
		return OH_HOLD;
	reason = oh_inspect(skb, &fr->flow, c, reason, &fr->admission);
	if (flow)
		oh_release(flow);
	return reason;
}

/* True if the frame may pass. */
static __always_inline bool oh_pass_uplink(struct __sk_buff *skb)
{
	struct oh_connection *own = NULL, *flow = NULL, *c;
	struct oh_frame *fr = oh_frame_start(skb, OH_STAGE_UPLINK);
	struct bpf_sock *sk = skb->sk;
	enum oh_reason reason;
	bool pass = true;

	if (!fr)
		return false;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (sk) {
		own = bpf_sk_storage_get(&oh_connections, sk, NULL, 0);
		if (own && oh_is_known(skb, sk, own, &fr->flow)) {
			oh_note_closing(fr, own);
			return true;
		}
		fr->flow.socket = 1;
		fr->flow.socket_type = sk->type;
		fr->packet_socket = sk->family == OH_FAMILY_PACKET;
		if (sk->type == SOCK_RAW)
			oh_note_raw(skb, own, &fr->flow);
		fr->flow.known_raw |= fr->packet_socket;
	}
	reason = oh_parse_frame(skb, &fr->flow);
	if (!reason) {
		oh_flow_key_of(&fr->flow, &fr->key);
		flow = bpf_map_lookup_elem(&oh_flows, &fr->key);
	}
	/* The socket's hook has inspected what the socket sends. Frames without a socket are inspected here. */
	c = own && own->admitted ? own : flow;
	if (!reason)
		reason = oh_forget_verdict(skb, &fr->admission, oh_decide(&fr->flow, c, &fr->admission));
	if (fr->packet_socket && reason != OH_HOST_NEED)	/* it may forge what the rules check */
		reason = OH_PACKET_SOCKET;
	if ((!own || fr->packet_socket) && !oh_is_frame_own(skb, fr, reason))
		reason = OH_SOURCE_NOT_OURS;
	fr->admission.flow = c == flow;
	/* A request that the socket's hook let out is already paid for. */
	if (oh_settings.inspect && reason < OH_REASON_FIRST_REFUSAL && !(own && reason == OH_NTP))
		reason = oh_inspect_frame(skb, fr, c, reason);
	reason = oh_forget_verdict(skb, &fr->admission, reason);
	if (reason == OH_HOLD)
		pass = oh_observes();
	else if (reason >= OH_REASON_FIRST_REFUSAL)
		pass = oh_refuse_uplink(skb, fr, reason, own);
	else
		pass = oh_let_out(skb, fr, reason, flow, c);
	if (fr->admission.slot < OH_SLOTS)
		oh_scratch_release(fr->admission.slot);
	return pass;
}

#endif
