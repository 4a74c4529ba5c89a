/* SPDX-License-Identifier: GPL-2.0-only */
/* Learning addresses from answers, before the program that asked can read them. */
#ifndef OHGUARD_BPF_LEARN_H
#define OHGUARD_BPF_LEARN_H

#include "parse/special.h"
#include "payload/opened.h"

_Static_assert(sizeof(struct oh_dns_pending) == OH_PENDING_SIZE, "value of oh_pending");

#define OH_ANSWERS_AT_ONCE 4	/* per segment: later ones teach nothing. The verifier walks each anew */
#define OH_STREAM 0x10000	/* added to a port: over TCP */
#define OH_WIRE 0x20000		/* added to a port: as on an uplink, whoever asked */
#define OH_LEARN_TRIES 3	/* attempts to write an address while other CPUs do */

/* The port at which a query's answer is read; 0: it is not. With an uplink, answers are read there: nothing that the
 * workload sends comes in by it. To redirect packets to its ingress (tc's mirred) takes CAP_NET_ADMIN in the host's
 * network namespace, which the workload must not have (docs/threat-model.md). Without one, only the guard's own network
 * namespace counts: in one of its own making, a workload could answer itself. */
static __always_inline __u32 oh_answer_port(const struct oh_flow *f, const struct oh_connection *c)
{
	if (f->stage == OH_STAGE_UPLINK)
		return OH_WIRE | f->source_port;
	if (!c || !c->home)
		return 0;
	if (!*oh_settings.uplink[0])
		return f->source_port;
	/* at the uplink such a segment counts as judged, and is not read again */
	return f->protocol == OH_PROTOCOL_TCP ? OH_WIRE | f->source_port : 0;
}

static __always_inline void oh_pending_key_of(struct __sk_buff *skb, __u32 port, __u32 id, struct oh_pending_key *key)
{
	key->socket = port & OH_WIRE ? 0 : bpf_get_socket_cookie(skb);
	key->id = id;
	key->port = port & 0xffff;
	key->interface = skb->ifindex;
}

/* Address answers teach addresses. Answers of the other types that browsers ask for may hold a CNAME. */
static __always_inline bool oh_may_teach(__u32 type)
{
	return type == OH_DNS_A || type == OH_DNS_AAAA || type == OH_DNS_SVCB || type == OH_DNS_HTTPS;
}

/* Records a query that was let out, from the scratch in which it was judged. */
__attribute__((noinline)) int oh_note_query(struct __sk_buff *skb, __u32 answer_port, __u32 slot)
{
	struct oh_pending_key key = {};
	struct oh_scratch *s = oh_scratch(slot);
	__u64 now = bpf_jiffies64();

	if (!s || !answer_port || !oh_may_teach(s->query.qtype))
		return 0;
	s->query.room = oh_has_room(OH_SHARED_PENDING, s->target, OH_WAIT(now), OH_WAIT(OH_WAIT_SPAN),
				    OH_PENDING_MAX);
	if (s->query.room == OH_ROOM_NONE)	/* the answer teaches nothing */
		return 0;
	s->query.target = s->target;
	s->query.paid = now;
	oh_pending_key_of(skb, answer_port, s->query.id, &key);
	bpf_map_update_elem(&oh_pending, &key, &s->query, BPF_ANY);
	return 0;
}

/* Forgets a query that was answered, so that one who asks much and is answered at once has room for more. */
static __always_inline void oh_forget_query(const struct oh_pending_key *key, const struct oh_dns_pending *query)
{
	/* Of two CPUs that read the same answer only one deletes it. */
	if (!bpf_map_delete_elem(&oh_pending, key))
		oh_give_back(OH_SHARED_PENDING, query->target, oh_paying_targets(), query->room, query->paid,
			     OH_PENDING_MAX);
}

/* Makes the question in the scratch's message the key for oh_names. */
__attribute__((noinline)) int oh_read_question(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);

	return s && oh_dns_name(s, slot);
}

/* Lets one rule admit one address: 1 if that had to be written. high, low: see oh_lookup_in(). */
__attribute__((noinline)) int oh_learn_once(__u64 high, __u64 low, __u64 target, __u32 port_service, __u32 life)
{
	struct oh_address address = { .word = { high, high >> 32, low, low >> 32 } };
	struct oh_grant grant = { .expires = oh_now() + life, .target = target, .generation = target >> 32,
				  .port = port_service, .service = port_service >> 16, .learned = OH_LEARNED_ANSWER };
	const struct oh_entry *old = bpf_map_lookup_elem(&oh_learned, &address);
	struct oh_entry entry = {};

	if (old)
		entry = *old;
	else if (!oh_may_grow(OH_SHARED_LEARNED, target, life, OH_ANSWERS_MAX))
		return 0;
	/* In one write, so that no reader sees half of it. */
	return oh_merge(&entry, &grant) && !bpf_map_update_elem(&oh_learned, &address, &entry, BPF_ANY);
}

/* Extends the time for which a rule admits a learned address. */
__attribute__((noinline)) int oh_prolong(__u64 high, __u64 low, __u64 target, __u32 port_service, __u32 expires)
{
	struct oh_address address = { .word = { high, high >> 32, low, low >> 32 } };
	struct oh_grant grant = { .expires = expires, .target = target, .generation = target >> 32,
				  .port = port_service, .service = port_service >> 16 };
	struct oh_entry *entry = bpf_map_lookup_elem(&oh_learned, &address);

	return entry && oh_renew(entry, &grant);
}

static __always_inline void oh_answered_address(const struct oh_dns_addr *from, struct oh_address *ret)
{
	if (from->family == 4)
		oh_address_from_ip4(ret, *(const __u32 *)from->addr);
	else
		__builtin_memcpy(ret, from->addr, sizeof(*ret));
}

/* Under --observe: notes by which name an address came. */
__attribute__((noinline)) int oh_note_seen(__u32 slot, __u32 place)
{
	struct oh_scratch *s = oh_settings.observe ? oh_scratch(slot) : NULL;
	const struct oh_dns_addr *from;
	struct oh_address to = {};

	if (!s)
		return 0;
	from = &s->addr[place & (OH_ANSWER_RECORDS - 1)];
	oh_answered_address(from, &to);
	return !bpf_map_update_elem(&oh_seen, &to, oh_key(s)->data, BPF_ANY);
}

/* Whether the configuration allows answers for that name to hold that special address. A global function: see
 * oh_lookup_in(). */
__attribute__((noinline)) int oh_may_be_private(__u32 slot, __u64 high, __u64 low)
{
	struct oh_address a = { .word = { high, high >> 32, low, low >> 32 } };
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_name_entry *entry = s ? bpf_map_lookup_elem(&oh_names, oh_key(s)) : NULL;

	if (!entry || oh_leads_to_metadata(&a))
		return 0;
	for (int i = 0; i < OH_PRIVATE_MAX; i++) {
		const struct oh_range *range = &entry->private[i];
		__u32 differ = 0;

		for (__u32 w = 0; w < 4; w++) {
			__u32 bits = range->prefix > 32 * w ? range->prefix - 32 * w : 0;
			__u32 mask = bits >= 32 ? 0xffffffff : ~(0xffffffff >> bits);

			differ |= bpf_ntohl(a.word[w] ^ range->address.word[w]) & mask;
		}
		if (range->prefix && !differ)
			return 1;
	}
	return 0;
}

/* Whether an answer may hold it only if the configuration says so. */
static __always_inline bool oh_is_not_public(const struct oh_address *a)
{
	__u32 translated = 0;

	if (oh_settings.nat64_count)
		translated = oh_ip4_translated(oh_half(a->word), oh_half(a->word + 2));
	return oh_special(a->byte) || (translated && oh_special_ip4(translated));
}

/* Learns the address at a place in the answer, for all it teaches. */
__attribute__((noinline)) int oh_learn_address(__u32 slot, __u32 place)
{
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_dns_addr *from;
	struct oh_address to = {};
	__u64 high, low;
	__u32 life;

	if (!s)
		return 0;
	from = &s->addr[place & (OH_ANSWER_RECORDS - 1)];
	oh_answered_address(from, &to);
	high = oh_high(&to);
	low = oh_low(&to);
	if (oh_is_not_public(&to) && !oh_may_be_private(slot, high, low))
		return 0;
	life = oh_answer_life(from->ttl);
	for (int n = 0; n < OH_LEARNERS; n++) {
		const struct oh_learner *of = &s->learner[n];

		if (!of->target)
			continue;
		/* Retry until it is there: another CPU may have replaced the entry meanwhile. */
		for (int i = 0; i < OH_LEARN_TRIES; i++) {
			if (!oh_learn_once(high, low, of->target, of->port_service, life))
				break;
		}
	}
	return 0;
}

static __always_inline bool oh_is_resolver(const struct oh_address *a)
{
	__u64 found = oh_lookup(oh_high(a), oh_low(a), OH_WANT(OH_SERVICE_DNS, false, OH_PORT_DNS));

	return OH_FOUND_REASON(found) == OH_TARGET;
}

/* Learns the addresses in an answer to a query that was seen leaving by the same socket. A global function: the
 * verifier walks it once, and not once for each answer. */
__attribute__((noinline)) int oh_learn_message(struct __sk_buff *skb, __u32 at, __u32 length, __u32 port)
{
	struct oh_pending_key key = {};
	const struct oh_dns_pending *asked;
	struct oh_scratch *s;
	__be16 id;
	__u32 slot;

	if (bpf_skb_load_bytes(skb, at, &id, sizeof(id)))
		return 0;
	oh_pending_key_of(skb, port, bpf_ntohs(id), &key);
	asked = bpf_map_lookup_elem(&oh_pending, &key);
	if (!asked)
		return 0;
	slot = oh_scratch_take();
	s = oh_scratch(slot);
	if (!s)
		return 0;
	/* A copy, since the map may reuse the place for another query. */
	for (int i = 0; i < (int)(sizeof(*asked) / 8); i++)
		((__u64 *)&s->query)[i] = ((const volatile __u64 *)asked)[i];
	if (!oh_dns_answer(skb, at, length, s, &s->query, slot) && oh_read_question(slot)) {
		oh_read_learners(slot);
		for (__u32 i = 0; oh_settings.observe && i < OH_TEACH_MAX && i < OH_MEM(s->addrs); i++)
			oh_note_seen(slot, i);
		for (__u32 i = 0; i < OH_TEACH_MAX && i < OH_MEM(s->addrs); i++)
			oh_learn_address(slot, i);
		for (__u32 i = 1; i <= OH_OPENED_LINKS && i < OH_MEM(s->links); i++)
			oh_open_link(slot, i);
		oh_forget_query(&key, &s->query);
	}
	oh_scratch_release(slot);
	return 0;
}

/* Learns from the complete answers in `length` bytes at `at`. Over UDP that is all of it. Over TCP, with OH_STREAM
 * added to the port, they are framed, the first at `next`. Returns where the next one begins, perhaps in a later
 * segment; 0 if unknown. */
static __always_inline __u32 oh_learn_messages(struct __sk_buff *skb, __u32 at, __u32 length, __u32 next, __u32 port)
{
	for (int i = 0; i < OH_ANSWERS_AT_ONCE; i++) {
		__be16 size = bpf_htons(length);

		if (next >= length)
			return next;
		if (port & OH_STREAM) {
			if (length - next < sizeof(size) || bpf_skb_load_bytes(skb, at + next, &size, sizeof(size)))
				return 0;
			next += sizeof(size);
		}
		if (bpf_ntohs(size) <= length - next)
			oh_learn_message(skb, at + next, bpf_ntohs(size), port);
		next += bpf_ntohs(size);
	}
	return 0;
}

/* Answers over TCP. Their starts are counted from the first byte on: whoever chooses a record's content could make the
 * middle of an answer look like another answer. */
static __always_inline void oh_learn_segment(struct __sk_buff *skb, const struct oh_flow *f, struct oh_connection *c,
					     __u32 where)
{
	__u32 next = c->answers - f->sequence;

	if (f->tcp_flags & OH_TCP_SYN) {
		c->answers = f->sequence + 1;
		c->framed = 1;
		return;
	}
	if (!c->framed || next >= f->payload_length)	/* seen before, or part of a longer */
		return;
	next = oh_learn_messages(skb, f->payload, f->payload_length, next,
				 OH_STREAM | where | f->destination_port);
	c->answers = f->sequence + next;
	c->framed = next != 0;
}

/* Whether the IP packet at `at` can hold an answer: a quick check, since every incoming packet takes it. An answer
 * after extension headers teaches nothing. */
static __always_inline bool oh_may_be_answer(struct __sk_buff *skb, __u32 at)
{
	__u8 head[12], protocol;
	__be16 ports[2];
	bool ip4;

	if (oh_load_header(skb, at, head, sizeof(head)))
		return false;
	ip4 = head[0] >> 4 == 4;
	protocol = ip4 ? head[9] : head[6];
	if (protocol != OH_PROTOCOL_UDP && protocol != OH_PROTOCOL_TCP)
		return false;
	at += ip4 ? (head[0] & 15) * 4 : sizeof(struct oh_ip6_header);
	return !oh_load_header(skb, at, ports, sizeof(ports)) && ports[0] == bpf_htons(OH_PORT_DNS);
}

/* Learns from an incoming packet; `where` is OH_WIRE or 0. c: what is known of the socket's connection, or NULL. */
static __always_inline void oh_learn(struct __sk_buff *skb, struct oh_flow *f, struct oh_connection *c, __u32 where)
{
	if (f->source_port != OH_PORT_DNS || !oh_is_resolver(&f->source))
		return;
	if (f->protocol == OH_PROTOCOL_UDP) {
		oh_learn_messages(skb, f->payload, f->payload_length, 0, where | f->destination_port);
	} else if (f->protocol == OH_PROTOCOL_TCP && c && c->look == OH_LOOK_QUERIES) {
		oh_read_sequence(skb, f);
		oh_learn_segment(skb, f, c, where);
	}
}

#endif
