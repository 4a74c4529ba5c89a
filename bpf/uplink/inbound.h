/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets that come in over an uplink, judged before the stack sees them. Allowed: what the inbound rules accept,
 * replies to flows that were let out, and what the host needs. A packet is turned into its answer, so the outbound
 * rules apply. */
#ifndef OHGUARD_BPF_INBOUND_H
#define OHGUARD_BPF_INBOUND_H

#include "decide/report.h"
#include "uplink/uplink.h"

/* The bytes needed to judge a packet: IPv6, an ICMP error, and the packet it quotes with its ports. */
#define OH_ARRIVAL_HEAD 110
#define OH_NS_PER_SECOND 1000000000ULL

enum { OH_TCP_LISTEN = 10, OH_TCP_NEW_SYN_RECV = 12 };	/* net/tcp_states.h */

/* What one run knows about its packet; one per CPU: see struct oh_frame. */
struct oh_arrival {
	struct oh_flow seen;	/* as it is on the wire */
	struct oh_flow answer;	/* the packet that would answer it; for an ICMP error: the one quoted */
	struct oh_flow_key key;	/* of the answer */
	__u32 flags;		/* TCP's; sequence numbers, payload offset and length are then in `seen` */
	__u64 told;		/* time of the last event: kept from run to run */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct oh_arrival);
} oh_arrivals SEC(".maps");

/* Reads the IP header at `at`, after an Ethernet header or inside an ICMP error. */
static __always_inline bool oh_read_ip4(void *at, void *end, struct oh_flow *f)
{
	struct oh_ip4_header *h = at;

	if ((void *)(h + 1) > end)
		return false;
	oh_address_from_ip4(&f->source, h->source);
	oh_address_from_ip4(&f->destination, h->destination);
	f->family = 4;
	f->protocol = h->protocol;
	f->hop_limit = h->ttl;
	return h->version_length >> 4 == 4;
}

static __always_inline bool oh_read_ip6(void *at, void *end, struct oh_flow *f)
{
	struct oh_ip6_header *h = at;

	if ((void *)(h + 1) > end)
		return false;
	f->source = h->source;
	f->destination = h->destination;
	f->family = 6;
	f->protocol = h->next;
	f->hop_limit = h->hop_limit;
	return *(__u8 *)at >> 4 == 6 && !oh_address_is_ip4(&h->source) && !oh_address_is_ip4(&h->destination);
}

/* Reads the ports. An ICMP error quotes those of its packet too. */
static __always_inline bool oh_read_ports(void *at, void *end, struct oh_flow *f)
{
	__be16 *port = at;

	if (f->protocol != OH_PROTOCOL_TCP && f->protocol != OH_PROTOCOL_UDP)
		return true;
	if ((void *)(port + 2) > end)
		return false;
	f->source_port = bpf_ntohs(port[0]);
	f->destination_port = bpf_ntohs(port[1]);
	return true;
}

static __always_inline void oh_mirror(const struct oh_flow *seen, struct oh_flow *answer)
{
	answer->source = seen->destination;
	answer->destination = seen->source;
	answer->source_port = seen->destination_port;
	answer->destination_port = seen->source_port;
	answer->protocol = seen->protocol;
	answer->family = seen->family;
}

/* Unreachable (among them: too big), time exceeded, and ICMPv6's own too big. */
static __always_inline bool oh_is_icmp_error(const struct oh_flow *f)
{
	if (f->protocol == OH_PROTOCOL_ICMP)
		return f->icmp_type == 3 || f->icmp_type == 11;
	return f->protocol == OH_PROTOCOL_ICMPV6 && f->icmp_type >= 1 && f->icmp_type <= 3;
}

static __always_inline void oh_read_tcp(const struct oh_tcp_header *tcp, void *end, struct oh_arrival *a, __u32 length)
{
	__u32 header;

	if ((void *)tcp + 20 > end)
		return;
	header = (tcp->offset >> 4) * 4;
	a->flags = tcp->flags;
	a->seen.sequence = bpf_ntohl(tcp->sequence);
	a->seen.acknowledged = bpf_ntohl(tcp->acknowledgment);
	a->seen.payload = a->seen.transport + header;
	a->seen.payload_length = length > header ? length - header : 0;
}

/* Reads the `length` bytes after the IP header, at `at`. Returns OH_NONE, or the reason to refuse. */
static __always_inline enum oh_reason oh_read_upper(void *at, void *end, struct oh_arrival *a, __u32 length)
{
	struct oh_flow *f = &a->seen;
	__u8 *type = at;

	if (!oh_read_ports(at, end, f) || (void *)(type + 8) > end)
		return OH_PACKET_MALFORMED;
	oh_mirror(f, &a->answer);
	if (f->protocol == OH_PROTOCOL_TCP)
		oh_read_tcp(at, end, a, length);
	if (f->protocol != OH_PROTOCOL_ICMP && f->protocol != OH_PROTOCOL_ICMPV6)
		return OH_NONE;
	f->icmp_type = type[0];
	f->icmp_code = type[1];
	if (!oh_is_icmp_error(f))
		return OH_NONE;
	at += 8;
	if (f->family == 4)	/* with options the ports would be elsewhere: our flows have no options */
		return oh_read_ip4(at, end, &a->answer) &&
		       oh_read_ports(at + sizeof(struct oh_ip4_header), end, &a->answer) ?
		       OH_NONE : OH_PACKET_MALFORMED;
	return oh_read_ip6(at, end, &a->answer) &&
	       oh_read_ports(at + sizeof(struct oh_ip6_header), end, &a->answer) ? OH_NONE : OH_PACKET_MALFORMED;
}

/* Reads the headers of a frame of `length` bytes, only at their usual places. Not all bytes need be readable. Returns
 * OH_NONE with the flows filled in, or the verdict. */
static __always_inline enum oh_reason oh_read_arrival(void *at, void *end, __u64 length, struct oh_arrival *a)
{
	__u64 room = length - OH_ETHERNET;	/* for an IP packet */
	struct oh_ip4_header *ip4;
	struct oh_ip6_header *ip6;
	__be16 ethertype;

	if (at + OH_ETHERNET > end)
		return OH_PACKET_MALFORMED;
	ethertype = *(__be16 *)(at + 12);
	at += OH_ETHERNET;
	ip4 = at;
	ip6 = at;
	if (ethertype == bpf_htons(OH_ETH_P_ARP))
		return OH_HOST_NEED;
	if (ethertype == bpf_htons(OH_ETH_P_IP)) {
		if (!oh_read_ip4(at, end, &a->seen) || (void *)(ip4 + 1) > end)
			return OH_PACKET_MALFORMED;
		if (ip4->fragment & bpf_htons(0x3fff))
			return OH_FRAGMENT;
		if (bpf_ntohs(ip4->length) < sizeof(*ip4) || bpf_ntohs(ip4->length) > room)
			return OH_PACKET_MALFORMED;
		a->seen.transport = OH_ETHERNET + sizeof(*ip4);
		return ip4->version_length != 0x45 ? OH_INBOUND_NOT_ALLOWED :
						     oh_read_upper(ip4 + 1, end, a,
								   bpf_ntohs(ip4->length) - sizeof(*ip4));
	}
	if (ethertype == bpf_htons(OH_ETH_P_IPV6)) {
		if (!oh_read_ip6(at, end, &a->seen) || (void *)(ip6 + 1) > end)
			return OH_PACKET_MALFORMED;
		if (ip6->next == OH_PROTOCOL_FRAGMENT)
			return OH_FRAGMENT;
		if (sizeof(*ip6) + bpf_ntohs(ip6->payload_length) > room)
			return OH_PACKET_MALFORMED;
		a->seen.transport = OH_ETHERNET + sizeof(*ip6);
		return oh_read_upper(ip6 + 1, end, a, bpf_ntohs(ip6->payload_length));
	}
	return OH_INBOUND_NOT_ALLOWED;
}

/* A message of a router or neighbour, which no router forwards (RFC 4861). */
static __always_inline bool oh_is_neighbours_word(const struct oh_flow *f)
{
	return f->protocol == OH_PROTOCOL_ICMPV6 && f->family == 6 && f->hop_limit == 255 && !f->icmp_code &&
	       f->icmp_type >= 134 && f->icmp_type <= 136;
}

static __always_inline bool oh_is_living(__u32 target, __u32 generation)
{
	return !target || oh_target_life(target, generation);
}

/* The far side has answered: the opening becomes a connection and replaces any older one with the same ends. Returns
 * false if that is impossible now: the far side will answer again. */
static __always_inline bool oh_make_flow(struct oh_arrival *a, const struct oh_opening *opening)
{
	struct oh_connection *flow = oh_claim_flow(&a->key);

	if (!flow)
		return false;
	a->answer.sequence = opening->first - 1;
	flow->stream.answer = a->seen.sequence + 1;
	flow->stream.heard = a->seen.sequence + 1 + a->seen.payload_length;
	oh_admit(flow, &a->answer, opening->look, opening->target, opening->generation);
	oh_close_opening(&a->key, opening);
	oh_release(flow);
	return true;
}

#define OH_SERVER_BYTES 19	/* of a ServerHello: its type, and a quarter of its random */

/* RFC 8446, 4.1.3: a special random value in a ServerHello asks the client for a second hello. XDP has no helper that
 * reads non-linear packets. */
static __always_inline bool oh_is_last_hello(void *ctx, const struct oh_arrival *a, enum oh_hook hook)
{
	__u8 room[OH_SERVER_BYTES + 1] __attribute__((aligned(8))) = {}, *p = room + 1;	/* words are aligned */

	if (hook == OH_HOOK_INBOUND) {
		struct xdp_md *xdp = ctx;
		const __u8 *at = (void *)(long)xdp->data + (a->seen.payload & 0xff);

		if ((void *)(at + OH_SERVER_BYTES) > (void *)(long)xdp->data_end)
			return false;
		__builtin_memcpy(p, at, OH_SERVER_BYTES);
	} else if (bpf_skb_load_bytes(ctx, a->seen.payload, p, OH_SERVER_BYTES)) {
		return false;
	}
	return p[0] == OH_TLS_HANDSHAKE && p[5] == 2 &&
		(oh_be32(p + 11) != 0xcf21ad74 || oh_be32(p + 15) != 0xe59a6111);
}

/* Records what the far side of a flow says, if it affects what the flow may send next. */
static __always_inline void oh_hear(void *ctx, const struct oh_arrival *a, struct oh_connection *flow,
				    enum oh_hook hook)
{
	const struct oh_tls_rest *rest = (const struct oh_tls_rest *)flow->rest;

	/* The reset may be ours, made from a refused segment: see answer.h. */
	if (flow->look == OH_LOOK_NONE || a->seen.protocol != OH_PROTOCOL_TCP || a->flags & OH_TCP_RST)
		return;
	if (flow->look == OH_LOOK_TLS && rest->offers & OH_TLS_OFFERS_EARLY &&
	    a->seen.sequence == flow->stream.answer &&
	    oh_is_last_hello(ctx, a, hook))
		flow->served = 1;
	oh_stream_heard(flow, a->seen.sequence, a->seen.payload_length + !!(a->flags & OH_TCP_FIN));
	if (a->flags & OH_TCP_ACK)
		oh_stream_acknowledged(flow, a->seen.acknowledged);
}

static __always_inline bool oh_is_known_flow(void *ctx, struct oh_arrival *a, enum oh_hook hook)
{
	struct oh_connection *flow = bpf_map_lookup_elem(&oh_flows, &a->key);
	bool living = flow && flow->admitted && oh_is_living(flow->target, flow->generation);
	bool tcp = a->seen.protocol == OH_PROTOCOL_TCP, syn = tcp && a->flags & OH_TCP_SYN;
	const struct oh_opening *opening;

	if (living && !syn) {
		oh_hear(ctx, a, flow, hook);
		return true;
	}
	opening = bpf_map_lookup_elem(&oh_openings, &a->key);
	if (opening && !oh_is_living(opening->target, opening->generation))
		opening = NULL;
	if (opening && !tcp)
		oh_settle_opening(&a->key, opening);
	if (!syn)	/* a non-SYN answer to a SYN is a refusal, and makes no connection */
		return opening && (opening->syn || !tcp || oh_make_flow(a, opening));
	switch (a->flags & OH_TCP_ACK
		? oh_welcome_of(living ? flow : NULL, opening, a->seen.sequence, a->seen.acknowledged) :
					OH_WELCOME_NOT) {
	case OH_WELCOME_OPENS:
		return opening && oh_make_flow(a, opening);
	case OH_WELCOME_AGAIN:
		return true;
	default:
		return false;
	}
}

/* Whether a local socket is the near end of the connection that `near` is a segment of: one whose frames left by
 * oh_is_known(), or one that is older than the guard. What it sends is judged as usual. */
static __always_inline bool oh_is_open_here(void *ctx, const struct oh_flow *near)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	bool open;

	if (near->protocol != OH_PROTOCOL_TCP)
		return false;
	if (near->family == 4) {
		tuple.ipv4.saddr = near->destination.word[3];
		tuple.ipv4.daddr = near->source.word[3];
		tuple.ipv4.sport = bpf_htons(near->destination_port);
		tuple.ipv4.dport = bpf_htons(near->source_port);
		sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), -1 /* BPF_F_CURRENT_NETNS */, 0);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &near->destination, sizeof(near->destination));
		__builtin_memcpy(tuple.ipv6.daddr, &near->source, sizeof(near->source));
		tuple.ipv6.sport = bpf_htons(near->destination_port);
		tuple.ipv6.dport = bpf_htons(near->source_port);
		sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), -1, 0);
	}
	if (!sk)
		return false;
	open = sk->state != OH_TCP_LISTEN && sk->state != OH_TCP_NEW_SYN_RECV;
	bpf_sk_release(sk);
	return open;
}

static __always_inline enum oh_reason oh_decide_arrival(void *ctx, struct oh_arrival *a, enum oh_hook hook)
{
	if (oh_is_neighbours_word(&a->seen) || oh_is_dhcp_renewal(&a->answer))
		return OH_HOST_NEED;
	if (oh_is_inbound_reply(&a->answer))
		return OH_INBOUND_REPLY;
	/* echo and similar messages answer no flow */
	if (a->answer.protocol != OH_PROTOCOL_TCP && a->answer.protocol != OH_PROTOCOL_UDP)
		return OH_INBOUND_NOT_ALLOWED;
	oh_flow_key_of(&a->answer, &a->key);
	if (oh_is_known_flow(ctx, a, hook) || oh_is_open_here(ctx, &a->answer))
		return OH_TARGET;
	return OH_INBOUND_NOT_ALLOWED;
}

/* True if the frame may pass. Passed frames are not counted: only outbound verdicts are. */
static __always_inline bool oh_let_in(void *ctx, void *at, void *end, __u64 length, enum oh_hook hook)
{
	__u32 zero = 0;
	struct oh_arrival *a = bpf_map_lookup_elem(&oh_arrivals, &zero);
	enum oh_reason reason;
	__u64 now;

	if (!a)
		return false;
	__builtin_memset(a, 0, __builtin_offsetof(struct oh_arrival, told));
	reason = oh_read_arrival(at, end, length, a);
	if (!reason)
		reason = oh_decide_arrival(ctx, a, hook);
	if (reason < OH_REASON_FIRST_REFUSAL)
		return true;
	oh_count_verdict(reason, length - OH_ETHERNET);
	/* At most one per second and CPU: an outside flood must not push out events about the workload's refusals. */
	now = bpf_ktime_get_boot_ns();
	if (now - a->told >= OH_NS_PER_SECOND) {
		a->told = now;
		oh_tell(&a->seen, hook, reason, NULL, OH_SLOTS);
	}
	return oh_verdict(reason);
}

#endif
