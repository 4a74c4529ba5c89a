/* SPDX-License-Identifier: GPL-2.0-only */
/* A parsed flow, and the parser that fills it from a packet. It refuses whatever it does not understand. */
#ifndef OHGUARD_BPF_FLOW_H
#define OHGUARD_BPF_FLOW_H

#include <ohguard/abi.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define OH_ETH_P_IP 0x0800
#define OH_ETH_P_IPV6 0x86dd
#define OH_FAMILY_INET 2
#define OH_FAMILY_INET6 10
#define OH_LOOPBACK_IFINDEX 1	/* net/core: loopback_net_init() insists on it in every namespace */

enum {	/* IANA protocol numbers */
	OH_PROTOCOL_HOP_BY_HOP = 0,
	OH_PROTOCOL_ICMP = 1,
	OH_PROTOCOL_IGMP = 2,
	OH_PROTOCOL_TCP = 6,
	OH_PROTOCOL_UDP = 17,
	OH_PROTOCOL_ROUTING = 43,
	OH_PROTOCOL_FRAGMENT = 44,
	OH_PROTOCOL_ICMPV6 = 58,
	OH_PROTOCOL_DESTINATION = 60,
};

enum { OH_TCP_FIN = 0x01, OH_TCP_SYN = 0x02, OH_TCP_RST = 0x04, OH_TCP_ACK = 0x10, OH_TCP_URG = 0x20 };

/* What a flow was read from. */
enum oh_stage {
	OH_STAGE_PACKET,	/* a packet: everything below is set */
	OH_STAGE_UPLINK,	/* a packet on its way over an uplink: the same */
	OH_STAGE_CONNECT,	/* connect(): addresses and ports only */
	OH_STAGE_SEND,		/* sendto() and sendmsg() with an address: the same */
};

/* The first OH_FLOW_WORDS words are all that the decision reads: see oh_judge(). */
struct oh_flow {
	struct oh_address destination;
	__u16 source_port;	/* host byte order; ICMPv6: 0 */
	__u16 destination_port;
	__u8 stage;		/* enum oh_stage */
	__u8 protocol;
	__u8 family;		/* of the packet: 4 or 6 */
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 hop_limit;
	__u8 socket_type;	/* SOCK_*, 0: no full socket */
	__u32 payload_length;	/* of what follows the TCP, UDP or ICMPv6 header */
	__u8 loopback;		/* 1: stays on the machine */
	__u8 options;		/* 1: IPv4 options or IPv6 extension headers stand before the transport header */
	__u8 same_link;		/* 1: an IPv6 packet within one /64 */
	__u8 socket;		/* 1: from a full socket */
	__u8 forwarded;		/* 1: came in by another interface */
	/* 1: from a raw socket that a process made under the guard, so not the kernel's own */
	__u8 known_raw;
	__u8 away;		/* 1: an attempt in a container; the host's own addresses are not its own */
	__u8 kernel_raw;	/* 1: from a raw socket that is the kernel's own for sure */
	struct oh_address source;
	__u32 transport;	/* offset of the TCP, UDP or ICMPv6 header in the packet */
	__u32 payload;		/* and of what follows it */
	__u32 sequence;		/* TCP: it and the next set by oh_read_sequence() alone */
	__u32 acknowledged;
	__u32 interface;	/* forwarded: index of the one it came in by */
} __attribute__((aligned(8)));

#define OH_FLOW_WORDS 5
/* Fields are also read as words: the compiler must not treat the two as different memory, and reorder write and
 * read. */
typedef __u64 __attribute__((may_alias)) oh_any_word;
_Static_assert(__builtin_offsetof(struct oh_flow, source) == 8 * OH_FLOW_WORDS, "what oh_judge() is given");

static __always_inline bool oh_is_packet(const struct oh_flow *f)
{
	return f->stage <= OH_STAGE_UPLINK;
}

static __always_inline bool oh_address_equal(const struct oh_address *a, const struct oh_address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

static __always_inline void oh_address_from_ip4(struct oh_address *a, __u32 ip4)
{
	a->word[0] = 0;
	a->word[1] = 0;
	a->word[2] = bpf_htonl(0xffff);
	a->word[3] = ip4;
}

static __always_inline bool oh_address_is_ip4(const struct oh_address *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == bpf_htonl(0xffff);
}

/* An address as two scalars, which is how global functions take it: its words in pairs, each low end first. */
static __always_inline __u64 oh_high(const struct oh_address *a)
{
	return (__u64)a->word[1] << 32 | a->word[0];
}

static __always_inline __u64 oh_low(const struct oh_address *a)
{
	return (__u64)a->word[3] << 32 | a->word[2];
}

struct oh_ip4_header {		/* RFC 791, 3.1 */
	__u8 version_length;
	__u8 tos;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 destination;
};

struct oh_ip6_header {		/* RFC 8200, 3 */
	__be32 version_class_label;
	__be16 payload_length;
	__u8 next;
	__u8 hop_limit;
	struct oh_address source;
	struct oh_address destination;
};

struct oh_tcp_header {		/* RFC 9293, 3.1, up to the window */
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledgment;
	__u8 offset;
	__u8 flags;
	__be16 window;
};

#define OH_TCP_HEADER 20
struct oh_tcp_reset {		/* the whole of it, without options */
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledgment;
	__u8 offset;
	__u8 flags;
	__be16 window;
	__be16 checksum;
	__be16 urgent;
};

struct oh_udp_header {		/* RFC 768 */
	__be16 source;
	__be16 destination;
	__be16 length;
	__be16 checksum;
};

/* Reads the header of `size` bytes at `at`, a constant multiple of 4. Returns 0, or negative if the packet is too
 * short. Linear packets, almost all, are read in place: a call per header took a third of the whole verdict's time. */
static __always_inline long oh_load_header(struct __sk_buff *skb, __u32 at, void *header, __u32 size)
{
	const __u8 *data = (const __u8 *)(long)skb->data, *end = (const __u8 *)(long)skb->data_end;

	/* a bound for the verifier: link and IP headers with options or extensions are shorter */
	if (at >= 512 || data + at + size > end)
		return bpf_skb_load_bytes(skb, at, header, size);
	for (__u32 i = 0; i < size / 4; i++)
		((__u32 *)header)[i] = ((const __u32 *)(data + at))[i];
	return 0;
}

/* True if header and packet agree on the length. A BIG TCP segment is too long for the field and leaves it 0. */
static __always_inline bool oh_length_agrees(__u32 declared, __u32 actual)
{
	return declared == actual || (!declared && actual > 0xffff);
}

/* RFC 791, 3.1: walks the options after an IPv4 header at `at`. Loose and strict source route are refused, since they
 * change where the packet goes. A global function, so that the verifier checks its loop once. */
__attribute__((noinline)) int oh_parse_ip4_options(struct __sk_buff *skb, __u32 at, __u32 length)
{
	__u8 option[44] = {};	/* plus a zero after the longest: a kind in the last byte reads it as its length */
	volatile __u8 skip = 0;	/* the verifier tracks no bounds of a stack byte, so its paths do not multiply */

	for (__u32 i = 0; i < 40; i += 4) {
		if (i < length && bpf_skb_load_bytes(skb, at + sizeof(struct oh_ip4_header) + i, option + i, 4))
			return OH_PACKET_MALFORMED;
	}
	for (__u32 i = 0; i < 40 && i < length; i++) {
		__u8 size = option[i + 1];

		if (skip) {
			skip--;
			continue;
		}
		if (option[i] == 0)	/* end of options */
			return OH_NONE;
		if (option[i] == 1)	/* no operation */
			continue;
		if (option[i] == 131 || option[i] == 137)
			return OH_SOURCE_ROUTE;
		if (size < 2 || i + size > length)
			return OH_PACKET_MALFORMED;
		skip = size - 1;
	}
	return OH_NONE;
}

static __always_inline enum oh_reason oh_parse_ip4(struct __sk_buff *skb, __u32 at, struct oh_flow *f,
						   __u32 *ret_at)
{
	struct oh_ip4_header h;
	__u32 header;

	if (oh_load_header(skb, at, &h, sizeof(h)) || h.version_length >> 4 != 4)
		return OH_PACKET_MALFORMED;
	header = (h.version_length & 15) * 4;
	if (header < sizeof(h) || !oh_length_agrees(bpf_ntohs(h.length), skb->len - at))
		return OH_PACKET_MALFORMED;
	if (at + header > skb->len || h.fragment & bpf_htons(0x8000))
		return OH_PACKET_MALFORMED;
	oh_address_from_ip4(&f->source, h.source);
	oh_address_from_ip4(&f->destination, h.destination);
	f->family = 4;
	f->hop_limit = h.ttl;
	f->protocol = h.protocol;
	*ret_at = at + header;
	if (h.fragment & bpf_htons(0x3fff))	/* more fragments, or an offset */
		return OH_FRAGMENT;
	f->options = header > sizeof(h);
	if (f->options)
		return oh_parse_ip4_options(skb, at, header - sizeof(h));
	return OH_NONE;
}

/* RFC 8200, 4: walks the extension headers from `at`; the first has type `next`. Returns the reason to refuse them in
 * bits 0 to 7, the upper-layer protocol from bit 8 and its offset from bit 32. */
__attribute__((noinline)) __u64 oh_parse_ip6_extensions(struct __sk_buff *skb, __u32 at, __u32 next)
{
	for (int i = 0; i < 8; i++) {
		__u8 extension[2];

		if (next == OH_PROTOCOL_FRAGMENT)
			return OH_FRAGMENT | OH_PROTOCOL_FRAGMENT << 8;
		if (next == OH_PROTOCOL_ROUTING)
			return OH_SOURCE_ROUTE | OH_PROTOCOL_ROUTING << 8;
		if (next != OH_PROTOCOL_HOP_BY_HOP && next != OH_PROTOCOL_DESTINATION)
			return (__u64)at << 32 | (next & 0xff) << 8;
		if (bpf_skb_load_bytes(skb, at, extension, sizeof(extension)))
			return OH_PACKET_MALFORMED;
		next = extension[0];
		at += (extension[1] + 1) * 8;
		if (at > skb->len)
			return OH_PACKET_MALFORMED;
	}
	return OH_PACKET_MALFORMED;
}

static __always_inline enum oh_reason oh_parse_ip6(struct __sk_buff *skb, __u32 at, struct oh_flow *f,
						   __u32 *ret_at)
{
	struct oh_ip6_header h;
	__u64 upper;

	if (oh_load_header(skb, at, &h, sizeof(h)) || *(__u8 *)&h >> 4 != 6)
		return OH_PACKET_MALFORMED;
	at += sizeof(h);
	if (!oh_length_agrees(bpf_ntohs(h.payload_length), skb->len - at))
		return OH_PACKET_MALFORMED;
	f->source = h.source;
	f->destination = h.destination;
	f->family = 6;
	f->hop_limit = h.hop_limit;
	f->protocol = h.next;
	f->same_link = h.source.word[0] == h.destination.word[0] && h.source.word[1] == h.destination.word[1];
	*ret_at = at;
	/* Nobody has a mapped address on the wire (RFC 4291), and here it would match an IPv4 grant. */
	if (oh_address_is_ip4(&h.destination) || oh_address_is_ip4(&h.source))
		return OH_PACKET_MALFORMED;
	if (h.next == OH_PROTOCOL_TCP || h.next == OH_PROTOCOL_UDP)
		return OH_NONE;
	f->options = h.next != OH_PROTOCOL_ICMPV6;
	upper = oh_parse_ip6_extensions(skb, at, h.next);
	f->protocol = upper >> 8;
	*ret_at = upper >> 32;
	return upper & 0xff;
}

/* What oh_parse_transport() found, in one word: reason in bits 0 to 7, TCP flags from bit 8, header length from bit 16,
 * source port from bit 32, destination port from bit 48. For ICMPv6, type and code take the place of the source
 * port. */
#define OH_TRANSPORT(flags, header, source, destination) \
	((__u64)(flags) << 8 | (__u64)(header) << 16 | (__u64)(source) << 32 | (__u64)(destination) << 48)

static __always_inline __u64 oh_parse_tcp(struct __sk_buff *skb, __u32 at)
{
	struct oh_tcp_header h;
	__u32 header;

	if (oh_load_header(skb, at, &h, sizeof(h)))
		return OH_PACKET_MALFORMED;
	header = (h.offset >> 4) * 4;
	if (header < 20 || at + header > skb->len)
		return OH_PACKET_MALFORMED;
	return OH_TRANSPORT(h.flags, header, bpf_ntohs(h.source), bpf_ntohs(h.destination));
}

static __always_inline __u64 oh_parse_udp(struct __sk_buff *skb, __u32 at)
{
	struct oh_udp_header h;

	if (oh_load_header(skb, at, &h, sizeof(h)) || bpf_ntohs(h.length) != skb->len - at)
		return OH_PACKET_MALFORMED;
	return OH_TRANSPORT(0, sizeof(h), bpf_ntohs(h.source), bpf_ntohs(h.destination));
}

static __always_inline __u64 oh_parse_icmp6(struct __sk_buff *skb, __u32 at)
{
	__u8 h[8];

	if (bpf_skb_load_bytes(skb, at, h, sizeof(h)))
		return OH_PACKET_MALFORMED;
	return OH_TRANSPORT(0, sizeof(h), h[0] << 8 | h[1], 0);
}

/* Reads the transport header at `at`. Global for the verifier, like the two above. */
__attribute__((noinline)) __u64 oh_parse_transport(struct __sk_buff *skb, __u32 at, __u32 protocol)
{
	if (protocol == OH_PROTOCOL_TCP)
		return oh_parse_tcp(skb, at);
	if (protocol == OH_PROTOCOL_UDP)
		return oh_parse_udp(skb, at);
	if (protocol == OH_PROTOCOL_ICMPV6)
		return oh_parse_icmp6(skb, at);
	return 0;
}

/* Fills f, which is zero except for its stage, from the IP packet at `at`. Returns OH_NONE, or the reason to refuse it;
 * f then holds what was read so far. */
static __always_inline enum oh_reason oh_parse(struct __sk_buff *skb, __u32 at, struct oh_flow *f)
{
	enum oh_reason reason;
	__u64 transport;

	if (skb->protocol == bpf_htons(OH_ETH_P_IP))
		reason = oh_parse_ip4(skb, at, f, &at);
	else if (skb->protocol == bpf_htons(OH_ETH_P_IPV6))
		reason = oh_parse_ip6(skb, at, f, &at);
	else
		return OH_PACKET_MALFORMED;
	if (reason)
		return reason;
	transport = oh_parse_transport(skb, at, f->protocol);
	f->tcp_flags = transport >> 8;
	f->destination_port = transport >> 48;
	if (f->protocol == OH_PROTOCOL_ICMPV6) {
		f->icmp_type = transport >> 40;
		f->icmp_code = transport >> 32;
	} else {
		f->source_port = transport >> 32;
	}
	f->transport = at;
	f->payload = at + (transport >> 16 & 0xffff);
	f->payload_length = skb->len - f->payload;
	return transport & 0xff;
}

/* Changes nothing, as no packet is 2 GB long. But the verifier cannot know that, and forgets which path parsed the
 * flow. So it walks the decision once, and not once each for IPv4 and IPv6, with a socket and without. */
static __always_inline void oh_forget(struct __sk_buff *skb, struct oh_flow *f)
{
	__u64 none = -(__u64)(skb->len >> 31), *word = (__u64 *)f;

	for (int i = 0; i < OH_FLOW_WORDS; i++)
		word[i] ^= none;
}

/* Reads TCP's numbers. Separate, as few segments need them. */
static __always_inline void oh_read_sequence(struct __sk_buff *skb, struct oh_flow *f)
{
	__be32 number[2] = {};

	bpf_skb_load_bytes(skb, f->transport + 4, number, sizeof(number));
	f->sequence = bpf_ntohl(number[0]);
	f->acknowledged = bpf_ntohl(number[1]);
}

#endif
