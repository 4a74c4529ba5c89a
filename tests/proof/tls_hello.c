/* SPDX-License-Identifier: MIT */
/* bpf/parse/tls_hello.h: any beginning of a hello of up to PROOF_BYTES bytes with its record's header, in one record.
 * Where a name was found, it is the one that a second reader finds in the message: the only host name of the only
 * server_name extension.
 *
 * options: --unwind 90 --unwindset oh_tls_gather.0:1 --unwindset oh_tls_name.0:3 --unwindset oh_tls_name_part.0:9
 * options: --unwindset oh_tls_extensions.0:2 --unwindset oh_tls_extensions_part.0:6 --no-malloc-may-fail
 * options: -DPROOF_BYTES=66
 * proof named:
 * reach complete: -DREACH=r==OH_HELLO_COMPLETE
 * reach partial: -DREACH=r==OH_HELLO_NAMED
 */
#include "small_scratch.h"

#include "parse/tls_hello.h"

/* RFC 8446, 4.1.2, and RFC 6066, 3. */
struct second {
	bool good;
	__u32 name, length;
};

static __u32 two(__u32 at)
{
	return (__u32)proof_packet[at] << 8 | proof_packet[at + 1];
}

static struct second read_again(void)
{
	__u32 at, end = 9 + ((__u32)proof_packet[6] << 16 | two(7)), found = 0, size = 0;
	struct second s = { 0 };

	if (proof_length < 44 || proof_packet[0] != 22 || proof_packet[1] != 3 || proof_packet[5] != 1 ||
	    proof_packet[9] != 3 || proof_packet[43] > 32)
		return s;
	at = 44 + proof_packet[43];
	if (at + 2 > proof_length)
		return s;
	at += 2 + two(at);
	if (at + 1 > proof_length)
		return s;
	at += 1 + proof_packet[at];
	if (at + 2 > proof_length || at + 2 + two(at) != end)
		return s;
	at += 2;
	for (int i = 0; i < 5 && at + 4 <= proof_length; i++) {
		__u32 n = two(at + 2);

		if (two(at) == 0) {
			if (found || at + 4 + n > proof_length)
				return s;
			found = at + 4;
			size = n;
		}
		at += 4 + n;
	}
	if (!found || size < 6 || two(found) != size - 2 || proof_packet[found + 2] || two(found + 3) != size - 5)
		return s;
	s.good = true;
	s.name = found + 5;
	s.length = size - 5;
	return s;
}

static __u8 lower(__u8 c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

void main(void)
{
	__u32 record, i = nondet_u32();
	struct second s;
	int r;

	proof_any_packet();
	/* all in one record, of which perhaps not all has come */
	record = two(3);
	if (proof_length >= 5)
		__CPROVER_assume(record > proof_length - 5 ||
				 (record == proof_length - 5 && record >= 4 &&
				  record == 4 + ((__u32)proof_packet[6] << 16 | two(7))));
	r = oh_tls_hello(0, 0, proof_length, 0);
	__CPROVER_assert(r >= 0 && r < OH_HELLO_RESULT_MAX, "a result that has a name");
	__CPROVER_assert(r != OH_HELLO_MORE && r != OH_HELLO_BEGINS && r != OH_HELLO_OVER, "and is one of a hello");
	if (r == OH_HELLO_COMPLETE || r == OH_HELLO_NAMED) {
		const __u8 *key = proof_reversed + proof_scratch.key_at;

		s = read_again();
		__CPROVER_assert(s.good, "the second reader finds a name too");
		__CPROVER_assert((key[0] | key[1] << 8 | key[2] << 16 | key[3] << 24) == (s.length + 1) * 8,
				 "its length");
		__CPROVER_assert(key[4 + s.length] == 0, "its end");
		__CPROVER_assume(i < s.length);
		__CPROVER_assert(key[4 + s.length - 1 - i] == lower(proof_packet[s.name + i]),
				 "and the name is that one");
	}
#ifdef REACH
	__CPROVER_assert(!(REACH), "reached");
#endif
}
