/* Learning addresses from answers, before the program that asked can read them. */
#ifndef OHGUARD_BPF_LEARN_H
#define OHGUARD_BPF_LEARN_H

#include "decide.h"
#include "dns_answer.h"
#include "special.h"

#define OH_LEARN_TRIES 3	/* writes of one address that meet another CPU's */

/* A query that was let out, from the scratch that it was judged in. Only in the guard's own network namespace: in one
 * of its own making, a workload could answer itself. */
static __always_inline void oh_note_query(struct __sk_buff *skb, const struct oh_flow *f, const struct oh_connection *c,
					  __u32 slot)
{
	bool uplink = f->stage == OH_STAGE_UPLINK;
	struct oh_pending_key key = { .socket = uplink ? 0 : bpf_get_socket_cookie(skb), .port = f->source_port };
	struct oh_scratch *s = oh_scratch(slot);

	/* where there is an uplink the answer is looked at there, and cannot have been forged on this machine */
	if (!uplink && (*oh_settings.uplink[0] || !c || !c->home))
		return;
	if (!s || (s->query.qtype != OH_DNS_A && s->query.qtype != OH_DNS_AAAA))
		return;
	key.id = s->query.id;
	s->query.port = f->source_port;
	bpf_map_update_elem(&oh_pending, &key, &s->query, BPF_ANY);
}

/* Reads the answer to the scratch's query. A global function: see oh_lookup(). */
__attribute__((noinline)) int oh_read_answer(struct __sk_buff *skb, __u32 at, __u32 length, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);

	return s ? (int)oh_dns_answer(skb, at, length, s, &s->query, slot) : OH_ANSWER_READ;
}

/* Makes the question in the scratch's message the key of oh_names. */
__attribute__((noinline)) int oh_read_question(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);

	return s && oh_dns_name(s, slot);
}

static __always_inline __u32 oh_answer_expiry(__u32 ttl)
{
	if (ttl < oh_settings.min_ttl)
		ttl = oh_settings.min_ttl;
	if (ttl > oh_settings.max_ttl)
		ttl = oh_settings.max_ttl;
	return oh_now() + ttl + oh_settings.grace;
}

/* Puts a grant into the entry, where it is not there already for as long: true where the entry was changed. */
static __always_inline bool oh_merge(struct oh_entry *entry, const struct oh_grant *grant)
{
	struct oh_grant *to = NULL;
	__u32 now = oh_now();

	for (int i = 0; i < OH_GRANTS_MAX; i++) {
		struct oh_grant *g = &entry->grant[i];

		if (g->service == grant->service && g->port == grant->port && g->target == grant->target &&
		    g->generation == grant->generation) {
			if (g->expires >= grant->expires)
				return false;
			g->expires = grant->expires;
			return true;
		}
		if (!to && (g->service == OH_SERVICE_NONE || now >= g->expires ||
			    !oh_target_life(g->target, g->generation)))
			to = g;
	}
	if (!to)
		return false;
	*to = *grant;
	return true;
}

/* Lets one rule admit one address: 1 where that had to be written. high, low: see oh_lookup_in(). */
__attribute__((noinline)) int oh_learn_once(__u64 high, __u64 low, __u64 target, __u32 port_service, __u32 expires)
{
	struct oh_address address = { .word = { high, high >> 32, low, low >> 32 } };
	struct oh_grant grant = { .expires = expires, .target = target, .generation = target >> 32,
				  .port = port_service, .service = port_service >> 16, .learned = OH_LEARNED_ANSWER };
	const struct oh_entry *old = bpf_map_lookup_elem(&oh_learned, &address);
	struct oh_entry entry = {};

	if (old)
		entry = *old;
	/* As a whole, so that no reader sees half of it. Where the table is full it is refused, as if it had not come. */
	return oh_merge(&entry, &grant) && !bpf_map_update_elem(&oh_learned, &address, &entry, BPF_ANY);
}

/* Lets a rule that admits a learned address do so for longer. */
__attribute__((noinline)) int oh_prolong(__u64 high, __u64 low, __u64 target, __u32 port_service, __u32 expires)
{
	struct oh_address address = { .word = { high, high >> 32, low, low >> 32 } };
	struct oh_entry *entry = bpf_map_lookup_elem(&oh_learned, &address);

	for (int i = 0; entry && i < OH_GRANTS_MAX; i++) {
		struct oh_grant *g = &entry->grant[i];

		if (g->service == port_service >> 16 && g->port == (port_service & 0xffff) && g->target == (__u32)target &&
		    g->generation == target >> 32 && g->expires < expires)
			g->expires = expires;	/* one aligned word: no reader sees half of it */
	}
	return 0;
}

/* Whether the configuration lets answers for that name hold that special address. A global function: see oh_lookup_in(). */
__attribute__((noinline)) int oh_may_be_private(__u32 slot, __u64 high, __u64 low)
{
	struct oh_address a = { .word = { high, high >> 32, low, low >> 32 } };
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_name_entry *entry = s ? bpf_map_lookup_elem(&oh_names, oh_key(s)) : NULL;

	if (!entry || oh_is_metadata(&a))
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

/* The address at a place of the answer, for all rules of the name asked for. */
__attribute__((noinline)) int oh_learn_address(__u32 slot, __u32 place)
{
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_name_entry *entry;
	const struct oh_dns_addr *from;
	struct oh_address to = {};
	__u64 high, low;
	__u32 expires;

	if (!s)
		return 0;
	entry = bpf_map_lookup_elem(&oh_names, oh_key(s));
	from = &s->addr[place & (OH_ANSWER_RECORDS - 1)];
	if (from->family == 4)
		oh_address_from_ip4(&to, *(const __u32 *)from->addr);
	else
		__builtin_memcpy(&to, from->addr, sizeof(to));
	high = (__u64)to.word[1] << 32 | to.word[0];
	low = (__u64)to.word[3] << 32 | to.word[2];
	if (!entry || (oh_special(to.byte) && !oh_may_be_private(slot, high, low)))
		return 0;
	expires = oh_answer_expiry(from->ttl);
	for (int n = 0; n < OH_GRANTS_MAX; n++) {
		const struct oh_name_rule *rule = &entry->rule[n];

		if ((rule->service != OH_SERVICE_TCP && rule->service != OH_SERVICE_NTP) ||
		    !oh_target_life(rule->target, rule->generation))
			continue;
		/* Again until it is there: another CPU may have replaced the entry meanwhile. */
		for (int i = 0; i < OH_LEARN_TRIES; i++) {
			if (!oh_learn_once(high, low, (__u64)rule->generation << 32 | rule->target,
					   (__u32)rule->service << 16 | rule->port, expires))
				break;
		}
	}
	return 0;
}

static __always_inline bool oh_is_resolver(const struct oh_address *a)
{
	__u64 found = oh_lookup((__u64)a->word[1] << 32 | a->word[0], (__u64)a->word[3] << 32 | a->word[2],
				OH_WANT(OH_SERVICE_DNS, false, OH_PORT_DNS));

	return OH_FOUND_REASON(found) == OH_TARGET;
}

/* Whether the IP packet can be a UDP one: a first look, since every packet that comes in takes it. */
static __always_inline bool oh_may_be_udp(struct __sk_buff *skb, __u32 at)
{
	__u8 head[10];

	if (bpf_skb_load_bytes(skb, at, head, sizeof(head)))
		return false;
	return (head[0] >> 4 == 4 ? head[9] : head[6]) == OH_PROTOCOL_UDP;
}

/* Takes the addresses from the answer to a query that was seen leaving by the same socket. */
static __always_inline void oh_learn(struct __sk_buff *skb, const struct oh_flow *f)
{
	struct oh_pending_key key = { .socket = bpf_get_socket_cookie(skb), .port = f->destination_port };
	const struct oh_dns_pending *asked;
	struct oh_scratch *s;
	__be16 id;
	__u32 slot;

	if (bpf_skb_load_bytes(skb, f->payload, &id, sizeof(id)))
		return;
	key.id = bpf_ntohs(id);
	asked = bpf_map_lookup_elem(&oh_pending, &key);
	if (!asked || asked->port != f->destination_port || !oh_is_resolver(&f->source))
		return;
	slot = oh_scratch_take();
	s = oh_scratch(slot);
	if (!s)
		return;
	/* A copy, since the map may give the place to another query. */
	for (int i = 0; i < (int)(sizeof(*asked) / 8); i++)
		((__u64 *)&s->query)[i] = ((const volatile __u64 *)asked)[i];
	if (!oh_read_answer(skb, f->payload, f->payload_length, slot) && oh_read_question(slot)) {
		for (__u32 i = 0; i < OH_ANSWER_RECORDS && i < OH_MEM(s->addrs); i++)
			oh_learn_address(slot, i);
		bpf_map_delete_elem(&oh_pending, &key);
	}
	oh_scratch_release(slot);
}

#endif
