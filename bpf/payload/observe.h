/* SPDX-License-Identifier: GPL-2.0-only */
/* What passes only because nothing is refused (load --observe): told once for each connection, with the name that it
 * is for, so that it can be allowed by that. */
#ifndef OHGUARD_BPF_OBSERVE_H
#define OHGUARD_BPF_OBSERVE_H

#include "payload/inspect.h"
#include "decide/report.h"

static __always_inline void oh_admit_connection(struct bpf_sock *sk, struct oh_connection *c, const struct oh_flow *f,
						enum oh_look look, const struct oh_admission *admission)
{
	if (look != OH_LOOK_NONE && !oh_opens(f))	/* the start of its payload is unknown */
		return;
	if (!c)
		c = bpf_sk_storage_get(&oh_connections, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	/* out of memory: each packet is judged by its address, and what needs inspection is refused */
	if (!c)
		return;
	oh_admit(c, f, look, admission->target, admission->generation);
}

/* A connection that nothing allows is told by its opening, and once more by what its payload opens with: a name, or
 * that it is not TLS. */
static __always_inline enum oh_reason oh_watch_payload(struct __sk_buff *skb, struct bpf_sock *sk,
						       struct oh_connection *c, const struct oh_flow *f,
						       enum oh_reason reason, struct oh_admission *admission)
{
	enum oh_reason hello;

	if (oh_opens(f) || !c || c->watched == OH_WATCHED_NOT) {
		if (!c && sk)
			c = bpf_sk_storage_get(&oh_connections, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		if (c)	/* of one that is older than the guard the start of the payload is unknown */
			c->watched = oh_opens(f) ? OH_WATCHED_OPENING : OH_WATCHED_HELLO;
		return reason;
	}
	admission->told = true;
	if (!oh_settings.inspect || c->watched == OH_WATCHED_HELLO || !f->payload_length)
		return reason;
	c->watched = OH_WATCHED_HELLO;
	admission->slot = oh_scratch_take();
	if (admission->slot >= OH_SLOTS)
		return reason;
	hello = OH_FOUND_REASON(oh_inspect_hello(skb, f->payload, oh_looked_at(f, NULL) - f->payload, admission->slot,
						 f->destination_port));
	if (hello == OH_TARGET || hello == OH_HOLD)
		return reason;
	admission->told = false;
	return hello;
}

/* Observing passes what would be held, or refused for its payload. It reports a connection once and then ignores it,
 * but each query. It cannot judge what would be held, since the rest never joins it. */
static __always_inline enum oh_reason oh_let_through(struct __sk_buff *skb, struct bpf_sock *sk,
						     struct oh_connection *c, const struct oh_flow *f,
						     enum oh_reason reason, struct oh_admission *admission)
{
	if (f->protocol != OH_PROTOCOL_TCP || reason < OH_REASON_FIRST_REFUSAL)
		return reason;
	if (!admission->target)
		return oh_watch_payload(skb, sk, c, f, reason, admission);
	if (admission->fresh && sk)
		oh_admit_connection(sk, c, f, OH_LOOK_NONE, admission);
	else if (c && c->look == OH_LOOK_QUERIES && reason != OH_HOLD)
		c->stream.judged = f->sequence + f->payload_length;
	else if (c)
		c->look = OH_LOOK_NONE;
	if (reason != OH_HOLD)
		return reason;
	return f->destination_port == OH_PORT_DNS ? OH_DNS_MALFORMED : OH_TLS_INCOMPLETE;
}

#endif
