/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A DNS query going out: one plain question and nothing else may leave.
 *
 * Over TCP the caller takes the frames off with oh_dns_frame(), one by one
 * (glibc sends the A and the AAAA query in one write). A segment that does not
 * end with a complete frame is held, like a part of a ClientHello: the sender's
 * TCP appends the rest and sends it all again. All frames of the segment must
 * pass.
 */
#ifndef OH_DNS_QUERY_H
#define OH_DNS_QUERY_H

#include "parse/name_key.h"

#define OH_DNS_HEADER 12
#define OH_DNS_QUERY_MAX 512 /* 12 + 255 + 4 + 11 leaves 230 for EDNS options */
#define OH_DNS_OPTIONS 8

#define OH_DNS_A 1
#define OH_DNS_CNAME 5
#define OH_DNS_AAAA 28
#define OH_DNS_OPT 41
#define OH_DNS_DS 43
#define OH_DNS_DNSKEY 48
#define OH_DNS_SVCB 64
#define OH_DNS_HTTPS 65
#define OH_DNS_ANY 255

/* All but OK are dns-malformed. Numbers are permanent. */
enum oh_dns_result {
	OH_DNS_OK = 0,
	OH_DNS_SHORT = 1, /* ends before what it announces */
	OH_DNS_LONG = 2, /* longer than any plain query */
	OH_DNS_FLAGS = 3, /* a response, another opcode, or bits no client sets */
	OH_DNS_COUNTS = 4, /* not one question with at most one EDNS record */
	OH_DNS_NAME = 5, /* compression, a label type or byte that is not allowed, too long */
	OH_DNS_CLASS = 6, /* not IN */
	OH_DNS_EDNS = 7, /* the additional record is not a well-formed OPT */
	OH_DNS_TRAILING = 8, /* bytes after the message */
	OH_DNS_READ = 9, /* the packet could not be read */
	OH_DNS_RESULT_MAX,
};

enum oh_dns_framing {
	OH_DNS_FRAME_WHOLE = 0,
	OH_DNS_FRAME_HOLD = 1, /* the rest has not come: hold the segment */
	OH_DNS_FRAME_BAD = 2, /* announces more than a query may have: dns-malformed */
};

/* The frame at off with len bytes of segment left; its message is at off + 2. */
OH_INLINE enum oh_dns_framing oh_dns_frame(oh_bytes b, __u32 off, __u32 len, __u32 *ret_len)
{
	__u8 head[2];
	__u32 n;

	if (len < 2)
		return OH_DNS_FRAME_HOLD;
	if (oh_load(b, off, head, 2))
		return OH_DNS_FRAME_BAD;
	n = (__u32)head[0] << 8 | head[1];
	if (n < OH_DNS_HEADER || n > OH_DNS_QUERY_MAX)
		return OH_DNS_FRAME_BAD;
	if (n > len - 2)
		return OH_DNS_FRAME_HOLD;
	*ret_len = n;
	return OH_DNS_FRAME_WHOLE;
}

#define OH_NAME_PART 8
#define OH_NAME_GOES_ON 256
#define OH_NAME_BAD -1

/*
 * Reads OH_NAME_PART bytes of the question's name: returns where it ends, or
 * that it goes on, or that it is not valid. A separate function, so that the
 * verifier walks that many bytes and not 255. How much of a label is left is
 * kept in memory: the bounds of a variable would multiply the verifier's
 * states.
 */
OH_SUBPROG int oh_dns_name_part(__u32 from, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 k;

	if (!s)
		return OH_NAME_BAD;
	from &= 256 - OH_NAME_PART;
	for (k = 0; k < OH_NAME_PART; k++) {
		__u32 left = OH_MEM(s->walk), i = from + k;
		__u8 c = s->msg[OH_DNS_HEADER + i], out = '.';

		if (left) {
			c = oh_label_byte[c];
			out = c;
			if (!c)
				return OH_NAME_BAD;
			left--;
		} else {
			if (!c)
				return i;
			if (c > 63)
				return OH_NAME_BAD;
			left = c;
		}
		OH_MEM(s->walk) = left;
		s->query.name[i] = c;
		*oh_rev(s, i) = out;
	}
	return OH_NAME_GOES_ON;
}

/*
 * The name of the question: lower-cased to query.name, backwards to rev.
 * Returns its wire length, or 0. It ends at the first zero byte at the latest:
 * the caller has put one after the message.
 */
OH_INLINE __u32 oh_dns_name(struct oh_scratch *s, __u32 slot)
{
	int end = OH_NAME_GOES_ON;
	__u32 i;

	OH_MEM(s->walk) = 0;
	for (i = 0; i < 256 && end == OH_NAME_GOES_ON; i += OH_NAME_PART)
		end = oh_dns_name_part(i, slot);
	if (end < 0 || end >= OH_NAME_MAX)
		return 0;
	i = end & 0xff;
	s->query.name[i] = 0;
	oh_key_finish(s, i ? i - 1 : 0);
	return i + 1;
}

/* The options of the OPT record must fill it exactly. */
OH_INLINE enum oh_dns_result oh_dns_options(struct oh_scratch *s, __u32 pos, __u32 end)
{
	__u32 i;

	OH_MEM(s->walk) = pos;
	for (i = 0; i < OH_DNS_OPTIONS; i++) {
		__u32 at = OH_MEM(s->walk), next;

		if (at == end)
			return OH_DNS_OK;
		next = at + 4 + oh_be16(oh_at(s, at) + 2);
		if (next > end) /* also if the length itself lies beyond the end */
			return OH_DNS_EDNS;
		OH_MEM(s->walk) = next;
	}
	return OH_MEM(s->walk) == end ? OH_DNS_OK : OH_DNS_EDNS;
}

/* The one additional record: root owner, version 0, no flag but DNSSEC OK. */
OH_INLINE enum oh_dns_result oh_dns_edns(struct oh_scratch *s, __u32 pos, __u32 len)
{
	const __u8 *p = oh_at(s, pos);
	__u32 end = pos + 11;

	if (end > len)
		return OH_DNS_SHORT;
	if (p[0] != 0 || oh_be16(p + 1) != OH_DNS_OPT)
		return OH_DNS_EDNS;
	if (p[5] != 0 || p[6] != 0 || (oh_be16(p + 7) & 0x7fff))
		return OH_DNS_EDNS;
	end += oh_be16(p + 9);
	if (end > len)
		return OH_DNS_SHORT;
	if (end < len)
		return OH_DNS_TRAILING;
	return oh_dns_options(s, pos + 11, end);
}

/*
 * The query of len bytes at off. On OK the scratch has it: query (id, qtype,
 * name in wire format and lower case), and oh_key() is the name's key.
 */
OH_SUBPROG int oh_dns_query(oh_bytes b, __u32 off, __u32 len, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 name_len, end, extra;
	const __u8 *p;

	if (!s)
		return OH_DNS_READ;
	if (len < OH_DNS_HEADER + 5)
		return OH_DNS_SHORT;
	if (len > OH_DNS_QUERY_MAX)
		return OH_DNS_LONG;
	if (oh_load(b, off, s->msg, oh_bound(len, OH_DNS_QUERY_MAX)))
		return OH_DNS_READ;
	*oh_at(s, len) = 0; /* or the name could go on in what an earlier packet left */

	p = s->msg;
	if (oh_be16(p + 2) & ~0x0130) /* only RD, AD and CD */
		return OH_DNS_FLAGS;
	extra = oh_be16(p + 10);
	if (oh_be16(p + 4) != 1 || oh_be32(p + 6) || extra > 1)
		return OH_DNS_COUNTS;

	name_len = oh_dns_name(s, slot);
	if (!name_len)
		return OH_DNS_NAME;
	end = OH_DNS_HEADER + name_len + 4;
	if (end > len)
		return OH_DNS_SHORT;
	p = oh_at(s, end - 4);
	if (oh_be16(p + 2) != 1)
		return OH_DNS_CLASS;
	s->query.id = oh_be16(s->msg);
	s->query.qtype = oh_be16(p);
	s->query.name_len = name_len;
	if (extra)
		return oh_dns_edns(s, end, len);
	return end == len ? OH_DNS_OK : OH_DNS_TRAILING;
}

#endif
