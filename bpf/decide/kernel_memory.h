/* SPDX-License-Identifier: GPL-2.0-only */
/* Facts about a packet that only the kernel's own memory holds. `load` finds where they are, and whether programs may
 * read them. */
#ifndef OHGUARD_BPF_KERNEL_MEMORY_H
#define OHGUARD_BPF_KERNEL_MEMORY_H

#include "decide/flow.h"
#include "maps.h"

/* A pointer of the kernel's. 0: it cannot be read. */
static __always_inline __u64 oh_kernel_word(const void *at)
{
	__u64 word = 0;

	return bpf_probe_read_kernel(&word, sizeof(word), at) ? 0 : word;
}

static __always_inline __u32 oh_kernel_number(const void *at)
{
	__u32 number = 0;

	return bpf_probe_read_kernel(&number, sizeof(number), at) ? 0 : number;
}

/* The kernel answers from its own raw sockets (a segment that no socket wants, one after the end; multicast groups),
 * and marks them when it makes them. No process ever holds one, or any marked socket. A global function, so that the
 * verifier checks it once. */
__attribute__((noinline)) int oh_is_kernel_socket(struct __sk_buff *skb)
{
	__u64 sk = 0;
	__u8 marks = 0;

	/* checked here, so that a kernel that forbids the helper never sees its call */
	if (!oh_settings.links.sock_kernel_mask ||
	    bpf_probe_read_kernel(&sk, sizeof(sk), (void *)skb + oh_settings.own.skb_sock) ||
	    bpf_probe_read_kernel(&marks, sizeof(marks), (const void *)(sk + oh_settings.links.sock_kernel)))
		return 0;
	return marks & oh_settings.links.sock_kernel_mask;
}

/* Finds whose raw socket it is. If the kernel does not show that, only those made under the guard are known. */
static __always_inline void oh_note_raw(struct __sk_buff *skb, const struct oh_connection *c, struct oh_flow *f)
{
	f->kernel_raw = oh_is_kernel_socket(skb) != 0;
	f->known_raw = c || (oh_settings.links.sock_kernel_mask && !f->kernel_raw);
}

#endif
