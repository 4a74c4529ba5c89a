/* SPDX-License-Identifier: MIT */
/* bpf/parse/dns_query.h: any packet of up to PROOF_BYTES bytes. What is let out is one plain question, by a second
 * reader; the name that is asked the policy for is the one in the message; and what this reader takes for a plain
 * question is let out.
 *
 * options: --unwind 60 --unwindset oh_dns_name.0:4 --no-malloc-may-fail -DPROOF_BYTES=32
 * proof query:
 * reach passes: -DREACH=!r
 * reach root: -DREACH=!r&&proof_scratch.query.name_len==1
 * reach two-labels: -DREACH=!r&&plain.labels==2&&proof_packet[11]
 */
#include "small_scratch.h"

#include "parse/dns_query.h"

/* One plain question, read byte by byte: RFC 1035, 4.1, and RFC 6891, 6.1. */
struct plain {
	bool good;
	__u32 name, end, labels;	/* bytes of the name; where the question ends */
};

static bool letter(__u8 c)
{
	return c == '-' || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static __u8 lower(__u8 c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static struct plain read_plain(void)
{
	const __u8 *m = proof_packet;
	struct plain p = { 0 };
	__u32 left = 0, end = 0, opt;

	if (proof_length < 17 || (m[2] & 0xfe) || (m[3] & 0xcf) || m[4] || m[5] != 1 || m[6] || m[7] || m[8] || m[9] ||
	    m[10] || m[11] > 1)
		return p;
	for (__u32 i = 12; i < PROOF_BYTES && !end; i++) {
		if (i >= proof_length)
			return p;
		if (left) {
			if (!letter(m[i]))
				return p;
			left--;
		} else if (m[i]) {
			if (m[i] > 63)
				return p;
			left = m[i];
			p.labels++;
		} else {
			end = i + 1;
		}
	}
	if (!end || end + 4 > proof_length || m[end + 2] || m[end + 3] != 1)
		return p;
	p.name = end - 12;
	p.end = end + 4;
	if (!m[11]) {
		p.good = p.end == proof_length;
		return p;
	}
	opt = p.end;
	if (opt + 11 > proof_length || m[opt] || m[opt + 1] || m[opt + 2] != 41 || m[opt + 5] || m[opt + 6] ||
	    m[opt + 7] & 0x7f || m[opt + 8] || opt + 11 + (m[opt + 9] << 8 | m[opt + 10]) != proof_length)
		return p;
	opt += 11;
	for (__u32 i = 0; i < 8 && opt < proof_length; i++) {
		if (opt + 4 > proof_length)
			return p;
		opt += 4 + (m[opt + 2] << 8 | m[opt + 3]);
	}
	p.good = opt == proof_length;
	return p;
}

void main(void)
{
	struct plain plain;
	int r;

	proof_any_packet();
	plain = read_plain();
	r = oh_dns_query(0, 0, proof_length, 0);
	__CPROVER_assert(r >= 0 && r < OH_DNS_RESULT_MAX, "a result that has a name");
	__CPROVER_assert(!r == plain.good, "both readers say the same");
	if (!r) {
		const struct oh_dns_pending *q = &proof_scratch.query;
		__u32 i = nondet_u32(), n = plain.name;
		const __u8 *key = proof_reversed + proof_scratch.key_at;

		__CPROVER_assert(q->name_len == n, "the name's length");
		__CPROVER_assert(q->id == (proof_packet[0] << 8 | proof_packet[1]), "the query's number");
		__CPROVER_assert(q->qtype == (proof_packet[plain.end - 4] << 8 | proof_packet[plain.end - 3]),
				 "the question's type");
		__CPROVER_assume(i < n);
		__CPROVER_assert(q->name[i] == lower(proof_packet[12 + i]), "the name is the one in the message");
		/* the key: bits, then the text backwards, and an end */
		__CPROVER_assert((key[0] | key[1] << 8 | key[2] << 16 | key[3] << 24) == (n > 1 ? (n - 1) * 8 : 8),
				 "the key's length");
		__CPROVER_assert(key[4 + (n > 1 ? n - 2 : 0)] == 0, "the key's end");
		if (i > 0 && i < n - 1) {
			__u8 c = key[4 + n - 2 - i];

			__CPROVER_assert(c == lower(proof_packet[12 + i]) || c == '.', "the key is the name's text");
			__CPROVER_assert(c != '.' || !letter(proof_packet[12 + i]), "a dot is where a label begins");
		}
	}
#ifdef REACH
	__CPROVER_assert(!(REACH), "reached");
#endif
}
