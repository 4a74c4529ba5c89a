/* SPDX-License-Identifier: GPL-2.0-only */
/* Names that an answer's CNAMEs lead to. A resolver asks for them again if it trusts no other name's records, or was
 * left only the CNAME. So each may be asked for as long as the answer says, exactly as spelled there, and its own
 * answer teaches for the name at the start of the chain. The owner of such a name could open others at will: so each
 * costs its target a part of its share, and a chain ends after OH_OPENED_LINKS. */
#ifndef OHGUARD_BPF_OPENED_H
#define OHGUARD_BPF_OPENED_H

#include "parse/dns_answer.h"
#include "payload/grants.h"
#include "payload/names.h"

_Static_assert(sizeof(struct oh_entry) <= 8 * OH_ENTRY_WORDS, "struct oh_entry in the scratch");

/* Opens the name whose key is in the scratch. what: port and service, and from bit 24 the number of CNAMEs to it. */
__attribute__((noinline)) int oh_open(__u32 slot, __u64 target, __u32 what, __u32 life)
{
	struct oh_grant grant = { .expires = oh_now() + life, .target = target, .generation = target >> 32,
				  .port = what, .service = what >> 16, .learned = what >> 24 };
	struct oh_scratch *s = oh_scratch(slot);
	struct oh_entry *old, *entry;

	if (!s)
		return 0;
	entry = (struct oh_entry *)s->entry;	/* the stack has no room for it */
	__builtin_memset(entry, 0, sizeof(*entry));
	old = bpf_map_lookup_elem(&oh_opened, oh_key(s));
	if (old && oh_renew(old, &grant))
		return 0;
	if (old)
		*entry = *old;
	else if (!oh_may_grow(OH_SHARED_OPENED, target, life, OH_OPENED_MAX))
		return 0;
	return oh_merge(entry, &grant) && !bpf_map_update_elem(&oh_opened, oh_key(s), entry, BPF_ANY);
}

/* Opens the key up to its byte i for all that the answer teaches. At the key's end that is the name, at a dot a zone
 * above it, for the questions of validating resolvers. A separate function: the verifier walks it once. */
__attribute__((noinline)) int oh_open_part(__u32 slot, __u32 i, __u32 links, __u32 life)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 bits, learners = OH_LEARNERS;
	bool zone;
	__u8 *key, *c;

	if (!s)
		return 0;
	key = s->rev + (OH_MEM(s->key_at) & 0xff);
	c = key + sizeof(__u32) + (i & 0xff);
	bits = OH_MEM(*(__u32 *)key);
	zone = (i + 1) * 8 != bits;
	if (zone && (*c != '.' || OH_MEM(s->walk) >= OH_OPENED_LINKS))
		return 0;
	OH_MEM(s->walk) += 1;
	*c = 0;
	oh_put32(key, (i + 1) * 8);
	if (zone && oh_policy_lets_ask(slot, OH_DNS_DS))	/* as most are */
		learners = 0;
	for (__u32 n = 0; n < OH_LEARNERS && n < learners; n++) {
		const struct oh_learner *to = &s->learner[n];
		__u32 all = to->links + links;

		if (to->target && all <= OH_OPENED_LINKS)
			oh_open(slot, to->target, zone ? OH_SERVICE_DNS << 16 | OH_PORT_DNS :
							 all << 24 | to->port_service, life);
	}
	if (zone)
		*c = '.';
	oh_put32(key, bits);
	return 0;
}

/* Opens link n of the answer's chain, and the zones above it from the top down. */
__attribute__((noinline)) int oh_open_link(__u32 slot, __u32 n)
{
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_dns_link *link;
	__u32 bits, life;

	if (!s)
		return 0;
	link = &s->link[n & (OH_ANSWER_CHAIN - 1)];
	life = oh_answer_life(OH_MEM(link->ttl));
	if (!oh_read_name(link->name, slot))
		return 0;
	OH_MEM(s->walk) = 0;
	bits = OH_MEM(*(__u32 *)oh_key(s));	/* oh_open_part() leaves it as it was */
	for (__u32 i = 0; i < OH_KEY_DATA && (i + 1) * 8 <= bits; i++)
		oh_open_part(slot, i, n, life);
	return 0;
}

#endif
