/* SPDX-License-Identifier: MIT */
/* bpf/parse/ntp.h: any packet of up to PROOF_BYTES bytes as a time request. What is let out is plain to a second
 * reader, and what this one takes for plain is let out.
 *
 * options: --unwind 70 --no-malloc-may-fail -DPROOF_BYTES=52
 * proof plain:
 * reach passes: -DREACH=!r
 */
#include "small_scratch.h"

#include "parse/ntp.h"

/* RFC 5905, 7.3: a client's request with nothing in it but its transmit time. */
static bool is_plain(void)
{
	const __u8 *p = proof_packet;
	int mode = p[0] % 8, version = p[0] / 8 % 8, leap = p[0] / 64;
	bool zero = !p[1];

	for (int i = 4; i < 40; i++)
		zero = zero && !p[i];
	/* poll from -6 to 17 and precision from -32 to 32, as bytes */
	return proof_length == 48 && mode == 3 && (version == 3 || version == 4) && (leap == 0 || leap == 3) && zero &&
		(p[2] <= 17 || p[2] >= 250) && (p[3] <= 32 || p[3] >= 224);
}

void main(void)
{
	int r;

	proof_any_packet();
	r = oh_ntp_request(0, 0, proof_length, 0);
	__CPROVER_assert(r >= 0 && r < OH_NTP_RESULT_MAX, "a result that has a name");
	__CPROVER_assert(!r == is_plain(), "both readers say the same");
#ifdef REACH
	__CPROVER_assert(!(REACH), "reached");
#endif
}
