/* SPDX-License-Identifier: GPL-2.0-only */
/* A frame refused for its name is turned into its own answer: a DNS query into "no such name", a TCP segment into a
 * reset. The answer enters by the interface the frame was to leave by, and conntrack leads it back to a container. */
#ifndef OHGUARD_BPF_ANSWER_H
#define OHGUARD_BPF_ANSWER_H

#include "uplink/uplink.h"

#define OH_DNS_FLAGS 2			/* where the header has them: RFC 1035, 4.1.1 */
#define OH_DNS_KEPT 0x0110		/* of the query's: recursion desired, checking disabled */
#define OH_DNS_NXDOMAIN 0x8083		/* a response, recursion available, no such name */
#define OH_DNS_OPT_HEADER 11		/* RFC 6891, 6.1.2: root name, type, payload size, flags, length */
#define OH_ERROR_BYTES 6
#define OH_HOPS 64

static __always_inline __u16 oh_fold(__u64 sum)
{
	for (int i = 0; i < 3; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Swaps source and destination of Ethernet and IP. There are no IP options or extension headers. Checksums stay
 * valid. */
__attribute__((noinline)) int oh_swap_ends(struct __sk_buff *skb, __u32 family)
{
	__u32 at = OH_ETHERNET + (family == 4 ? 12 : 8), size = family == 4 ? 4 : 16;
	__u32 mac[3], back[3], ends[8] = {};

	if (bpf_skb_load_bytes(skb, 0, mac, sizeof(mac)))
		return -1;
	/* six bytes and six: halves of the middle word */
	back[0] = mac[1] >> 16 | mac[2] << 16;
	back[1] = mac[2] >> 16 | mac[0] << 16;
	back[2] = mac[0] >> 16 | mac[1] << 16;
	if (bpf_skb_store_bytes(skb, 0, back, sizeof(back), 0))
		return -1;
	if (size == 4) {
		if (bpf_skb_load_bytes(skb, at, ends, 8) || bpf_skb_store_bytes(skb, at, &ends[1], 4, 0))
			return -1;
		return bpf_skb_store_bytes(skb, at + 4, ends, 4, 0) ? -1 : 0;
	}
	if (bpf_skb_load_bytes(skb, at, ends, 32) || bpf_skb_store_bytes(skb, at, &ends[4], 16, 0))
		return -1;
	return bpf_skb_store_bytes(skb, at + 16, ends, 16, 0) ? -1 : 0;
}

static __always_inline int oh_swap_ports(struct __sk_buff *skb, __u32 at)
{
	__u32 ports;

	if (bpf_skb_load_bytes(skb, at, &ports, sizeof(ports)))
		return -1;
	ports = ports << 16 | ports >> 16;
	return bpf_skb_store_bytes(skb, at, &ports, sizeof(ports), 0) ? -1 : 0;
}

/* Sets hop limit, and length of what follows the IP header. There are no IP options or extension headers. */
static __always_inline int oh_resize_ip(struct __sk_buff *skb, __u32 family, __u32 size)
{
	__be16 length = bpf_htons(size);
	struct oh_ip4_header h;
	__u8 hops = OH_HOPS;

	if (family != 4) {
		if (bpf_skb_store_bytes(skb, OH_ETHERNET + 4, &length, sizeof(length), 0))
			return -1;
		return bpf_skb_store_bytes(skb, OH_ETHERNET + 7, &hops, sizeof(hops), 0) ? -1 : 0;
	}
	if (bpf_skb_load_bytes(skb, OH_ETHERNET, &h, sizeof(h)))
		return -1;
	h.length = bpf_htons(sizeof(h) + size);
	h.ttl = OH_HOPS;
	h.checksum = 0;
	h.checksum = oh_fold((__u32)bpf_csum_diff(NULL, 0, (__be32 *)&h, sizeof(h), 0));
	return bpf_skb_store_bytes(skb, OH_ETHERNET, &h, sizeof(h), 0) ? -1 : 0;
}

/* What a number of 16 bits adds to a checksum, by where it stands. */
static __always_inline __u32 oh_summand(__u32 number, __u32 at)
{
	return at & 1 ? number : bpf_htons(number);
}

/* RFC 8914: the error "Blocked" as one more option, if the query ends with an OPT record. at: the UDP header;
 * question: bytes of DNS header and question. */
__attribute__((noinline)) int oh_add_error(struct __sk_buff *skb, __u32 at, __u32 family, __u32 question)
{
	__be16 error[] = { bpf_htons(15), bpf_htons(2), bpf_htons(15) };
	__u32 message = at + sizeof(struct oh_udp_header), end = skb->len, room = question + OH_DNS_OPT_HEADER - 2;
	__be16 options, size = bpf_htons(end - at), resized = bpf_htons(end - at + OH_ERROR_BYTES);
	/* the length of UDP, and of the record's options; and the option's three numbers */
	__u32 more = oh_summand(OH_ERROR_BYTES, 0) + oh_summand(OH_ERROR_BYTES, room) +
		     oh_summand(15 + 2 + 15, end - at);

	if (end <= message + question)
		return 0;
	if (bpf_skb_load_bytes(skb, message + room, &options, sizeof(options)))
		return -1;
	options = bpf_htons(bpf_ntohs(options) + OH_ERROR_BYTES);
	if (bpf_l4_csum_replace(skb, at + 6, size, resized,
				BPF_F_MARK_MANGLED_0 | BPF_F_PSEUDO_HDR | sizeof(size)) ||
	    bpf_l4_csum_replace(skb, at + 6, 0, more, BPF_F_MARK_MANGLED_0) ||
	    bpf_skb_store_bytes(skb, at + 4, &resized, sizeof(resized), 0) ||
	    bpf_skb_store_bytes(skb, message + room, &options, sizeof(options), 0) ||
	    bpf_skb_change_tail(skb, end + OH_ERROR_BYTES, 0) ||
	    bpf_skb_store_bytes(skb, end, error, sizeof(error), 0))
		return -1;
	return oh_resize_ip(skb, family, end - at + OH_ERROR_BYTES);
}

/* The answer is the query with its flags changed, so EDNS echoes what the query said. at: the UDP header. */
__attribute__((noinline)) int oh_turn_query(struct __sk_buff *skb, __u32 at, __u32 family)
{
	__u32 flags_at = at + sizeof(struct oh_udp_header) + OH_DNS_FLAGS;
	__be16 asked, answered;

	if (bpf_skb_load_bytes(skb, flags_at, &asked, sizeof(asked)))
		return -1;
	answered = (asked & bpf_htons(OH_DNS_KEPT)) | bpf_htons(OH_DNS_NXDOMAIN);
	if (bpf_l4_csum_replace(skb, at + 6, asked, answered, BPF_F_MARK_MANGLED_0 | sizeof(asked)) ||
	    bpf_skb_store_bytes(skb, flags_at, &answered, sizeof(answered), 0) || oh_swap_ports(skb, at))
		return -1;
	return oh_swap_ends(skb, family);
}

static __always_inline __u32 oh_sum(__u32 *words, __u32 size, __u32 sum)
{
	return (__u16)~oh_fold((__u32)bpf_csum_diff(NULL, 0, words, size, sum));
}

/* Writes the header of a segment without payload, with its checksum. Where that is left to the card, the field must
 * hold the sum over both addresses, protocol and length; then the call that adds the rest changes nothing. */
static __always_inline int oh_write_reset(struct __sk_buff *skb, __u32 at, __u32 family, struct oh_tcp_reset *tcp)
{
	__u32 ends[8] = {}, ends_at = OH_ETHERNET + (family == 4 ? 12 : 8), sum;

	if (family == 4 ? bpf_skb_load_bytes(skb, ends_at, ends, 8) : bpf_skb_load_bytes(skb, ends_at, ends, 32))
		return -1;
	sum = oh_sum(ends, sizeof(ends), bpf_htonl(OH_PROTOCOL_TCP + OH_TCP_HEADER));
	tcp->checksum = sum;
	if (bpf_skb_store_bytes(skb, at, tcp, sizeof(*tcp), 0))
		return -1;
	sum += oh_sum((__u32 *)tcp, sizeof(*tcp), 0);
	return bpf_l4_csum_replace(skb, at + 16, 0, sum, 0) ? -1 : 0;
}

/* A reset as the far side sends it if it accepted none of the segment: RFC 9293, 3.5.2. at: the TCP header. */
__attribute__((noinline)) int oh_turn_segment(struct __sk_buff *skb, __u32 at, __u32 family)
{
	struct oh_tcp_reset tcp;
	__be32 expected;
	__be16 port;

	if (bpf_skb_load_bytes(skb, at, &tcp, sizeof(tcp)) || bpf_skb_change_tail(skb, at + OH_TCP_HEADER, 0) ||
	    oh_resize_ip(skb, family, OH_TCP_HEADER) || oh_swap_ends(skb, family))
		return -1;
	expected = tcp.acknowledgment;
	tcp.acknowledgment = tcp.sequence;
	tcp.sequence = expected;
	port = tcp.source;
	tcp.source = tcp.destination;
	tcp.destination = port;
	tcp.offset = OH_TCP_HEADER / 4 << 4;
	tcp.flags = OH_TCP_RST | OH_TCP_ACK;
	tcp.urgent = 0;
	return oh_write_reset(skb, at, family, &tcp);
}

/* Handles the frame that oh_pass_uplink() has just refused: drops it, or sends it back as its answer. */
static __always_inline int oh_answer_at_uplink(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct oh_frame *fr = bpf_map_lookup_elem(&oh_frames, &zero);
	const struct oh_flow *f;
	int r;

	if (!oh_settings.answer || !fr)
		return OH_TC_DROP;
	f = &fr->flow;
	if (f->options || !f->payload_length)
		return OH_TC_DROP;
	if (f->protocol == OH_PROTOCOL_UDP && fr->refused == OH_DNS_NAME_NOT_ALLOWED) {
		/* the answer must look like a reply to a flow that was let out */
		if (!oh_note_frame(skb, NULL, &fr->key, f, OH_LOOK_NONE, &fr->admission))
			return OH_TC_DROP;
		r = oh_add_error(skb, f->transport, f->family, fr->question);
		if (!r)
			r = oh_turn_query(skb, f->transport, f->family);
	} else if (f->protocol == OH_PROTOCOL_TCP && f->tcp_flags & OH_TCP_ACK &&
		   (fr->refused == OH_DNS_NAME_NOT_ALLOWED ||
		    (fr->refused >= OH_TLS_NAME_NOT_ALLOWED && fr->refused <= OH_TLS_INCOMPLETE))) {
		r = oh_turn_segment(skb, f->transport, f->family);
	} else {
		return OH_TC_DROP;
	}
	return r ? OH_TC_DROP : bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

#endif
