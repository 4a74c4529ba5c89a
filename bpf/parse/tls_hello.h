/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The server name in a TLS ClientHello.
 *
 * The hello may be in up to OH_TLS_RECORDS records, if they are handed over at
 * once. (That is legal, but no client's default.) Nothing may follow it in its
 * own last record. What follows in other records, and the rest of a hello that
 * TCP did not hand over at once, is judged in tls_client.h: oh_tls_hello()
 * needs a hello only up to its name, and says where the rest continues.
 *
 * GREASE ECH is the same extension as the real one and cannot be told from it,
 * so it is refused too. So is the encrypted server name of the older draft.
 */
#ifndef OH_TLS_HELLO_H
#define OH_TLS_HELLO_H

#include "parse/dns_query.h"

#define OH_TLS_RECORD_MAX 16384
#define OH_TLS_HELLO_MAX 16384 /* with its own header of four */
#define OH_TLS_PART_MAX 8192 /* of a hello in several records: most in the last one, and in the others together */
#define OH_TLS_RECORDS 4
#define OH_TLS_EXTENSIONS 64
#define OH_TLS_PART 8 /* extensions in one function that the verifier walks once */

#define OH_TLS_EXT_NAME 0
#define OH_TLS_EXT_EARLY 42 /* RFC 8446, 4.2.10 */
#define OH_TLS_EXT_VERSIONS 43 /* RFC 8446, 4.2.1: no TLS 1.3 without it, and so no second hello */
#define OH_TLS_EXT_ECH 0xfe0d
#define OH_TLS_EXT_ESNI 0xffce

#define OH_TLS_OFFERS_EARLY 1
#define OH_TLS_OFFERS_VERSIONS 2

/* Numbers are permanent. */
enum oh_tls_result {
	OH_HELLO_COMPLETE = 0, /* oh_key() has the name */
	OH_HELLO_INCOMPLETE = 1, /* good so far: hold, or tls-incomplete */
	OH_HELLO_TOO_LARGE = 2, /* announces more than fits, or in too many records: tls-incomplete */
	OH_HELLO_NO_NAME = 3, /* tls-no-name */
	OH_HELLO_ENCRYPTED = 4, /* tls-encrypted-hello */
	OH_HELLO_NOT_TLS = 5, /* tls-not-tls */
	OH_HELLO_MALFORMED = 6, /* begins like a ClientHello, and is none: tls-not-tls */
	OH_HELLO_BAD_NAME = 7, /* trailing dot, address (oh_key() has both), empty label, bad byte: tls-no-name */
	OH_HELLO_READ = 8,
	OH_HELLO_MORE = 9, /* inside only: the hello goes on in the next record */
	OH_HELLO_NAMED = 10, /* oh_key() has the name, and the hello or what follows it goes on: see oh_tls_client() */
	OH_HELLO_BEGINS = 11, /* another hello begins after what was read */
	OH_HELLO_OVER = 12, /* the client says no more in plaintext: the look is over */
	OH_HELLO_RESULT_MAX,
};

/* Whether the n bytes so far can be the start of a hello. *ret_need is its size with its header, once it is known. */
OH_INLINE enum oh_tls_result oh_tls_start(struct oh_scratch *s, __u32 n, __u32 *ret_need)
{
	if (s->msg[0] != 1)
		return OH_HELLO_NOT_TLS;
	if (n < 4)
		return OH_HELLO_INCOMPLETE;
	*ret_need = (oh_be32(s->msg) & 0xffffff) + 4;
	return *ret_need > OH_TLS_HELLO_MAX ? OH_HELLO_TOO_LARGE : OH_HELLO_COMPLETE;
}

/* Checks the n bytes that have come of a record's header. *ret_size is the record's size. */
OH_INLINE enum oh_tls_result oh_tls_record(const __u8 *head, __u32 n, __u32 *ret_size)
{
	if (!n)
		return OH_HELLO_INCOMPLETE;
	if (head[0] != 22 || (n > 1 && head[1] != 3))
		return OH_HELLO_NOT_TLS;
	if (n < 5)
		return OH_HELLO_INCOMPLETE;
	*ret_size = (__u32)head[3] << 8 | head[4];
	return *ret_size < 1 || *ret_size > OH_TLS_RECORD_MAX ? OH_HELLO_NOT_TLS : OH_HELLO_COMPLETE;
}

/* Reads what has come of the header of the record at off into rest. */
OH_INLINE enum oh_tls_result oh_tls_record_at(oh_bytes b, __u32 off, __u32 len, struct oh_scratch *s, __u32 *ret_size)
{
	__u8 head[8] = {0}; /* five, and room for what oh_bound() allows */
	__u32 n = len < 5 ? len : 5;

	if (n && oh_load(b, off, head, oh_bound(n, sizeof(head))))
		return OH_HELLO_READ;
	s->rest.record = 0;
	s->rest.recorded = n < 5 ? n : 0;
	__builtin_memcpy(s->rest.record_header, head, 5);
	return oh_tls_record(head, n, ret_size);
}

/* Appends the record at off to what was gathered of the hello. INCOMPLETE: not all of it has come, and len and rest say
 * how much has. */
OH_INLINE enum oh_tls_result oh_tls_append(oh_bytes b, __u32 off, __u32 len, struct oh_scratch *s, int first)
{
	__u32 have = OH_MEM(s->len), size = 0, need = 0, n;
	enum oh_tls_result r = oh_tls_record_at(b, off, len, s, &size);
	__u8 *to = s->msg;

	if (r)
		return r;
	len -= 5;
	n = size < len ? size : len;
	s->rest.record = size - n;
	if (!n)
		return OH_HELLO_INCOMPLETE;
	if (first) {
		n = oh_bound(n, OH_TLS_RECORD_MAX);
	} else {
		if (have > OH_TLS_PART_MAX || n > OH_TLS_PART_MAX)
			return OH_HELLO_TOO_LARGE;
		/* Two bounds that add up to the buffer, since the verifier keeps none of a sum. */
		to += oh_bound(have, OH_TLS_PART_MAX);
		n = oh_bound(n, OH_TLS_PART_MAX);
	}
	if (oh_load(b, off + 5, to, n))
		return OH_HELLO_READ;
	have += n;
	r = oh_tls_start(s, have, &need);
	if (r == OH_HELLO_NOT_TLS || r == OH_HELLO_TOO_LARGE)
		return r;
	if (!r && have + (size - n) > need)
		return OH_HELLO_MALFORMED;
	OH_MEM(s->len) = have;
	OH_MEM(s->need) = need;
	if (n < size)
		return OH_HELLO_INCOMPLETE;
	return !r && have == need ? OH_HELLO_COMPLETE : OH_HELLO_MORE;
}

/* Gathers the hello in msg, without record headers: len is its size so far, need what it announces. */
OH_INLINE enum oh_tls_result oh_tls_gather(oh_bytes b, __u32 off, __u32 len, struct oh_scratch *s)
{
	enum oh_tls_result r;
	__u32 i;

	OH_MEM(s->len) = 0;
	OH_MEM(s->need) = 0;
	r = oh_tls_append(b, off, len, s, 1);
	for (i = 1; i < OH_TLS_RECORDS && r == OH_HELLO_MORE; i++) {
		__u32 at = OH_MEM(s->len) + i * 5; /* what the records so far took */

		r = oh_tls_append(b, off + at, len - at, s, 0);
		if (r == OH_HELLO_NOT_TLS)
			return OH_HELLO_MALFORMED;
	}
	OH_MEM(s->read) = OH_MEM(s->len) + i * 5;
	return r == OH_HELLO_MORE ? OH_HELLO_TOO_LARGE : r;
}

/* Reads OH_NAME_PART bytes of the host name, n bytes at pos. Returns 0, or a reason. See oh_dns_name_part(). */
OH_SUBPROG int oh_tls_name_part(__u32 pos, __u32 n, __u32 from, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	const __u8 *p;
	__u32 k;

	if (!s)
		return OH_HELLO_READ;
	from &= 256 - OH_NAME_PART;
	p = oh_at(s, pos);
	for (k = 0; k < OH_NAME_PART; k++) {
		__u32 label = OH_MEM(s->walk); /* bytes of this label so far */
		__u32 i = from + k;
		__u8 c, out;

		if (i >= n)
			break;
		c = p[i];
		out = oh_label_byte[c];
		if (c == '.') {
			if (!label)
				return OH_HELLO_BAD_NAME;
			out = '.';
			label = 0;
			OH_MEM(s->letters) = 0;
		} else {
			if (!out || label >= 63)
				return OH_HELLO_BAD_NAME;
			OH_MEM(s->letters) |= out ^ '0';
			label++;
		}
		OH_MEM(s->walk) = label;
		*oh_rev(s, i + 1) = out;
	}
	return OH_HELLO_COMPLETE;
}

/* Writes the host name, n bytes at pos, backwards into rev, like a query's name. */
OH_SUBPROG int oh_tls_name(__u32 pos, __u32 n, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i;

	if (!s)
		return OH_HELLO_READ;
	if (n < 1 || n > OH_KEY_TEXT_MAX)
		return OH_HELLO_BAD_NAME;
	OH_MEM(s->walk) = 0;
	OH_MEM(s->letters) = 0;
	for (i = 0; i < 256; i += OH_NAME_PART) {
		int r;

		if (i >= n)
			break;
		r = oh_tls_name_part(pos, n, i, slot);
		if (r)
			return r;
	}
	oh_key_finish(s, n);
	/* RFC 6066, 3: no trailing dot, no address. '0' to '9' differ from '0' in the low four bits alone: no top label
	 * is a number, but an address ends with one. */
	return OH_MEM(s->walk) && OH_MEM(s->letters) & 0xf0 ? OH_HELLO_COMPLETE : OH_HELLO_BAD_NAME;
}

/* Reads the server_name extension, n bytes at pos: it must hold exactly one host name. */
OH_INLINE int oh_tls_server_name(struct oh_scratch *s, __u32 pos, __u32 n, __u32 slot)
{
	const __u8 *p = oh_at(s, pos);

	if (n < 5 || oh_be16(p) != n - 2 || p[2] != 0 || oh_be16(p + 3) != n - 5)
		return OH_HELLO_MALFORMED;
	return oh_tls_name(pos + 5, n - 5, slot);
}

/* Whether an extension of n bytes may stand here, with `left` bytes of the hello still to come. */
OH_INLINE enum oh_tls_result oh_tls_extension(struct oh_scratch *s, __u32 type, __u32 n, __u32 left)
{
	if (n > left)
		return OH_HELLO_MALFORMED;
	if (type == OH_TLS_EXT_EARLY)
		OH_MEM(s->rest.offers) |= OH_TLS_OFFERS_EARLY;
	if (type == OH_TLS_EXT_VERSIONS)
		OH_MEM(s->rest.offers) |= OH_TLS_OFFERS_VERSIONS;
	return type == OH_TLS_EXT_ECH || type == OH_TLS_EXT_ESNI ? OH_HELLO_ENCRYPTED : OH_HELLO_COMPLETE;
}

/* Reads OH_TLS_PART extensions from pos on, as far as headers have come. Returns where the next one is, or -reason. */
OH_SUBPROG int oh_tls_extensions_part(__u32 pos, __u32 have, __u32 end, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i;

	if (!s)
		return -OH_HELLO_READ;
	for (i = 0; i < OH_TLS_PART && pos + 4 <= have; i++) {
		const __u8 *p = oh_at(s, pos);
		__u32 type = oh_be16(p), n = oh_be16(p + 2);
		int r;

		pos += 4;
		r = oh_tls_extension(s, type, n, end - pos);
		if (r)
			return -r;
		if (type == OH_TLS_EXT_NAME) {
			if (OH_MEM(s->name))
				return -OH_HELLO_MALFORMED;
			if (pos + n > have)
				return -OH_HELLO_INCOMPLETE;
			OH_MEM(s->name) = pos;
			OH_MEM(s->name_len) = n;
		}
		pos += n;
	}
	return pos;
}

/* Reads the extensions from pos to end, which they must fill, as far as they have come; then the name in them. */
OH_SUBPROG int oh_tls_extensions(__u32 pos, __u32 have, __u32 end, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i;
	int r;

	if (!s)
		return OH_HELLO_READ;
	OH_MEM(s->name) = 0;
	for (i = 0; i < OH_TLS_EXTENSIONS && pos + 4 <= have; i += OH_TLS_PART) {
		r = oh_tls_extensions_part(pos, have, end, slot);
		if (r < 0)
			return -r;
		pos = r;
	}
	/* too many, or a header that the end cuts short */
	if (pos + 4 <= have || (pos < have && pos + 4 > end))
		return OH_HELLO_MALFORMED;
	s->rest.hello = end - have;
	s->rest.skip = pos > have ? pos - have : 0;
	s->rest.headed = pos < have ? have - pos : 0;
	for (i = 0; i < 4; i++)
		s->rest.header[i] = oh_at(s, pos)[i];
	if (s->rest.record > s->rest.hello)
		return OH_HELLO_MALFORMED;
	if (!OH_MEM(s->name))
		return have < end ? OH_HELLO_INCOMPLETE : OH_HELLO_NO_NAME;
	r = oh_tls_server_name(s, OH_MEM(s->name), OH_MEM(s->name_len), slot);
	return r || have == end ? r : OH_HELLO_NAMED;
}

/* Whether the byte at pos has come: OK, or what it means for the hello that it has not. */
OH_INLINE enum oh_tls_result oh_tls_reach(__u32 pos, __u32 have, __u32 end)
{
	return pos > end ? OH_HELLO_MALFORMED : pos > have ? OH_HELLO_INCOMPLETE : OH_HELLO_COMPLETE;
}

/* Judges the hello in len bytes at off, which begin with its record's header. */
OH_SUBPROG int oh_tls_hello(oh_bytes b, __u32 off, __u32 len, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 have, end, pos, n;
	int r;

	if (!s)
		return OH_HELLO_READ;
	OH_MEM(s->rest.offers) = 0;
	oh_key_finish(s, 0);
	r = oh_tls_gather(b, off, len, s);
	if (r && r != OH_HELLO_INCOMPLETE)
		return r;
	have = OH_MEM(s->len);
	end = OH_MEM(s->need);
	if (have < 4)
		return OH_HELLO_INCOMPLETE;
	/* Header 4, version 2, random 32, then four fields, each with its length before it. */
	r = oh_tls_reach(39, have, end);
	if (r)
		return r;
	if (s->msg[4] != 3 || s->msg[38] > 32)
		return OH_HELLO_MALFORMED;
	pos = 39 + s->msg[38];
	r = oh_tls_reach(pos + 2, have, end);
	if (r)
		return r;
	n = oh_be16(oh_at(s, pos));
	pos += 2 + n;
	if (n < 2 || n & 1)
		return OH_HELLO_MALFORMED;
	r = oh_tls_reach(pos + 1, have, end);
	if (r)
		return r;
	n = *oh_at(s, pos);
	pos += 1 + n;
	if (n < 1)
		return OH_HELLO_MALFORMED;
	if (pos == end)
		return have == end ? OH_HELLO_NO_NAME : OH_HELLO_INCOMPLETE;
	r = oh_tls_reach(pos + 2, have, end);
	if (r)
		return r;
	n = oh_be16(oh_at(s, pos));
	pos += 2;
	if (pos + n != end)
		return OH_HELLO_MALFORMED;
	return oh_tls_extensions(pos, have, end, slot);
}

#endif
