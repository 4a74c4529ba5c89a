/* SPDX-License-Identifier: GPL-2.0-only */
/* What was let out over an uplink and is not answered yet, and who may have how much of it. Whoever sends SYNs without
 * end finds no room for more: it keeps nobody else's from being answered. */
#ifndef OHGUARD_BPF_OPENINGS_H
#define OHGUARD_BPF_OPENINGS_H

#include "decide/kernel_memory.h"
#include "decide/share.h"
#include "payload/resent.h"

#define OH_SENDER_GROUP 128	/* senders that are told apart: of this machine, and behind one interface */
#define OH_CONNTRACK_INFO 7ULL	/* the bits of a packet's pointer to its entry of conntrack that say what it is there */
#define OH_CONNTRACK_ANSWERS 3	/* from this one on: a packet to who began (IP_CT_IS_REPLY) */

/* The last byte of the address that the current frame had before NAT: it tells containers behind one bridge apart. */
static __always_inline __u8 oh_last_byte(struct __sk_buff *skb, const struct oh_flow *f)
{
	__u64 conntrack = 0;
	__u8 last = 0;

	if (!oh_settings.links.conntrack_source ||
	    bpf_probe_read_kernel(&conntrack, sizeof(conntrack), (void *)skb + oh_settings.links.skb_conntrack) ||
	    !(conntrack & ~OH_CONNTRACK_INFO) || (conntrack & OH_CONNTRACK_INFO) >= OH_CONNTRACK_ANSWERS)
		return f->source.byte[15];
	conntrack = (conntrack & ~OH_CONNTRACK_INFO) + oh_settings.links.conntrack_source;
	bpf_probe_read_kernel(&last, sizeof(last), (void *)(conntrack + (f->family == 4 ? 3 : 15)));
	return last;
}

/* The current frame's sender, as an index in oh_shares: a cgroup of this machine, or an address behind an interface. An
 * address can be forged among those of the same interface, but nobody chooses the interface. */
static __always_inline __u32 oh_sender_of(struct __sk_buff *skb, const struct oh_flow *f)
{
	__u32 group = f->interface ? 1 + f->interface % (OH_SENDERS / OH_SENDER_GROUP - 1) : 0;
	__u32 one = f->interface ? oh_last_byte(skb, f) : bpf_skb_cgroup_id(skb);

	return group * OH_SENDER_GROUP + one % OH_SENDER_GROUP;
}

/* Adds an opening for the current frame, if its sender has room for it. A global function, so that the verifier checks
 * it once. */
__attribute__((noinline)) int oh_add_opening(struct __sk_buff *skb, __u64 word0, __u64 word1)
{
	__u64 value[] = { word0, word1, 0 }, now = bpf_jiffies64();
	struct oh_opening *opening = (struct oh_opening *)value;
	__u32 zero = 0;
	const struct oh_frame *fr = bpf_map_lookup_elem(&oh_frames, &zero);

	if (!fr)
		return 0;
	opening->sender = oh_sender_of(skb, &fr->flow);
	opening->paid = now;
	opening->room = oh_take_room(OH_SHARED_OPENINGS, opening->sender, OH_SENDERS, OH_WAIT(now),
				     OH_WAIT(OH_WAIT_SPAN), OH_OPENINGS_MAX);
	if (opening->room == OH_ROOM_NONE) {
		oh_note_no_room(OH_SHARED_OPENINGS, fr->flow.interface);
		return 0;
	}
	bpf_map_update_elem(&oh_openings, &fr->key, opening, BPF_ANY);
	return 1;
}

/* Remembers the current frame, which belongs to no flow, until it is answered. Its reply may come in, and turns it into
 * a connection. False: it may not leave now. */
static __always_inline bool oh_note_opening(struct __sk_buff *skb, const struct oh_flow_key *key,
					    const struct oh_opening *opening)
{
	const __u64 *old = bpf_map_lookup_elem(&oh_openings, key), *new = (const __u64 *)opening;

	return (old && old[0] == new[0] && old[1] == new[1]) || oh_add_opening(skb, new[0], new[1]);
}

/* It was answered: who opens much and is answered soon has room for more. */
static __always_inline void oh_close_opening(const struct oh_flow_key *key, const struct oh_opening *opening)
{
	const struct oh_opening closed = *opening;	/* another flow may get its place */

	if (!bpf_map_delete_elem(&oh_openings, key))
		oh_give_back(OH_SHARED_OPENINGS, closed.sender, OH_SENDERS, closed.room, closed.paid, OH_OPENINGS_MAX);
}

/* A datagram was answered. It stays open, since its answer may come twice, but costs nothing any more. */
static __always_inline void oh_settle_opening(const struct oh_flow_key *key, const struct oh_opening *opening)
{
	struct oh_opening settled = *opening;

	if (settled.room == OH_ROOM_NONE)
		return;
	oh_close_opening(key, opening);
	settled.room = OH_ROOM_NONE;
	bpf_map_update_elem(&oh_openings, key, &settled, BPF_NOEXIST);
}

#endif
