/* SPDX-License-Identifier: GPL-2.0-only */
/* Under `load --ask`, what would be refused for its name or address is first a question: its packets are dropped, and
 * their senders send them again. Somebody may allow it, by which it passes like anything that is allowed: an answer of
 * yes is nothing but policy. Here it ends in a refusal, by a no or by its time, or it goes on waiting. */
#ifndef OHGUARD_BPF_QUESTION_H
#define OHGUARD_BPF_QUESTION_H

#include "decide/share.h"
#include "payload/names.h"

/* TCP sends a segment that was dropped with this again after half a second, and without it after ever longer. */
#define OH_EGRESS_CONGESTED 2
#define OH_ASK_QUICK 20000000000	/* nanoseconds in which it does so */

const volatile struct oh_question oh_no_question = {};

/* Whether an answer can change the verdict, and whoever it is about will try again. */
static __always_inline bool oh_can_wait(const struct oh_flow *f, enum oh_reason reason)
{
	switch (reason) {
	case OH_ADDRESS_NOT_ALLOWED:
	case OH_ADDRESS_EXPIRED:
	case OH_PORT_NOT_ALLOWED:
		return f->protocol == OH_PROTOCOL_TCP && f->stage != OH_STAGE_SEND && oh_opens(f);
	case OH_DNS_NAME_NOT_ALLOWED:
	case OH_TLS_NAME_NOT_ALLOWED:
		return true;
	default:
		return false;
	}
}

/* A name with a search suffix appended: nobody means it, and the name itself is asked for once this one is refused. */
__attribute__((noinline)) int oh_is_searched(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_name_entry *entry = s ? bpf_map_lookup_elem(&oh_names, oh_key(s)) : NULL;

	for (int i = 0; entry && i < OH_GRANTS_MAX; i++) {
		if (entry->rule[i].ask == OH_ASK_SEARCH)
			return 1;
	}
	return 0;
}

/* Whether an asker, a cgroup or whoever is behind an interface, may have one more question. */
__attribute__((noinline)) int oh_has_room_to_ask(__u64 cgroup, __u32 interface)
{
	__u64 span = oh_settings.ask + OH_ASK_KEPT * 1000000000ULL;

	if (oh_take_room(OH_SHARED_QUESTIONS, (cgroup + interface) % OH_ASKERS, OH_ASKERS, bpf_ktime_get_boot_ns(),
			 span, OH_QUESTIONS_MAX) != OH_ROOM_NONE)
		return 1;
	oh_note_no_room(OH_SHARED_QUESTIONS, interface);
	return 0;
}

static __always_inline void oh_question_key_of(const struct oh_flow *f, enum oh_reason reason, __u64 cgroup,
					       __u32 slot, struct oh_question_key *key)
{
	key->cgroup = cgroup;
	key->interface = f->interface;
	key->reason = reason;
	if (reason != OH_DNS_NAME_NOT_ALLOWED)
		key->port = f->destination_port;
	if (reason == OH_DNS_NAME_NOT_ALLOWED || reason == OH_TLS_NAME_NOT_ALLOWED) {
		key->name = oh_name_mark(slot);
		return;
	}
	key->reason = OH_ADDRESS_NOT_ALLOWED;	/* it may be another as time goes by */
	key->address = f->destination;
}

/* Puts it, for the first time or again. Two CPUs may both do so, and write the same. `over` comes last: until then
 * nobody goes by the rest. */
static __always_inline void oh_write_question(struct oh_question *q, __u64 now, const struct oh_flow *f,
					      enum oh_hook hook, enum oh_reason reason,
					      const struct oh_owner *who, __u32 slot)
{
	__builtin_memset(&q->what, 0, offsetof(struct oh_event, name));
	q->what.time = now;
	q->what.cgroup = who ? who->cgroup : 0;
	q->what.interface = f->interface;
	q->what.hook = hook;
	q->what.reason = reason;
	oh_fill_event(&q->what, f, who);
	if (oh_is_by_name(reason, slot))
		oh_tell_name(&q->what, slot);
	q->tries = 1;
	q->denied = 0;
	OH_MEM(q->until) = now + oh_settings.ask;
	asm volatile("" ::: "memory");
	OH_MEM(q->over) = now + oh_settings.ask + OH_ASK_KEPT * 1000000000ULL;
}

/* The question that an attempt waits for, or NULL: it is refused. The arguments are those of oh_tell(). */
static __always_inline struct oh_question *oh_waits_for(const struct oh_flow *f, enum oh_hook hook,
							enum oh_reason reason, const struct oh_owner *who,
							__u32 slot)
{
	__u64 now = bpf_ktime_get_boot_ns(), cgroup = who ? who->cgroup : 0;
	struct oh_question_key key = {};
	struct oh_question *q;

	if (!oh_can_wait(f, reason) || (reason == OH_DNS_NAME_NOT_ALLOWED && oh_is_searched(slot)))
		return NULL;
	oh_question_key_of(f, reason, cgroup, slot, &key);
	q = bpf_map_lookup_elem(&oh_questions, &key);
	if (q && now < OH_MEM(q->over)) {
		q->tries++;
		return OH_MEM(q->denied) || now >= OH_MEM(q->until) ? NULL : q;
	}
	if (!oh_has_room_to_ask(cgroup, f->interface))
		return NULL;
	if (!q) {
		bpf_map_update_elem(&oh_questions, &key, (const void *)&oh_no_question, BPF_NOEXIST);
		q = bpf_map_lookup_elem(&oh_questions, &key);
	}
	if (q)
		oh_write_question(q, now, f, hook, reason, who, slot);
	return q;
}

/* What the egress hook returns for a packet that waits. To whoever sends a datagram 0 would be an error. The sender of
 * a query tries a few times, seconds apart: so the answering process keeps the query, and tells it at once. */
static __always_inline int oh_hold_back(struct __sk_buff *skb, const struct oh_flow *f, const struct oh_connection *c,
					const struct oh_question *q, __u32 slot)
{
	if (f->protocol == OH_PROTOCOL_TCP)
		return oh_opens(f) && bpf_ktime_get_boot_ns() - q->what.time < OH_ASK_QUICK ? OH_EGRESS_CONGESTED : 0;
	if (oh_settings.answer && c && !f->options)
		oh_hand_over(skb, c->netns, (__u64)oh_name_mark(slot) << 32 | c->owner.pid, c->owner.cgroup,
			     OH_NONE);
	return OH_EGRESS_CONGESTED;
}

#endif
