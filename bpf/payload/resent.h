/* SPDX-License-Identifier: GPL-2.0-only */
/* Retransmissions of a TCP that is not this kernel's: a container's own, crafted through a packet socket, or a VM's.
 * Nobody may accept the judged copy (a wrong checksum, a hop limit of 2), and the next may say something else. So
 * judged bytes must be resent unchanged until the far side has acknowledged them: see stream.h. */
#ifndef OHGUARD_BPF_RESENT_H
#define OHGUARD_BPF_RESENT_H

#include "decide/flow.h"
#include "maps.h"

/* The last bytes that were judged and let out. */
struct oh_sent {
	__u32 sequence;
	__u32 length;
	__u8 bytes[OH_SENT_BYTES];
	__u64 slack;		/* words are compared */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OH_SENT_MAX);
	__type(key, struct oh_flow_key);
	__type(value, struct oh_sent);
} oh_sent SEC(".maps");

/* What one run knows about its frame. It is in a map and not on the stack, so that the verifier need not track each
 * value. One per CPU is enough: tc and inbound hooks run with bottom halves off, and a frame's next device comes after
 * it. */
struct oh_frame {
	struct oh_flow flow;
	struct oh_flow_key key;
	struct oh_admission admission;
	bool packet_socket;
	__u8 refused;		/* enum oh_reason: why it was stopped, OH_NONE if it was not */
	__u16 question;		/* of a query that was stopped for its name: bytes of DNS header and question */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct oh_frame);
} oh_frames SEC(".maps");

#define OH_KEEP_ALONE (1ULL << 32)

/* Keeps `length` bytes at `at` of the current frame, which stand at `sequence`: after those kept so far, or in their
 * place if OH_KEEP_ALONE is added to the number. Returns 0, or the reason to refuse. */
__attribute__((noinline)) int oh_keep_sent(struct __sk_buff *skb, __u32 at, __u32 length, __u64 sequence, __u32 slot)
{
	__u32 zero = 0, from;
	struct oh_frame *fr = bpf_map_lookup_elem(&oh_frames, &zero);
	struct oh_scratch *s = oh_scratch(slot);
	struct oh_sent *sent;

	if (!fr || !s || !length || length > OH_SENT_BYTES)
		return -1;
	if (sequence & OH_KEEP_ALONE) {
		sent = (struct oh_sent *)s->msg;
		sent->sequence = sequence;
		sent->length = length;
		if (oh_load(skb, at, sent->bytes, oh_bound(length, OH_SENT_BYTES)))
			return -1;
		return bpf_map_update_elem(&oh_sent, &fr->key, sent, BPF_ANY);
	}
	sent = bpf_map_lookup_elem(&oh_sent, &fr->key);
	if (!sent)
		return -1;
	from = (__u32)sequence - sent->sequence;	/* two bounds, added: the verifier keeps none for a sum */
	if (from != sent->length || from > OH_SENT_BYTES / 2 || length > OH_SENT_BYTES / 2)
		return -1;
	if (oh_load(skb, at, sent->bytes + oh_bound(from, OH_SENT_BYTES / 2), oh_bound(length, OH_SENT_BYTES / 2)))
		return -1;
	sent->length = from + length;
	return 0;
}

/* Keeps the `read` bytes of a flow's frame judged after its `known` ones, until the far side has them. */
static __always_inline int oh_keep(struct __sk_buff *skb, const struct oh_connection *c, __u32 known, __u32 read,
				   __u32 slot)
{
	__u32 zero = 0, judged = c->stream.judged;
	struct oh_frame *fr = bpf_map_lookup_elem(&oh_frames, &zero);

	return fr ? oh_keep_sent(skb, fr->flow.payload + known, read,
				 c->stream.acked == judged ? judged | OH_KEEP_ALONE : judged, slot) : -1;
}

#define OH_BLOCK 64

/* Whether any of the OH_BLOCK bytes at `at`, or of as many as lie below `length`, differs from what was kept after
 * `from`. A separate function: the verifier walks it once, and not once for each block. */
__attribute__((noinline)) int oh_block_differs(__u32 slot, __u32 at, __u32 from, __u32 length)
{
	__u32 zero = 0;
	struct oh_frame *fr = bpf_map_lookup_elem(&oh_frames, &zero);
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_sent *sent;
	__u64 differ = 0;

	if (!fr || !s)
		return 1;
	sent = bpf_map_lookup_elem(&oh_sent, &fr->key);
	if (!sent)
		return 1;
	for (__u32 i = 0; i < OH_BLOCK; i += 8) {
		__u64 here = at + i, there = at + i + from;

		if (at + i >= length)
			break;
		OH_OPAQUE(here);
		OH_OPAQUE(there);
		here &= OH_SENT_BYTES - 1;
		there &= OH_SENT_BYTES - 1;
		differ |= (oh_word(s->msg + here) ^ oh_word(sent->bytes + there)) &
			  (length - at - i < 8 ? oh_first(length - at - i) : ~0ULL);
	}
	return !!differ;
}

/* Whether the `length` bytes at `at` of the current frame, which stand at `sequence`, are those that were kept. */
__attribute__((noinline)) int oh_is_same_again(struct __sk_buff *skb, __u32 at, __u32 sequence, __u32 length,
					       __u32 slot)
{
	__u32 zero = 0, from;
	struct oh_frame *fr = bpf_map_lookup_elem(&oh_frames, &zero);
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_sent *sent;

	if (!fr || !s)
		return 0;
	sent = bpf_map_lookup_elem(&oh_sent, &fr->key);
	if (!sent)
		return 0;
	from = sequence - sent->sequence;
	if (from >= sent->length || from >= OH_SENT_BYTES || length > sent->length - from)
		return 0;
	if (!length || length > OH_SENT_BYTES || oh_load(skb, at, s->msg, oh_bound(length, OH_SENT_BYTES)))
		return 0;
	/* clang 19 knows it is bounded and drops the loop's own bound: the verifier does not know */
	OH_OPAQUE(length);
	for (__u32 i = 0; i < OH_SENT_BYTES && i < length; i += OH_BLOCK) {
		if (oh_block_differs(slot, i, from, length))
			return 0;
	}
	return 1;
}

#endif
