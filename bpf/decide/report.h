/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts and reports a verdict. Nothing here changes it. */
#ifndef OHGUARD_BPF_REPORT_H
#define OHGUARD_BPF_REPORT_H

#include "decide/decide.h"

static __always_inline void oh_count(__u32 index, __u32 bytes)
{
	struct oh_count *count = bpf_map_lookup_elem(&oh_counts, &index);

	if (count) {
		count->packets++;
		count->bytes += bytes;
	}
}

/* Whether what is refused passes nevertheless. Without a policy nothing does. */
static __always_inline bool oh_observes(void)
{
	return oh_settings.observe && oh_is_ready();
}

static __always_inline void oh_count_verdict(enum oh_reason reason, __u32 bytes)
{
	__u32 index = reason & (OH_REASON_MAX - 1);

	if (index >= OH_REASON_FIRST_REFUSAL && oh_observes())
		index += OH_COUNT_OBSERVED;
	oh_count(index, bytes);
}

static __always_inline void oh_count_use(const struct oh_admission *admission, __u32 bytes, bool connection)
{
	struct oh_use *use = bpf_map_lookup_elem(&oh_target_use, &admission->target);

	if (use) {
		use->packets++;
		use->bytes += bytes;
		use->hits += connection;
	}
}

/* Who the current process is. Only for hooks that run in that process. */
static __always_inline void oh_note_owner(struct oh_owner *owner)
{
	owner->pid = bpf_get_current_pid_tgid() >> 32;
	owner->uid = bpf_get_current_uid_gid();
	owner->cgroup = bpf_get_current_cgroup_id();
	bpf_get_current_comm(owner->command, sizeof(owner->command));
}

/* The name last judged with a scratch. Copied word by word: it is too long for the compiler's memcpy. */
static __always_inline void oh_tell_name(struct oh_event *e, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);

	if (!s)
		return;
	for (int i = 0; i < OH_EVENT_NAME_MAX; i += 8)
		*(__u64 *)(e->name + i) = oh_word(oh_key(s)->data + i);
}

/* The name that led to the address, as far as it was seen. */
static __always_inline void oh_tell_seen(struct oh_event *e, const struct oh_address *to)
{
	const __u64 *name = bpf_map_lookup_elem(&oh_seen, to);

	for (int i = 0; name && i < OH_EVENT_NAME_MAX / 8; i++)
		((__u64 *)e->name)[i] = name[i];
}

/* Whom unread events are about: a process, a whole cgroup (pid 0), or frames forwarded from an interface. */
struct oh_teller {
	__u64 cgroup;
	__u32 pid;
	__u32 interface;
};

/* How much of the event buffer it has used since somebody last read up to the mark. */
struct oh_told {
	__u64 mark;		/* where the buffer ended then */
	__u64 events;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OH_TELLERS_MAX);
	__type(key, struct oh_teller);
	__type(value, struct oh_told);
} oh_tellers SEC(".maps");

/* Whether it may add one more event. So nobody can fill the buffer for others. */
static __always_inline bool oh_may_tell(const struct oh_teller *who, __u64 most)
{
	struct oh_told *t = bpf_map_lookup_elem(&oh_tellers, who), first;

	if (!t) {
		first.mark = bpf_ringbuf_query(&oh_events, BPF_RB_PROD_POS);
		first.events = 1;
		bpf_map_update_elem(&oh_tellers, who, &first, BPF_NOEXIST);
		return true;
	}
	if (t->events < most) {
		__sync_fetch_and_add(&t->events, 1);
		return true;
	}
	if (bpf_ringbuf_query(&oh_events, BPF_RB_CONS_POS) <= t->mark)
		return false;
	t->mark = bpf_ringbuf_query(&oh_events, BPF_RB_PROD_POS);
	t->events = 1;
	return true;
}

/* A global function, so that the verifier looks at it once. */
__attribute__((noinline)) int oh_has_share(__u64 cgroup, __u32 pid, __u32 interface)
{
	struct oh_teller who = { .cgroup = cgroup, .pid = pid, .interface = pid ? 0 : interface };

	if (pid && !oh_may_tell(&who, OH_TOLD_OF_ONE))
		return 0;
	who.pid = 0;
	return oh_may_tell(&who, OH_TOLD_OF_GROUP);
}

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OH_FOLDS_MAX);
	__type(key, struct oh_fold_key);
	__type(value, struct oh_folded);
} oh_folds SEC(".maps");

/* The name last judged with a scratch, as a number. */
__attribute__((noinline)) __u64 oh_fold_name(__u32 slot)
{
	__u32 zero = 0, words;
	const struct oh_control *control = bpf_map_lookup_elem(&oh_control, &zero);
	struct oh_scratch *s = oh_scratch(slot);
	__u64 hash;

	if (!s || !control)
		return 0;
	hash = control->seed | 1;
	words = (OH_MEM(*(__u32 *)oh_key(s)) / 8 + 7) / 8;
	for (__u32 i = 0; i < OH_EVENT_NAME_MAX / 8 && i < words; i++) {
		hash = (hash ^ oh_word(oh_key(s)->data + i * 8)) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	return hash;
}

/* The name that led to the address, as a number: two that share one are told apart. 0: not known, or not observing. */
__attribute__((noinline)) __u64 oh_fold_seen(__u64 high, __u64 low)
{
	struct oh_address to = { .word = { high, high >> 32, low, low >> 32 } };
	const __u64 *name = oh_settings.observe ? bpf_map_lookup_elem(&oh_seen, &to) : NULL;
	__u64 hash = 1;

	for (int i = 0; name && i < OH_EVENT_NAME_MAX / 8; i++)
		hash = (hash ^ name[i]) * 0x9e3779b97f4a7c15;
	return name ? hash : 0;
}

/* Counts it if it was told already; true if that was so lately that it need not be told again. */
static __always_inline bool oh_was_told(const struct oh_fold_key *key, __u32 now, struct oh_folded **ret)
{
	struct oh_folded *folded = bpf_map_lookup_elem(&oh_folds, key);

	*ret = folded;
	if (!folded)
		return false;
	__sync_fetch_and_add(&folded->count, 1);
	folded->last = now;
	return now - folded->told < OH_FOLD_TIME;
}

static __always_inline bool oh_is_by_name(enum oh_reason reason, __u32 slot)
{
	return slot < OH_SLOTS && (reason == OH_DNS_NAME_NOT_ALLOWED || reason == OH_TLS_NAME_NOT_ALLOWED);
}

/* An answer of this machine to who opens a connection to it. */
static __always_inline bool oh_is_reply(const struct oh_flow *f)
{
	return f->protocol == OH_PROTOCOL_TCP && (f->tcp_flags & (OH_TCP_SYN | OH_TCP_ACK)) ==
	       (OH_TCP_SYN | OH_TCP_ACK);
}

static __always_inline void oh_fold_key_of(const struct oh_flow *f, enum oh_reason reason, const struct oh_owner *who,
					   __u32 slot, struct oh_fold_key *key)
{
	key->reason = reason;
	key->protocol = f->protocol;
	key->interface = f->interface;
	key->reply = oh_is_reply(f);
	key->port = key->reply ? f->source_port : f->destination_port;
	if (who && who->pid) {
		key->cgroup = who->cgroup;
		__builtin_memcpy(key->command, who->command, sizeof(key->command));
	} else {
		key->cgroup = who ? who->cgroup : 0;
		key->source = f->source;
	}
	if (oh_is_by_name(reason, slot)) {
		key->name = oh_fold_name(slot);
	} else {
		key->destination = f->destination;
		key->name = oh_fold_seen(oh_high(&key->destination), oh_low(&key->destination));
	}
}

/* Changes nothing, as no processor has such a number. But the verifier cannot know that, and forgets by which reason it
 * came here: old ones would walk the rest once for each. */
static __always_inline void oh_forget_key(struct oh_fold_key *key)
{
	__u64 none = -(__u64)(bpf_get_smp_processor_id() >> 31);

	for (__u32 i = 0; i < sizeof(*key) / 8; i++)
		((oh_any_word *)key)[i] ^= none;
}

/* Takes from a key what a flood can vary. */
static __always_inline void oh_fold_others(struct oh_fold_key *key)
{
	key->name = 0;
	key->destination = (struct oh_address){};
	key->source = (struct oh_address){};
	key->port = 0;
	key->protocol = 0;
	key->reply = 0;
	key->others = 1;
}

static __always_inline void oh_fill_event(struct oh_event *e, const struct oh_flow *f, const struct oh_owner *who)
{
	e->source = f->source;
	e->destination = f->destination;
	e->source_port = f->source_port;
	e->destination_port = f->destination_port;
	e->protocol = f->protocol;
	e->reply = oh_is_reply(f);
	if (who) {
		e->pid = who->pid;
		e->uid = who->uid;
		__builtin_memcpy(e->command, who->command, sizeof(e->command));
	}
}

/* who may be NULL, slot OH_SLOTS. A repeat is counted. What exceeds a share is counted together. A function with a
 * frame of its own: inlined, it would take the stack of the parsers. */
static __attribute__((noinline)) void oh_tell(const struct oh_flow *f, enum oh_hook hook, enum oh_reason reason,
					      const struct oh_owner *who, __u32 slot)
{
	struct oh_fold_key key = {};
	struct oh_folded *folded, first;
	__u32 now = oh_now();
	struct oh_event *e;

	oh_fold_key_of(f, reason, who, slot, &key);
	oh_forget_key(&key);
	if (oh_was_told(&key, now, &folded))
		return;
	if (!oh_has_share(who ? who->cgroup : 0, who ? who->pid : 0, f->interface)) {
		oh_fold_others(&key);
		if (oh_was_told(&key, now, &folded))
			return;
	}
	e = bpf_ringbuf_reserve(&oh_events, sizeof(*e), 0);
	if (!e) {
		oh_count(OH_COUNT_EVENTS_LOST, 0);
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->time = bpf_ktime_get_boot_ns();
	e->cgroup = key.cgroup;
	e->interface = f->interface;
	e->hook = hook;
	e->reason = reason;
	e->observed = oh_observes();
	e->others = key.others;
	if (!key.others) {
		oh_fill_event(e, f, who);
		/* what stands where a name should be, at this address */
		if (oh_is_by_name(reason, slot) || (reason == OH_TLS_NO_NAME && slot < OH_SLOTS))
			oh_tell_name(e, slot);
		if (oh_settings.observe && !e->name[0])
			oh_tell_seen(e, &f->destination);
	}
	if (folded) {
		folded->told = now;
		e->fold = folded->id;
		e->count = folded->count;
	} else {
		first = (struct oh_folded){ .id = e->time, .count = 1, .told = now, .last = now };
		bpf_map_update_elem(&oh_folds, &key, &first, BPF_NOEXIST);
		e->fold = e->time;
		e->count = 1;
	}
	bpf_ringbuf_submit(e, 0);
}

/* What a hook returns for a reason: 1 lets it pass, 0 refuses it. */
static __always_inline int oh_verdict(enum oh_reason reason)
{
	return (reason != OH_NONE && reason < OH_REASON_FIRST_REFUSAL) || oh_observes();
}

#endif
