/* SPDX-License-Identifier: GPL-2.0-only */
/* The decision: one function over one parsed flow, for every hook. */
#ifndef OHGUARD_BPF_DECIDE_H
#define OHGUARD_BPF_DECIDE_H

#include "decide/clock.h"
#include "decide/flow.h"
#include "maps.h"
#include "parse/inbound.h"
#include "parse/special.h"
#include "decide/stream.h"

#define OH_PORT_DNS 53
#define OH_PORT_HTTP 80
#define OH_PORT_NTP 123

/* The target that a flow was admitted for: set if the verdict is OH_TARGET, OH_DNS or OH_NTP. */
struct oh_admission {
	__u32 target;		/* 0: a rule without a target */
	__u32 generation;
	bool fresh;		/* admitted by its address, not as part of a connection */
	__u32 slot;		/* scratch that holds the name judged; OH_SLOTS: none */
	bool named;		/* the connection must open with a TLS hello for an allowed name */
	bool told;		/* it was reported before */
	bool flow;		/* it is known only from the wire, with no guarded socket behind it */
};

static __always_inline bool oh_is_loopback(const struct oh_flow *f)
{
	const struct oh_address *to = &f->destination;

	if (f->loopback)
		return true;
	if (oh_is_packet(f))	/* the interface decided; the meaning of an address depends on routes */
		return false;
	if (oh_address_is_ip4(to) && (to->byte[12] == 127 || !to->word[3]))
		return true;
	/* the unspecified address, which connects to this machine, and ::1 */
	if (!to->word[0] && !to->word[1] && !to->word[2] && (!to->word[3] || to->word[3] == bpf_htonl(1)))
		return true;
	return !f->away && bpf_map_lookup_elem(&oh_local, to);
}

/* RFC 4861: solicitations and advertisements, of the sizes that the kernel sends. Only the kernel may send them:
 * routers forward packets to a global address, and "the same link" is derived from the source, which a process with a
 * raw socket chooses. */
static __always_inline bool oh_is_neighbour_discovery(const struct oh_flow *f)
{
	bool link_scope = f->destination.word[0] == bpf_htonl(0xff020000) ||
			  (f->destination.word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
	bool near;

	/* an extension header could carry anything */
	near = link_scope || (f->same_link && !f->known_raw);
	if (f->family != 6 || f->protocol != OH_PROTOCOL_ICMPV6 || f->hop_limit != 255 || f->icmp_code || f->options)
		return false;
	switch (f->icmp_type) {
	case 133:	/* router solicitation: a link-layer address, or nothing */
		return link_scope && f->payload_length <= 8;
	case 135:	/* neighbour solicitation: target, link-layer address, nonce (RFC 7527); a probe goes to it */
		return near && f->payload_length >= 16 && f->payload_length <= 32;
	case 136:	/* neighbour advertisement: to the asker, whose address may be global */
		return near && f->payload_length >= 16 && f->payload_length <= 24;
	}
	return false;
}

/* A DHCP server is on the link or in the private network, never out on the internet. */
static __always_inline bool oh_is_dhcp_server(const struct oh_address *a)
{
	__u32 ip4 = bpf_ntohl(a->word[3]);

	if (!oh_address_is_ip4(a))
		return false;
	return ip4 == 0xffffffff || ip4 >> 24 == 10 || ip4 >> 20 == 0xac1 || ip4 >> 16 == 0xc0a8 ||
	       (ip4 >> 16 == 0xa9fe && !oh_is_metadata_ip4(ip4));
}

static __always_inline bool oh_is_dhcp_renewal(const struct oh_flow *f)
{
	if (f->protocol != OH_PROTOCOL_UDP || f->options || f->forwarded)
		return false;
	if (f->source_port == 68 && f->destination_port == 67)	/* RFC 2131, 4.1 */
		return oh_is_dhcp_server(&f->destination);
	if (f->source_port == 546 && f->destination_port == 547)	/* RFC 8415, 7.2: all servers, or link-local */
		return f->destination.word[0] == bpf_htonl(0xff020000) ||
		       (f->destination.word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
	return false;
}

/* An attempt to send has no source port yet, so only its packet can be recognised as a DHCP client's. */
static __always_inline bool oh_may_be_dhcp_attempt(const struct oh_flow *f)
{
	if (oh_is_packet(f) || f->protocol != OH_PROTOCOL_UDP)
		return false;
	return f->destination_port == 67 ? oh_is_dhcp_server(&f->destination) : f->destination_port == 547;
}

/* A segment from an inbound rule's port to its source range. The first segment of a connection of our own
 * is a SYN without ACK, so no connection can be opened by binding such a port. */
static __always_inline bool oh_is_inbound_reply(const struct oh_flow *f)
{
	if (!oh_is_packet(f) || f->protocol != OH_PROTOCOL_TCP)
		return false;
	if (oh_opens(f))
		return false;
	for (__u32 i = 0; i < OH_INBOUND_MAX && i < oh_settings.inbound_count; i++) {
		if (oh_inbound_takes(&oh_settings.inbound[i], &f->destination, f->source_port))
			return true;
	}
	return false;
}

/* If no socket wants a segment, the kernel answers it with its own RST, from a raw control socket. */
static __always_inline bool oh_is_raw(const struct oh_flow *f)
{
	if (f->socket_type != SOCK_RAW || f->kernel_raw)
		return false;
	return f->known_raw || f->protocol != OH_PROTOCOL_TCP || !(f->tcp_flags & OH_TCP_RST) || f->payload_length;
}

/* The instance's own service, by its own address: all that `[imds] access` can open. */
static __always_inline bool oh_is_imds(const struct oh_address *a)
{
	if (oh_address_is_ip4(a))
		return a->word[3] == bpf_htonl(0xa9fea9fe);	/* 169.254.169.254 */
	return a->word[0] == bpf_htonl(0xfd000ec2) && !a->word[1] && !a->word[2] &&
	       a->word[3] == bpf_htonl(0x254);		/* fd00:ec2::254 */
}

/* The IPv4 address embedded under one of the configured translator prefixes; 0: none. Halves are in host byte order. A
 * global function: the verifier checks its loop once. */
__attribute__((noinline)) __u32 oh_ip4_translated(__u64 high, __u64 low)
{
	for (__u32 i = 0; i < OH_NAT64_MAX && i < oh_settings.nat64_count; i++) {
		const volatile struct oh_nat64 *n = &oh_settings.nat64[i];

		if (oh_is_behind(high, low, n->high, n->low, n->prefix))
			return oh_ip4_behind(high, low, n->prefix);
	}
	return 0;
}

static __always_inline __u64 oh_half(const __be32 *word)
{
	return (__u64)bpf_ntohl(word[0]) << 32 | bpf_ntohl(word[1]);
}

/* Also true if a translator or a tunnel takes it there. */
static __always_inline bool oh_leads_to_metadata(const struct oh_address *a)
{
	__u64 high = oh_half(a->word), low = oh_half(a->word + 2);

	if (oh_address_is_ip4(a))
		return oh_is_metadata_ip4(low);
	return oh_is_metadata(high, low) ||
	       (oh_settings.nat64_count && oh_is_metadata_ip4(oh_ip4_translated(high, low)));
}

static __always_inline enum oh_service oh_service_of(const struct oh_flow *f)
{
	if (f->protocol == OH_PROTOCOL_TCP)
		return f->destination_port == OH_PORT_DNS ? OH_SERVICE_DNS : OH_SERVICE_TCP;
	if (f->protocol == OH_PROTOCOL_UDP && f->destination_port == OH_PORT_DNS)
		return OH_SERVICE_DNS;
	if (f->protocol == OH_PROTOCOL_UDP && f->destination_port == OH_PORT_NTP)
		return OH_SERVICE_NTP;
	/* connect() on a datagram socket sends nothing; getaddrinfo() does it to sort the addresses it found */
	if (f->protocol == OH_PROTOCOL_UDP && f->stage == OH_STAGE_CONNECT)
		return OH_SERVICE_TCP;
	return OH_SERVICE_NONE;
}

enum oh_life { OH_TARGET_DEAD, OH_TARGET_HOLDS, OH_TARGET_HOLDS_NAMED };

/* Whether grants to a target of that generation still hold. A global function: see oh_lookup_in(). */
__attribute__((noinline)) int oh_target_life(__u32 id, __u32 generation)
{
	const struct oh_target *t = bpf_map_lookup_elem(&oh_targets, &id);

	if (!t || t->generation != generation || (t->lapses != OH_FOREVER && oh_now() >= t->lapses))
		return OH_TARGET_DEAD;
	return t->named ? OH_TARGET_HOLDS_NAMED : OH_TARGET_HOLDS;
}

/* What oh_lookup() looks for, in one word. */
#define OH_WANT(service, any_port, port) ((__u32)(service) << 24 | (__u32)(any_port) << 16 | (port))

/* What it found, in one word: reason in bits 0 to 7, target from bit 8, TLS name required in bit 31, generation from
 * bit 32. Until oh_lookup() is done, nearness takes the reason's place. */
#define OH_FOUND(near, grant) \
	((__u64)(grant)->generation << 32 | (__u64)((grant)->target & 0x7fffff) << 8 | (near))
#define OH_FOUND_REASON(found) ((found) & 0xff)
#define OH_FOUND_NEAR(found) ((found) & 0xff)
#define OH_FOUND_TARGET(found) ((found) >> 8 & 0x7fffff)
#define OH_FOUND_NAMED (1ULL << 31)

/* How closely a grant matches what is wanted, the closest last. */
enum oh_nearness { OH_NEAR_NOT, OH_NEAR_OTHER_PORT, OH_NEAR_EXPIRED, OH_NEAR_NAMED, OH_NEAR_ADMITS };

/* A grant as its two words. A global function: see oh_lookup_in(). */
__attribute__((noinline)) int oh_nearness(__u64 low, __u64 high, __u32 want)
{
	union {
		__u64 word[2];
		struct oh_grant grant;
	} u = { .word = { low, high } };
	const struct oh_grant *g = &u.grant;
	int life = oh_target_life(g->target, g->generation);

	if (g->service == OH_SERVICE_NONE || life == OH_TARGET_DEAD)
		return OH_NEAR_NOT;
	if (g->service != want >> 24 || ((want & 0xffff) - g->port > g->more && !(want & 0x10000)))
		return OH_NEAR_OTHER_PORT;
	if (g->expires != OH_FOREVER && oh_now() >= g->expires)
		return OH_NEAR_EXPIRED;
	return life == OH_TARGET_HOLDS_NAMED ? OH_NEAR_NAMED : OH_NEAR_ADMITS;
}

/* The grant of the entry that matches most closely. */
static __always_inline __u64 oh_match(const struct oh_entry *entry, __u32 want)
{
	__u64 nearest = OH_NEAR_NOT;

	for (int i = 0; i < OH_GRANTS_MAX && OH_FOUND_NEAR(nearest) < OH_NEAR_ADMITS; i++) {
		const struct oh_grant *g = &entry->grant[i];
		const __u64 *word = (const __u64 *)g;
		__u32 near;

		if (g->service == OH_SERVICE_NONE)
			continue;
		near = oh_nearness(word[0], word[1], want);
		if (near > OH_FOUND_NEAR(nearest))
			nearest = OH_FOUND(near, g);
	}
	return nearest;
}

enum oh_table { OH_TABLE_ADDRESSES, OH_TABLE_LEARNED, OH_TABLE_RANGES, OH_TABLES };

/* Looks up an address in one table. A global function of scalars: the verifier checks it once, and not once for each
 * way the parser can end. high, low: oh_high() and oh_low() of it. */
__attribute__((noinline)) __u64 oh_lookup_in(__u64 high, __u64 low, __u32 want, __u32 table)
{
	struct oh_range range = { .prefix = 128, .address.word = { high, high >> 32, low, low >> 32 } };
	const struct oh_entry *entry;

	if (table == OH_TABLE_ADDRESSES)
		entry = bpf_map_lookup_elem(&oh_addresses, &range.address);
	else if (table == OH_TABLE_LEARNED)
		entry = bpf_map_lookup_elem(&oh_learned, &range.address);
	else
		entry = bpf_map_lookup_elem(&oh_ranges, &range);
	return entry ? oh_match(entry, want) : OH_NEAR_NOT;
}

/* Asks the tables in turn, until one admits and requires no name. */
__attribute__((noinline)) __u64 oh_lookup(__u64 high, __u64 low, __u32 want)
{
	__u64 nearest = OH_NEAR_NOT;

	for (__u32 table = 0; table < OH_TABLES && OH_FOUND_NEAR(nearest) < OH_NEAR_ADMITS; table++) {
		__u64 found = oh_lookup_in(high, low, want, table);

		if (OH_FOUND_NEAR(found) > OH_FOUND_NEAR(nearest))
			nearest = found;
	}
	switch (OH_FOUND_NEAR(nearest)) {
	case OH_NEAR_ADMITS:
		return nearest - OH_NEAR_ADMITS + OH_TARGET;
	case OH_NEAR_NAMED:
		return (nearest - OH_NEAR_NAMED + OH_TARGET) | OH_FOUND_NAMED;
	case OH_NEAR_EXPIRED:
		return OH_ADDRESS_EXPIRED;
	case OH_NEAR_OTHER_PORT:
		return OH_PORT_NOT_ALLOWED;
	}
	return OH_ADDRESS_NOT_ALLOWED;
}

static __always_inline __u64 oh_find(enum oh_service service, const struct oh_flow *f)
{
	bool any_port = f->protocol == OH_PROTOCOL_UDP && service == OH_SERVICE_TCP;

	return oh_lookup(oh_high(&f->destination), oh_low(&f->destination),
			 OH_WANT(service, any_port, f->destination_port));
}

static __always_inline bool oh_is_ready(void)
{
	__u32 zero = 0;
	const struct oh_control *control = bpf_map_lookup_elem(&oh_control, &zero);

	return control && control->ready;
}

/* Part of rule 6: a connection outlives the expiry of its address, but not its target. */
static __always_inline bool oh_is_admitted(const struct oh_flow *f, const struct oh_connection *c,
					   struct oh_admission *admission)
{
	if (!c || !c->admitted || f->protocol != OH_PROTOCOL_TCP || f->destination_port != c->port ||
	    !oh_address_equal(&f->destination, &c->to) || !oh_target_life(c->target, c->generation))
		return false;
	if (oh_opens(f))	/* a socket that connects again is a new connection */
		return false;
	admission->target = c->target;
	admission->generation = c->generation;
	admission->fresh = false;
	return true;
}

/* Makes c the connection to f's destination; f holds its SYN's number. Its payload must be what `look` says. Another
 * CPU may read meanwhile: `admitted` is 0 from before the first field is written until after the last, in program
 * order, which x86 keeps and arm64 does not. A reader that saw `admitted` set may then see the other fields mixed. A
 * packet of an old connection finds the old or the new target, and each was admitted for the packet's address and
 * port. No packet of the new connection is affected: none leaves before this one, and the socket's lock orders those
 * after it. */
static __always_inline void oh_admit(struct oh_connection *c, const struct oh_flow *f, enum oh_look look, __u32 target,
				     __u32 generation)
{
	OH_MEM(c->admitted) = 0;
	asm volatile("" ::: "memory");
	c->to = f->destination;
	c->port = f->destination_port;
	c->look = look;
	c->refused = 0;
	c->reopened = 0;
	c->served = 0;
	c->framed = 0;
	oh_stream_open(&c->stream, f->sequence + 1);
	c->target = target;
	c->generation = generation;
	asm volatile("" ::: "memory");
	OH_MEM(c->admitted) = 1;
}

/* Rules 1 to 3 of DESIGN section 2; the first match wins. OH_NONE: none of them. */
static __always_inline enum oh_reason oh_apply_first_rules(const struct oh_flow *f)
{
	/* 1 */
	if (oh_is_loopback(f))
		return OH_LOOPBACK;
	/* 2 */
	if (oh_is_neighbour_discovery(f) || oh_is_dhcp_renewal(f) || oh_may_be_dhcp_attempt(f))
		return OH_HOST_NEED;
	if (oh_is_raw(f))
		return OH_RAW_SOCKET;
	/* 3 */
	if (oh_is_inbound_reply(f))
		return OH_INBOUND_REPLY;
	return oh_is_ready() ? OH_NONE : OH_LOCKDOWN;
}

/* 4, 5, 6: one table holds resolvers, time servers and targets. Returns the same word as oh_lookup(). */
static __always_inline __u64 oh_apply_other_rules(const struct oh_flow *f)
{
	enum oh_service service = oh_service_of(f);
	bool metadata;
	__u64 found;

	metadata = oh_leads_to_metadata(&f->destination);
	if (metadata && service != OH_SERVICE_DNS) {
		if (oh_settings.metadata && oh_is_imds(&f->destination) && service == OH_SERVICE_TCP &&
		    f->destination_port == OH_PORT_HTTP)
			return OH_TARGET;
		return OH_METADATA_SERVICE;
	}
	if (service == OH_SERVICE_NONE)
		return OH_PROTOCOL_NOT_ALLOWED;
	found = oh_find(service, f);
	if (service == OH_SERVICE_TCP)
		return found;
	if (metadata && OH_FOUND_REASON(found) != OH_TARGET)	/* some clouds run their resolver there */
		return OH_METADATA_SERVICE;
	/* To sort addresses, Go connects a datagram socket to port 53 of each, which sends nothing */
	if (OH_FOUND_REASON(found) != OH_TARGET && f->stage == OH_STAGE_CONNECT && f->protocol == OH_PROTOCOL_UDP &&
	    OH_FOUND_REASON(oh_find(OH_SERVICE_TCP, f)) == OH_TARGET)
		return OH_TARGET;
	if (OH_FOUND_REASON(found) != OH_TARGET)
		return service == OH_SERVICE_DNS ? OH_DNS_RESOLVER_NOT_ALLOWED : OH_NTP_SERVER_NOT_ALLOWED;
	return found - OH_TARGET + (service == OH_SERVICE_DNS ? OH_DNS : OH_NTP);
}

/* The rules over a flow's words. Global functions of scalars: the verifier checks each part of the rules once, and not
 * once for each way in which a parser, or the other part, can end. */
__attribute__((noinline)) int oh_judge_first(__u64 word0, __u64 word1, __u64 word2, __u64 word3, __u64 word4)
{
	/* only the part of a flow that the rules read: verifiers allow 512 bytes of stack to a whole chain of calls */
	const oh_any_word words[OH_FLOW_WORDS] = { word0, word1, word2, word3, word4 };

	return oh_apply_first_rules((const struct oh_flow *)words);
}

__attribute__((noinline)) __u64 oh_judge(__u64 word0, __u64 word1, __u64 word2, __u64 word3, __u64 word4)
{
	const oh_any_word words[OH_FLOW_WORDS] = { word0, word1, word2, word3, word4 };
	int first = oh_judge_first(word0, word1, word2, word3, word4);

	return first ? (__u8)first : oh_apply_other_rules((const struct oh_flow *)words);
}

/* The verdict on f: its rule (below OH_REASON_FIRST_REFUSAL), or why it is refused. c is what is known about the
 * socket's connection, or NULL. */
static __always_inline enum oh_reason oh_decide(const struct oh_flow *f, const struct oh_connection *c,
						struct oh_admission *admission)
{
	const oh_any_word *words = (const oh_any_word *)f;
	__u64 verdict;

	/* the second half of rule 6 comes first for speed: no other rule admits such a packet, and none refuses it */
	if (oh_is_admitted(f, c, admission))
		return c->look == OH_LOOK_QUERIES ? OH_DNS : OH_TARGET;
	verdict = oh_judge(words[0], words[1], words[2], words[3], words[4]);
	admission->target = OH_FOUND_TARGET(verdict);
	admission->generation = verdict >> 32;
	admission->fresh = admission->target;
	admission->named = OH_FOUND_REASON(verdict) == OH_TARGET && verdict & OH_FOUND_NAMED;
	return OH_FOUND_REASON(verdict);
}

/* What oh_forget() does, for a verdict: what counts and tells it is walked once, and not once for each way to it. */
static __always_inline enum oh_reason oh_forget_verdict(struct __sk_buff *skb, struct oh_admission *admission,
							enum oh_reason reason)
{
	__u32 none = -(skb->len >> 31), *word = (__u32 *)admission;

	for (__u32 i = 0; i < sizeof(*admission) / sizeof(*word); i++)
		OH_MEM(word[i]) ^= none;
	return reason ^ none;
}

#endif
