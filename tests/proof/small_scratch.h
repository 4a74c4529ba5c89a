/* SPDX-License-Identifier: MIT */
/* bpf/parse/bytes.h for CBMC: the message, the name read backwards and the rest of the scratch are objects of their
 * own, since symbolic places in one large object are what it does not end on. The message is as long as a proof says
 * (PROOF_BYTES) and has 16 bytes behind it instead of 512, so a parser that reads or writes further is found. */
#ifndef OHGUARD_PROOF_SMALL_SCRATCH_H
#define OHGUARD_PROOF_SMALL_SCRATCH_H

#include <stdbool.h>

#define oh_scratch oh_scratch_real
#define oh_load oh_load_real
#define oh_at oh_at_real
#include "parse/bytes.h"
#undef oh_scratch
#undef oh_load
#undef oh_at
#define __builtin_memcpy memcpy
#define __builtin_memset memset
#undef OH_OPAQUE
#define OH_OPAQUE(x) ((void)0)

#define PROOF_SLACK 16

static __u8 proof_packet[PROOF_BYTES], proof_message[PROOF_BYTES + PROOF_SLACK], proof_reversed[OH_REV_SIZE],
	proof_stale[PROOF_SLACK];
static __u32 proof_length;	/* of the packet, from its first byte on */

/* The fields of struct oh_scratch. */
struct oh_scratch {
	struct oh_dns_pending query;
	__u8 *rev, *msg;
	__u32 key_at, target, need, read, name, name_len;
	struct oh_tls_rest rest;
	__u32 len, budget, records, links, addrs, walk, letters, at[2], start[2], run_owner, run_ttl;
	struct oh_dns_rr rr[OH_ANSWER_RECORDS];
	struct oh_dns_link link[OH_ANSWER_CHAIN];
	struct oh_dns_addr addr[OH_ANSWER_RECORDS];
};

static struct oh_scratch proof_scratch;

static struct oh_scratch *oh_scratch(__u32 slot)
{
	return &proof_scratch;
}

/* All or nothing, like bpf_skb_load_bytes(). */
static int oh_load(oh_bytes b, __u32 off, void *to, __u32 n)
{
	__CPROVER_assert(n > 0, "the helper takes no length of 0");
	if (off > proof_length || n > proof_length - off)
		return -1;
	for (__u32 i = 0; i < PROOF_BYTES; i++) {
		if (i < n)
			((__u8 *)to)[i] = proof_packet[off + i];
	}
	return 0;
}

/* Behind the message is what an earlier one has left there, in one place for all of it. */
static __u8 *oh_at(struct oh_scratch *s, __u32 pos)
{
	__CPROVER_assert(pos <= OH_MSG_MAX, "a place that the mask leaves as it is, or the first");
	return pos <= PROOF_BYTES ? s->msg + pos : proof_stale;
}

__u8 nondet_u8(void);
__u32 nondet_u32(void);
bool nondet_bool(void);

/* Any packet of any length, and what an earlier one may have left. */
static void proof_any_packet(void)
{
	proof_length = nondet_u32();
	__CPROVER_assume(proof_length <= PROOF_BYTES);
	for (__u32 i = 0; i < PROOF_BYTES; i++)
		proof_packet[i] = nondet_u8();
	for (__u32 i = 0; i < PROOF_BYTES + PROOF_SLACK; i++)
		proof_message[i] = nondet_u8();
	for (__u32 i = 0; i < PROOF_SLACK; i++)
		proof_stale[i] = nondet_u8();
	proof_scratch.msg = proof_message;
	proof_scratch.rev = proof_reversed;
}

#endif
