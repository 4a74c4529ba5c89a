/* SPDX-License-Identifier: GPL-2.0-only */
/* Which names may be asked for, and what their answers teach: under the policy, and through CNAMEs that led to them. */
#ifndef OHGUARD_BPF_NAMES_H
#define OHGUARD_BPF_NAMES_H

#include "decide/decide.h"
#include "payload/hand_over.h"

_Static_assert(2 * OH_GRANTS_MAX <= OH_LEARNERS, "learners");

static __always_inline bool oh_is_key_type(__u32 type)
{
	return type == OH_DNS_DS || type == OH_DNS_DNSKEY;
}

/* Whether a rule allows queries for its name. */
static __always_inline bool oh_rule_lets_ask(const struct oh_name_rule *rule, __u32 type)
{
	switch (rule->ask) {
	case OH_ASK_ALL:
		return true;
	case OH_ASK_KEYS:
		return oh_is_key_type(type);
	case OH_ASK_SEARCH:
		return !oh_settings.answer || !oh_answerer_alive();
	}
	return rule->service != OH_SERVICE_NONE && oh_target_life(rule->target, rule->generation);
}

/* The same for a grant of oh_opened: a grant of a zone above a name allows queries for the zone's keys. */
static __always_inline bool oh_opened_lets_ask(const struct oh_grant *g, __u32 type)
{
	if (g->service == OH_SERVICE_NONE || oh_now() >= g->expires || !oh_target_life(g->target, g->generation))
		return false;
	return g->service != OH_SERVICE_DNS || oh_is_key_type(type);
}

/* Whether the policy allows a question of that type for the name parsed last. The name's owner goes to the scratch. */
__attribute__((noinline)) int oh_policy_lets_ask(__u32 slot, __u32 type)
{
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_name_entry *entry = s ? bpf_map_lookup_elem(&oh_names, oh_key(s)) : NULL;

	for (int i = 0; entry && i < OH_GRANTS_MAX; i++) {
		if (oh_rule_lets_ask(&entry->rule[i], type)) {
			s->target = entry->rule[i].target;
			return 1;
		}
	}
	return 0;
}

/* The same, through the policy or a CNAME. */
__attribute__((noinline)) int oh_may_ask(__u32 slot, __u32 type)
{
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_entry *opened;

	if (!s || oh_policy_lets_ask(slot, type))
		return s != NULL;
	opened = bpf_map_lookup_elem(&oh_opened, oh_key(s));
	for (int i = 0; opened && i < OH_GRANTS_MAX; i++) {
		if (oh_opened_lets_ask(&opened->grant[i], type)) {
			s->target = opened->grant[i].target;
			return 1;
		}
	}
	s->target = 0;	/* nobody's: only --observe lets it pass */
	return 0;
}

static __always_inline bool oh_teaches(__u32 service, __u32 target, __u32 generation)
{
	return (service == OH_SERVICE_TCP || service == OH_SERVICE_NTP) && oh_target_life(target, generation);
}

/* Stores in the scratch whom an answer to the name parsed last teaches: the name's own rules, or those of the first
 * names of the chains that led to it. */
__attribute__((noinline)) int oh_read_learners(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_name_entry *entry;
	const struct oh_entry *opened;

	if (!s)
		return 0;
	__builtin_memset(s->learner, 0, sizeof(s->learner));
	entry = bpf_map_lookup_elem(&oh_names, oh_key(s));
	opened = bpf_map_lookup_elem(&oh_opened, oh_key(s));
	for (int i = 0; entry && i < OH_GRANTS_MAX; i++) {
		const struct oh_name_rule *rule = &entry->rule[i];

		if (rule->ask || !oh_teaches(rule->service, rule->target, rule->generation))
			continue;
		s->learner[i].target = (__u64)rule->generation << 32 | rule->target;
		s->learner[i].port_service = (__u32)rule->service << 16 | rule->port;
	}
	for (int i = 0; opened && i < OH_GRANTS_MAX; i++) {
		const struct oh_grant *g = &opened->grant[i];
		struct oh_learner *to = &s->learner[OH_GRANTS_MAX + i];

		if (oh_now() >= g->expires || !oh_teaches(g->service, g->target, g->generation))
			continue;
		to->target = (__u64)g->generation << 32 | g->target;
		to->port_service = (__u32)g->service << 16 | g->port;
		to->links = g->learned;
	}
	return 0;
}

#endif
