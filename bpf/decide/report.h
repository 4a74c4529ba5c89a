/* SPDX-License-Identifier: GPL-2.0-only */
/* What is counted and told of a verdict. Nothing here changes it. */
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

static __always_inline void oh_count_use(const struct oh_admission *admission, __u32 bytes, bool connection)
{
	struct oh_use *use = bpf_map_lookup_elem(&oh_target_use, &admission->target);

	if (use) {
		use->packets++;
		use->bytes += bytes;
		use->hits += connection;
	}
}

/* Notes the running process as the one behind the socket. Only where the hook runs in that process. */
static __always_inline void oh_note_owner(struct oh_connection *c)
{
	c->pid = bpf_get_current_pid_tgid() >> 32;
	c->uid = bpf_get_current_uid_gid();
	c->cgroup = bpf_get_current_cgroup_id();
	bpf_get_current_comm(c->command, sizeof(c->command));
}

/* The name that was judged last with a scratch. Word by word: it is too long for the compiler's memcpy. */
static __always_inline void oh_tell_name(struct oh_event *e, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);

	if (!s)
		return;
	for (int i = 0; i < OH_EVENT_NAME_MAX; i += 8)
		*(__u64 *)(e->name + i) = oh_word(oh_key(s)->data + i);
}

/* who may be NULL, slot OH_SLOTS. */
static __always_inline void oh_tell(const struct oh_flow *f, enum oh_hook hook, enum oh_reason reason,
				    const struct oh_connection *who, __u32 slot)
{
	struct oh_event *e = bpf_ringbuf_reserve(&oh_events, sizeof(*e), 0);

	if (!e) {
		oh_count(OH_COUNT_EVENTS_LOST, 0);
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->time = bpf_ktime_get_boot_ns();
	e->source = f->source;
	e->destination = f->destination;
	e->source_port = f->source_port;
	e->destination_port = f->destination_port;
	e->protocol = f->protocol;
	e->interface = f->interface;
	e->hook = hook;
	e->reason = reason;
	e->observed = oh_settings.observe;
	if (who) {
		e->cgroup = who->cgroup;
		e->pid = who->pid;
		e->uid = who->uid;
		__builtin_memcpy(e->command, who->command, sizeof(e->command));
	}
	if (slot < OH_SLOTS && (reason == OH_DNS_NAME_NOT_ALLOWED || reason == OH_TLS_NAME_NOT_ALLOWED))
		oh_tell_name(e, slot);
	bpf_ringbuf_submit(e, 0);
}

/* What a hook returns for a reason: 1 lets it pass, 0 refuses it. */
static __always_inline int oh_verdict(enum oh_reason reason)
{
	return (reason != OH_NONE && reason < OH_REASON_FIRST_REFUSAL) || oh_settings.observe;
}

#endif
