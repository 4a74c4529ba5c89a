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

/* As many tries as the longest question takes: 40 in its first 20 seconds, and then ever fewer for ten minutes. */
static __always_inline void oh_be_patient(struct bpf_sock_ops *ctx)
{
	const struct oh_connection *c = ctx->sk ? bpf_sk_storage_get(&oh_connections, ctx->sk, NULL, 0) : NULL;
	int most = 56;

	if (c && c->asked)
		bpf_setsockopt(ctx, OH_LEVEL_TCP, OH_TCP_SYNCNT, &most, sizeof(most));
}

/* An unsent segment is no retransmission, so that callback never comes. The one that asks for the length of each
 * segment's options comes before every try. */
static __always_inline void oh_watch(struct bpf_sock_ops *ctx)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

static __always_inline void oh_unwatch(struct bpf_sock_ops *ctx)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags & ~BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

static __always_inline void oh_before_segment(struct bpf_sock_ops *ctx)
{
	const struct oh_connection *c;
	int milliseconds = 1;

	if (!ctx->sk || (ctx->state == BPF_TCP_SYN_SENT && !ctx->total_retrans))	/* not admitted yet */
		return;
	c = bpf_sk_storage_get(&oh_connections, ctx->sk, NULL, 0);
	if (ctx->state == BPF_TCP_SYN_SENT) {
		if (c && c->asked && c->refused)
			bpf_setsockopt(ctx, OH_LEVEL_TCP, OH_TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
		return;
	}
	if (c && c->admitted && c->look != OH_LOOK_NONE) {
		if (!c->refused)	/* nothing was sent, or it is held until complete */
			return;
		bpf_setsockopt(ctx, OH_LEVEL_TCP, OH_TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
	}
	/* From here on its segments no longer come by. */
	oh_unwatch(ctx);
}

#endif
