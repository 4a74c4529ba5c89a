/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a packet's content can change after inspection. Memory that user space passed by reference (MSG_ZEROCOPY,
 * sendfile, splice, io_uring) stays its own: it may be written while the packet waits in a queue, and before it is
 * resent. */
#ifndef OHGUARD_BPF_SHARED_PAGES_H
#define OHGUARD_BPF_SHARED_PAGES_H

#include "decide/flow.h"
#include "maps.h"

/* Whether the first `end` bytes are the kernel's own copy: only pages can belong to anybody else. */
static __always_inline bool oh_is_linear(struct __sk_buff *skb, __u32 end)
{
	void *from = (void *)(long)skb->data, *to = (void *)(long)skb->data_end;
	__u64 linear = to - from;

	return end <= linear;
}

/* The kernel marks a buffer that holds a page which user space can write, and copies the mark to each part split from
 * one. Global, so that the verifier checks it once. */
__attribute__((noinline)) int oh_is_marked_shared(struct __sk_buff *skb)
{
	__u64 head = 0;		/* struct sk_buff: where its memory begins */
	__u32 end = 0;		/* and what of it lies before struct skb_shared_info */
	__u8 flags = 0xff;

	if (!oh_settings.shared_mask)	/* checked here, so that a kernel that forbids the helper never sees its call */
		return 0;
	if (bpf_probe_read_kernel(&head, sizeof(head), (void *)skb + oh_settings.skb_head) ||
	    bpf_probe_read_kernel(&end, sizeof(end), (void *)skb + oh_settings.skb_end) ||
	    bpf_probe_read_kernel(&flags, sizeof(flags), (void *)(head + end + oh_settings.shared_at)))
		return 1;
	return flags & oh_settings.shared_mask;
}

/* UDP puts a datagram of these sizes into one piece, unless told not to copy it; before Linux 6.5 it marks no page. TCP
 * always uses pages, and marks those. A frame at an uplink was already made linear. */
static __always_inline bool oh_can_change(struct __sk_buff *skb, const struct oh_flow *f, __u32 end)
{
	if (oh_is_linear(skb, end))
		return false;
	if (f->protocol != OH_PROTOCOL_TCP || f->stage == OH_STAGE_UPLINK)
		return true;
	return oh_is_marked_shared(skb);
}

#endif
