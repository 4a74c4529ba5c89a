/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A DNS answer coming in: the addresses that it gives for the name that was
 * asked, and no others.
 *
 * Chain: CNAMEs are followed from the question in record order, and the
 * records are swept again (up to OH_ANSWER_SWEEPS times) for servers that put
 * the target before the alias. Addresses of the question's name and of every
 * name on the chain count, each with the least TTL on the way to it.
 *
 * Only records of the type that was asked for are taken (both for ANY). A
 * message that is broken anywhere in its answer section gives nothing at all;
 * records past the first OH_ANSWER_RECORDS, chain links past OH_ANSWER_CHAIN
 * and names past the budget of comparisons give nothing more. Authority and
 * additional records are not read.
 *
 * Over TCP only an answer that is complete in one segment can be read. The
 * caller must know where it begins (learn.h counts).
 */
#ifndef OH_DNS_ANSWER_H
#define OH_DNS_ANSWER_H

#include "parse/dns_query.h"

#define OH_ANSWER_MAX 4096
#define OH_ANSWER_SWEEPS 4
#define OH_ANSWER_BUDGET 2048 /* label comparisons for the whole answer */
#define OH_NAME_STEPS 128 /* 127 labels and the root; as many pointers again */

/* Numbers are permanent. All but OK take nothing. */
enum oh_answer_result {
	OH_ANSWER_OK = 0, /* addrs may still be 0 */
	OH_ANSWER_SHORT = 1, /* not even a header and a question */
	OH_ANSWER_LONG = 2,
	OH_ANSWER_FLAGS = 3, /* a query, or another opcode */
	OH_ANSWER_TRUNCATED = 4,
	OH_ANSWER_RCODE = 5, /* refused, failed, no such name */
	OH_ANSWER_COUNTS = 6, /* not one question */
	OH_ANSWER_QUESTION = 7, /* not what was asked: id, name, type or class */
	OH_ANSWER_MALFORMED = 8, /* a record or name is cut short or not valid */
	OH_ANSWER_READ = 9,
	OH_ANSWER_RESULT_MAX,
};

/* The end of the name at pos in the message, not following pointers; 0 if it is broken. */
OH_SUBPROG __u32 oh_name_end(__u32 pos, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i;

	if (!s)
		return 0;
	OH_MEM(s->at[0]) = pos;
	for (i = 0; i < OH_NAME_STEPS; i++) {
		__u32 at = OH_MEM(s->at[0]), c;

		if (at >= OH_MEM(s->len))
			return 0;
		c = *oh_at(s, at);
		if (c >= 0xc0)
			return at + 2;
		if (c > 63)
			return 0;
		if (!c)
			return at + 1;
		OH_MEM(s->at[0]) = at + 1 + c;
	}
	return 0;
}

/*
 * Where the pointer at pos leads: to before `start`, where the name that it is
 * part of begins, or it could loop. Returns 0 if it does not.
 */
OH_INLINE __u32 oh_name_jump(struct oh_scratch *s, __u32 pos, __u32 start)
{
	__u32 to;

	if (pos + 2 > OH_MEM(s->len))
		return 0;
	to = oh_be16(oh_at(s, pos)) & 0x3fff;
	return to < OH_DNS_HEADER || to >= start ? 0 : to;
}

/* One step through a name: 1 go on, 0 it is broken, 2 it has ended well. */
OH_SUBPROG int oh_name_check(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 pos, n;

	if (!s)
		return 0;
	pos = OH_MEM(s->at[0]);
	if (pos >= OH_MEM(s->len))
		return 0;
	n = *oh_at(s, pos);
	if (n >= 0xc0) {
		pos = oh_name_jump(s, pos, OH_MEM(s->start[0]));
		OH_MEM(s->at[0]) = OH_MEM(s->start[0]) = pos;
		return pos != 0;
	}
	if (n > 63)
		return 0;
	OH_MEM(s->at[0]) = pos + 1 + n;
	OH_MEM(s->walk) += 1 + n;
	if (OH_MEM(s->walk) > OH_NAME_MAX)
		return 0;
	return n ? 1 : 2;
}

/* Whether the name at pos is valid when decompressed: 1, or 0. */
OH_SUBPROG int oh_name_valid(__u32 pos, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i;

	if (!s)
		return 0;
	OH_MEM(s->at[0]) = OH_MEM(s->start[0]) = pos;
	OH_MEM(s->walk) = 0;
	for (i = 0; i < 2 * OH_NAME_STEPS; i++) {
		int r = oh_name_check(slot);

		if (r != 1)
			return r == 2;
	}
	return 0;
}

/* Copies one byte of the valid name at at[0] to its place in rev, or follows one pointer. Returns 1 to go on, 2 if the
 * name has ended, 0 if it cannot be a key. */
OH_SUBPROG int oh_name_byte(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 pos, i, left;
	__u8 c, out = '.';

	if (!s)
		return 0;
	pos = OH_MEM(s->at[0]);
	i = OH_MEM(s->at[1]);
	left = OH_MEM(s->walk);
	if (pos >= OH_MEM(s->len) || i >= OH_NAME_MAX)
		return 0;
	c = *oh_at(s, pos);
	if (!left && c >= 0xc0) {
		pos = oh_name_jump(s, pos, OH_MEM(s->start[0]));
		OH_MEM(s->at[0]) = OH_MEM(s->start[0]) = pos;
		return pos != 0;
	}
	if (left) {
		out = oh_label_byte[c];
		if (!out)
			return 0;
		left--;
	} else {
		if (!c)
			return 2;
		if (c > 63)
			return 0;
		left = c;
	}
	OH_MEM(s->walk) = left;
	OH_MEM(s->at[0]) = pos + 1;
	OH_MEM(s->at[1]) = i + 1;
	*oh_rev(s, i) = out;
	return 1;
}

/* Makes the name at pos, which may be compressed, the key: 1, or 0 if it cannot be one. */
OH_SUBPROG int oh_read_name(__u32 pos, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i;

	if (!s)
		return 0;
	OH_MEM(s->at[0]) = OH_MEM(s->start[0]) = pos;
	OH_MEM(s->at[1]) = 0;
	OH_MEM(s->walk) = 0;
	for (i = 0; i < OH_NAME_MAX + OH_NAME_STEPS; i++) {
		int r = oh_name_byte(slot);

		if (r == 1)
			continue;
		i = OH_MEM(s->at[1]);
		if (r == 2 && i && i < 256)
			oh_key_finish(s, i - 1);
		return r == 2 && i;
	}
	return 0;
}

/* Whether two labels of n bytes are the same but for letter case: 1, or 0. */
OH_SUBPROG int oh_label_same(__u32 a, __u32 b, __u32 n, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	const __u8 *pa, *pb;
	__u32 i;

	if (!s)
		return 0;
	pa = oh_at(s, a);
	pb = oh_at(s, b);
	for (i = 0; i < 64; i += 8) {
		__u64 diff = oh_lower8(oh_word(pa + i)) ^ oh_lower8(oh_word(pb + i));

		if (n <= i + 8)
			return !(diff & oh_first(n - i));
		if (diff)
			return 0;
	}
	return 0;
}

/* One step through both names: 1 go on, 0 they differ, 2 they are the same. */
OH_SUBPROG int oh_name_step(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 a, b, len, n;

	if (!s)
		return 0;
	a = OH_MEM(s->at[0]);
	b = OH_MEM(s->at[1]);
	len = OH_MEM(s->len);
	if (a == b)
		return 2;
	if (a >= len || b >= len)
		return 0;
	n = *oh_at(s, a);
	if (n >= 0xc0) {
		a = oh_name_jump(s, a, OH_MEM(s->start[0]));
		OH_MEM(s->at[0]) = OH_MEM(s->start[0]) = a;
		return a != 0;
	}
	if (*oh_at(s, b) >= 0xc0) {
		b = oh_name_jump(s, b, OH_MEM(s->start[1]));
		OH_MEM(s->at[1]) = OH_MEM(s->start[1]) = b;
		return b != 0;
	}
	if (n != *oh_at(s, b) || n > 63)
		return 0;
	if (!n)
		return 2;
	if (a + 1 + n > len || !OH_MEM(s->budget))
		return 0;
	OH_MEM(s->budget) -= 1;
	OH_MEM(s->at[0]) = a + 1 + n;
	OH_MEM(s->at[1]) = b + 1 + n;
	return oh_label_same(a + 1, b + 1, n, slot);
}

/* Whether the name at a is the same as the one at b, which is known to be valid: 1, or 0. */
OH_SUBPROG int oh_name_same(__u32 a, __u32 b, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i;

	if (!s)
		return 0;
	OH_MEM(s->at[0]) = OH_MEM(s->start[0]) = a;
	OH_MEM(s->at[1]) = OH_MEM(s->start[1]) = b;
	for (i = 0; i < 2 * OH_NAME_STEPS; i++) {
		int r = oh_name_step(slot);

		if (r != 1)
			return r == 2;
	}
	return 0;
}

/*
 * Reads the record at pos into rr[i]. Returns the end of the record, or 0 if it
 * is broken. A separate function, like the two for a record below: the verifier
 * walks it once, and not again for each record.
 */
OH_SUBPROG __u32 oh_answer_record(__u32 pos, __u32 i, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 len, end, next, owner = pos, type, size, ttl;
	struct oh_dns_rr *rr;
	const __u8 *p;

	if (!s)
		return 0;
	len = OH_MEM(s->len);
	rr = &s->rr[i & (OH_ANSWER_RECORDS - 1)];
	if (pos + 12 > len)
		return 0;
	if (*oh_at(s, pos) >= 0xc0) { /* nearly every record: no call, and mostly no comparison later */
		end = pos + 2;
		owner = oh_name_jump(s, pos, pos);
	} else {
		end = oh_name_end(pos, slot);
		if (!end)
			return 0;
	}
	if (end + 10 > len)
		return 0;
	p = oh_at(s, end);
	type = oh_be16(p);
	ttl = oh_be32(p + 4);
	size = oh_be16(p + 8);
	next = end + 10 + size;
	if (next > len)
		return 0;
	if (oh_be16(p + 2) != 1)
		type = 0;
	if ((type == OH_DNS_A && size != 4) || (type == OH_DNS_AAAA && size != 16))
		return 0;
	if (type == OH_DNS_CNAME && oh_name_end(end + 10, slot) != next)
		return 0;
	rr->owner = owner;
	rr->type = type;
	rr->rdata = end + 10;
	rr->ttl = ttl >> 31 ? 0 : ttl; /* RFC 2181 8 */
	return next;
}

/* The answer section from pos into rr[]: 0, or -1 if it is broken. */
OH_SUBPROG int oh_answer_records(__u32 pos, __u32 count, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i;

	if (!s)
		return -1;
	OH_MEM(s->walk) = pos;
	for (i = 0; i < OH_ANSWER_RECORDS; i++) {
		if (i >= count)
			break;
		pos = oh_answer_record(OH_MEM(s->walk), i, slot);
		if (!pos)
			return -1;
		OH_MEM(s->walk) = pos;
	}
	OH_MEM(s->records) = i;
	return 0;
}

/* Adds record i to the chain, if it is the CNAME of the chain's end. Returns 0, or -1 if the chain has no room left. */
OH_SUBPROG int oh_answer_link(__u32 i, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	struct oh_dns_rr *rr;
	__u32 n, target, ttl;

	if (!s)
		return -1;
	n = OH_MEM(s->links);
	if (n >= OH_ANSWER_CHAIN || n < 1)
		return -1;
	rr = &s->rr[i & (OH_ANSWER_RECORDS - 1)];
	if (rr->type != OH_DNS_CNAME || !rr->owner)
		return 0;
	OH_OPAQUE(n);
	n &= OH_ANSWER_CHAIN - 1;
	if (!oh_name_same(rr->owner, s->link[(n - 1) & (OH_ANSWER_CHAIN - 1)].name, slot))
		return 0;
	rr->type = 0; /* once: so that a loop ends */
	target = rr->rdata;
	ttl = s->link[(n - 1) & (OH_ANSWER_CHAIN - 1)].ttl;
	if (!oh_name_valid(target, slot))
		return 0;
	s->link[n].name = target;
	s->link[n].ttl = rr->ttl < ttl ? rr->ttl : ttl;
	OH_MEM(s->links) = n + 1;
	return 0;
}

/* Passes over the CNAMEs once, from where the chain ends now. Returns whether it got longer. */
OH_SUBPROG int oh_answer_sweep(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i, before;

	if (!s)
		return 0;
	before = OH_MEM(s->links);
	for (i = 0; i < OH_ANSWER_RECORDS; i++) {
		if (i >= OH_MEM(s->records))
			break;
		if (OH_MEM(s->rr[i].type) == OH_DNS_CNAME && oh_answer_link(i, slot))
			break;
	}
	return OH_MEM(s->links) != before;
}

/* The place of a name on the chain, searched from its end; -1 if it is not there. */
OH_SUBPROG int oh_answer_member(__u32 name, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i;

	if (!s)
		return -1;
	for (i = 0; i < OH_ANSWER_CHAIN; i++) {
		__u32 n = OH_MEM(s->links) - 1 - i;

		if (n >= OH_ANSWER_CHAIN)
			break;
		OH_OPAQUE(n);
		if (oh_name_same(name, s->link[n & (OH_ANSWER_CHAIN - 1)].name, slot))
			return n;
	}
	return -1;
}

/* Puts record i into addr[], if it is an address of type want, or of either for ANY. Returns 0, or -1 if it is full. */
OH_SUBPROG int oh_answer_take(__u32 i, __u32 want, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	const struct oh_dns_rr *rr;
	__u32 n, type, ttl;
	struct oh_dns_addr *to;
	const __u8 *from;

	if (!s)
		return -1;
	rr = &s->rr[i & (OH_ANSWER_RECORDS - 1)];
	n = OH_MEM(s->addrs);
	type = rr->type;
	if (n >= OH_ANSWER_RECORDS)
		return -1;
	if ((type != OH_DNS_A && type != OH_DNS_AAAA) || !rr->owner)
		return 0;
	if (want != OH_DNS_ANY && want != type)
		return 0;
	if (rr->owner != OH_MEM(s->run_owner)) { /* once for a run of one name's addresses */
		int at = oh_answer_member(rr->owner, slot);

		if (at < 0)
			return 0;
		OH_MEM(s->run_owner) = rr->owner;
		OH_MEM(s->run_ttl) = s->link[at & (OH_ANSWER_CHAIN - 1)].ttl;
	}
	ttl = OH_MEM(s->run_ttl);
	OH_OPAQUE(n);
	to = &s->addr[n & (OH_ANSWER_RECORDS - 1)];
	from = oh_at(s, rr->rdata);
	to->ttl = rr->ttl < ttl ? rr->ttl : ttl;
	to->family = type == OH_DNS_A ? 4 : 6;
	__builtin_memset(to->addr, 0, sizeof(to->addr));
	__builtin_memcpy(to->addr, from, 4);
	if (type == OH_DNS_AAAA)
		__builtin_memcpy(to->addr + 4, from + 4, 12);
	OH_MEM(s->addrs) = n + 1;
	return 0;
}

/* Fills addr[]. */
OH_SUBPROG int oh_answer_collect(__u32 want, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i;

	if (!s)
		return 0;
	OH_MEM(s->run_owner) = 0;
	for (i = 0; i < OH_ANSWER_RECORDS; i++) {
		if (i >= OH_MEM(s->records) || oh_answer_take(i, want, slot))
			break;
	}
	return 0;
}

/* Whether the question at the start of the message has the name that was asked. */
OH_INLINE int oh_answer_asked(struct oh_scratch *s, const struct oh_dns_pending *asked)
{
	__u32 n = asked->name_len, i;

	for (i = 0; i < 256; i += 8) {
		__u64 diff = oh_lower8(oh_word(s->msg + OH_DNS_HEADER + i)) ^ oh_word(asked->name + i);

		/* Length bytes are below 'A', so that lower-casing leaves them alone. */
		if (n <= i + 8)
			return !(diff & oh_first(n - i));
		if (diff)
			return 0;
	}
	return 0;
}

/*
 * The response of len bytes at off, to the query asked. On OK the scratch has
 * addr[0 .. addrs - 1].
 */
OH_INLINE enum oh_answer_result oh_dns_answer(oh_bytes b, __u32 off, __u32 len, struct oh_scratch *s,
					      const struct oh_dns_pending *asked, __u32 slot)
{
	__u32 flags, pos, name_len = asked->name_len, sweep;
	const __u8 *p = s->msg;

	s->addrs = 0;
	if (len < OH_DNS_HEADER + 5)
		return OH_ANSWER_SHORT;
	if (len > OH_ANSWER_MAX)
		return OH_ANSWER_LONG;
	if (oh_load(b, off, s->msg, oh_bound(len, OH_ANSWER_MAX)))
		return OH_ANSWER_READ;

	flags = oh_be16(p + 2);
	if (!(flags & 0x8000) || (flags & 0x7800))
		return OH_ANSWER_FLAGS;
	if (flags & 0x0200)
		return OH_ANSWER_TRUNCATED;
	if (flags & 0x000f)
		return OH_ANSWER_RCODE;
	if (oh_be16(p + 4) != 1)
		return OH_ANSWER_COUNTS;
	pos = OH_DNS_HEADER + name_len + 4;
	if (name_len < 1 || name_len > OH_NAME_MAX || pos > len)
		return OH_ANSWER_QUESTION;
	if (oh_be16(p) != asked->id || !oh_answer_asked(s, asked))
		return OH_ANSWER_QUESTION;
	p = oh_at(s, pos - 4);
	if (oh_be16(p) != asked->qtype || oh_be16(p + 2) != 1)
		return OH_ANSWER_QUESTION;

	OH_MEM(s->len) = len;
	OH_MEM(s->budget) = OH_ANSWER_BUDGET;
	if (oh_answer_records(pos, oh_be16(s->msg + 6), slot))
		return OH_ANSWER_MALFORMED;
	s->link[0].name = OH_DNS_HEADER;
	s->link[0].ttl = ~0U;
	OH_MEM(s->links) = 1;
	for (sweep = 0; sweep < OH_ANSWER_SWEEPS; sweep++)
		if (!oh_answer_sweep(slot))
			break;
	oh_answer_collect(asked->qtype, slot);
	return OH_ANSWER_OK;
}

#endif
