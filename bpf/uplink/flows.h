/* SPDX-License-Identifier: GPL-2.0-only */
/* Connections as the wire shows them, for frames and answers without a guarded socket. */
#ifndef OHGUARD_BPF_FLOWS_H
#define OHGUARD_BPF_FLOWS_H

#include "decide/flow.h"
#include "maps.h"

static __always_inline void oh_flow_key_of(const struct oh_flow *f, struct oh_flow_key *key)
{
	key->remote = f->destination;
	key->local = f->source;
	key->remote_port = f->destination_port;
	key->local_port = f->source_port;
	key->protocol = f->protocol;
}

/* The flow that an incoming packet answers, or NULL. */
static __always_inline struct oh_connection *oh_flow_answered(const struct oh_flow *f)
{
	struct oh_flow_key key = { .remote = f->source, .local = f->destination, .remote_port = f->source_port,
				   .local_port = f->destination_port, .protocol = f->protocol };

	return bpf_map_lookup_elem(&oh_flows, &key);
}

/* A flow's frames are judged one at a time: two CPUs could let out two that differ, and keep one. False: another CPU is
 * judging. */
static __always_inline bool oh_claim(struct oh_connection *flow)
{
	__sync_fetch_and_add(&flow->busy, 1);	/* result unused: 5.10 cannot fetch */
	if (*(volatile __u64 *)&flow->busy == 1)
		return true;
	__sync_fetch_and_add(&flow->busy, -1);
	return false;
}

static __always_inline void oh_release(struct oh_connection *flow)
{
	__sync_fetch_and_add(&flow->busy, -1);
}

/* The flow with that key, claimed, and made if there is none; NULL: not now. */
static __always_inline struct oh_connection *oh_claim_flow(const struct oh_flow_key *key)
{
	static const struct oh_connection none;
	struct oh_connection *flow = bpf_map_lookup_elem(&oh_flows, key);

	if (!flow) {
		bpf_map_update_elem(&oh_flows, key, &none, BPF_NOEXIST);
		flow = bpf_map_lookup_elem(&oh_flows, key);
	}
	return flow && oh_claim(flow) ? flow : NULL;
}

#endif
