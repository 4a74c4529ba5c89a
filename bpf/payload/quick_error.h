/* SPDX-License-Identifier: GPL-2.0-only */
/* A connection that is refused for its content must not hang. Its TCP is not told, keeps the bytes and retries for a
 * quarter of an hour. So a retry after a refusal sets a time-out that ends when the next is due. The program sees
 * ETIMEDOUT: after 0.2 s on 6.18, if the round trip is short. */
#ifndef OHGUARD_BPF_QUICK_ERROR_H
#define OHGUARD_BPF_QUICK_ERROR_H

#include "maps.h"

#define OH_LEVEL_TCP 6
#define OH_TCP_SYNCNT 7		/* linux/tcp.h */
#define OH_TCP_USER_TIMEOUT 18	/* RFC 5482; linux/tcp.h */

static __always_inline const struct oh_connection *oh_connection_of(struct bpf_sock_ops *ctx)
{
	return ctx->sk ? bpf_sk_storage_get(&oh_connections, ctx->sk, NULL, 0) : NULL;
}

static __always_inline bool oh_has_look(const struct oh_connection *c)
{
	return c && c->admitted && c->look != OH_LOOK_NONE;
}

/* An unsent segment is no retransmission, so that callback never comes. The one that asks for the length of each
 * segment's options comes before every try. */
static __always_inline void oh_want_each_segment(struct bpf_sock_ops *ctx)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

/* The connection is asked for: as many tries as the longest question takes: 40 in its first 20 seconds, and then ever
 * fewer for ten minutes. */
static __always_inline void oh_be_patient(struct bpf_sock_ops *ctx)
{
	const struct oh_connection *c = oh_connection_of(ctx);
	int most = 56;

	if (!c || !c->asked)
		return;
	bpf_setsockopt(ctx, OH_LEVEL_TCP, OH_TCP_SYNCNT, &most, sizeof(most));
	oh_want_each_segment(ctx);
}

/* A connection is established: will its payload be judged? */
static __always_inline void oh_watch(struct bpf_sock_ops *ctx)
{
	if (oh_has_look(oh_connection_of(ctx)))
		oh_want_each_segment(ctx);
}

static __always_inline void oh_before_segment(struct bpf_sock_ops *ctx)
{
	const struct oh_connection *c = oh_connection_of(ctx);
	bool is_syn = ctx->state == BPF_TCP_SYN_SENT;
	int milliseconds = 1;

	/* the first SYN has not been judged yet; else nothing was sent, or it is held until complete */
	if (c && (is_syn ? !ctx->total_retrans || !c->asked || !c->refused : oh_has_look(c) && !c->refused))
		return;
	if (c && (is_syn || oh_has_look(c)))
		bpf_setsockopt(ctx, OH_LEVEL_TCP, OH_TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
	if (is_syn)
		return;
	/* From here on its segments no longer come by. */
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags & ~BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

#endif
