/* SPDX-License-Identifier: GPL-2.0-only */
/* A connection that is refused for its content must not hang. Its TCP is not told, keeps the bytes and retries for a
 * quarter of an hour. So a retry after a refusal sets a time-out that ends when the next is due. The program sees
 * ETIMEDOUT: after 0.2 s on 6.18, if the round trip is short. */
#ifndef OHGUARD_BPF_QUICK_ERROR_H
#define OHGUARD_BPF_QUICK_ERROR_H

#include "maps.h"

#define OH_LEVEL_TCP 6
#define OH_TCP_USER_TIMEOUT 18	/* RFC 5482; linux/tcp.h */

static __always_inline const struct oh_connection *oh_looked_at_connection(struct bpf_sock_ops *ctx)
{
	const struct oh_connection *c = ctx->sk ? bpf_sk_storage_get(&oh_connections, ctx->sk, NULL, 0) : NULL;

	return c && c->admitted && c->look != OH_LOOK_NONE ? c : NULL;
}

/* A connection is established, and its payload will be judged. An unsent segment is no retransmission, so that callback
 * never comes. The one that asks for the length of each segment's options comes before every try. */
static __always_inline void oh_watch(struct bpf_sock_ops *ctx)
{
	if (oh_looked_at_connection(ctx))
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

static __always_inline void oh_before_segment(struct bpf_sock_ops *ctx)
{
	const struct oh_connection *c = oh_looked_at_connection(ctx);
	int milliseconds = 1;

	if (c && !c->refused)	/* nothing was sent, or it is held until complete */
		return;
	if (c)
		bpf_setsockopt(ctx, OH_LEVEL_TCP, OH_TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
	/* From here on its segments no longer come by. */
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags & ~BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

#endif
