/*
 * The first flight of a TLS connection: the server name in its ClientHello.
 *
 * The hello may be in up to OH_TLS_RECORDS records (nobody's default, but
 * legal). Whatever follows it in later records of the segment is let be: early
 * data and the change-cipher-spec before it. In its own last record nothing
 * may follow.
 *
 * GREASE ECH is the same extension as the real one and cannot be told from it,
 * so it is refused too; so is the older draft's encrypted server name.
 */
#ifndef OH_TLS_HELLO_H
#define OH_TLS_HELLO_H

#include "dns_query.h"

#define OH_TLS_RECORD_MAX 16384
#define OH_TLS_HELLO_MAX 16384 /* with its own header of four */
#define OH_TLS_PART_MAX 8192 /* of a hello in several records: what the last one may bring, and the others together */
#define OH_TLS_RECORDS 4
#define OH_TLS_EXTENSIONS 64

#define OH_TLS_EXT_NAME 0
#define OH_TLS_EXT_ECH 0xfe0d
#define OH_TLS_EXT_ESNI 0xffce

/* Numbers are permanent. */
enum oh_tls_result {
	OH_HELLO_COMPLETE = 0, /* oh_key() has the name */
	OH_HELLO_INCOMPLETE = 1, /* good so far: hold, or tls-incomplete */
	OH_HELLO_TOO_LARGE = 2, /* announces more than fits, or in too many records: tls-incomplete */
	OH_HELLO_NO_NAME = 3, /* tls-no-name */
	OH_HELLO_ENCRYPTED = 4, /* tls-encrypted-hello */
	OH_HELLO_NOT_TLS = 5, /* tls-not-tls */
	OH_HELLO_MALFORMED = 6, /* begins as a ClientHello: tls-not-tls */
	OH_HELLO_BAD_NAME = 7, /* trailing dot, address, empty label, a byte no name has: tls-no-name */
	OH_HELLO_READ = 8,
	OH_HELLO_MORE = 9, /* inside only: the hello goes on in the next record */
	OH_HELLO_RESULT_MAX,
};

/* Whether the n bytes of the hello so far can be one's start. Its size, with header, to *ret_need where it is known. */
OH_INLINE enum oh_tls_result oh_tls_start(struct oh_scratch *s, __u32 n, __u32 *ret_need)
{
	if (s->msg[0] != 1)
		return OH_HELLO_NOT_TLS;
	if (n < 4)
		return OH_HELLO_INCOMPLETE;
	*ret_need = (oh_be32(s->msg) & 0xffffff) + 4;
	return *ret_need > OH_TLS_HELLO_MAX ? OH_HELLO_TOO_LARGE : OH_HELLO_COMPLETE;
}

/* The header of the record at off; its size to *ret_size. With less than five bytes, what is there must fit. */
OH_INLINE enum oh_tls_result oh_tls_record(oh_bytes b, __u32 off, __u32 len, __u32 *ret_size)
{
	__u8 head[8] = {0}; /* five, and room for what oh_bound() allows */

	if (!len)
		return OH_HELLO_INCOMPLETE;
	if (oh_load(b, off, head, oh_bound(len < 5 ? len : 5, sizeof(head))))
		return OH_HELLO_READ;
	if (head[0] != 22 || (len > 1 && head[1] != 3))
		return OH_HELLO_NOT_TLS;
	if (len < 5)
		return OH_HELLO_INCOMPLETE;
	*ret_size = (__u32)head[3] << 8 | head[4];
	return *ret_size < 1 || *ret_size > OH_TLS_RECORD_MAX ? OH_HELLO_NOT_TLS : OH_HELLO_COMPLETE;
}

/* The record at off, of which nothing was read yet, to behind what there is of the hello. */
OH_INLINE enum oh_tls_result oh_tls_append(oh_bytes b, __u32 off, __u32 len, struct oh_scratch *s, int first)
{
	__u32 have = OH_MEM(s->len), size = 0, need = 0, n;
	enum oh_tls_result r = oh_tls_record(b, off, len, &size);
	__u8 *to = s->msg;

	if (r)
		return r;
	len -= 5;
	n = size < len ? size : len;
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
	if (!r && have > need)
		return OH_HELLO_MALFORMED;
	if (n < size)
		return OH_HELLO_INCOMPLETE;
	OH_MEM(s->len) = have;
	return !r && have == need ? OH_HELLO_COMPLETE : OH_HELLO_MORE;
}

/* Puts the whole hello at msg, without record headers; its size to len. */
OH_INLINE enum oh_tls_result oh_tls_gather(oh_bytes b, __u32 off, __u32 len, struct oh_scratch *s)
{
	enum oh_tls_result r;
	__u32 i;

	OH_MEM(s->len) = 0;
	r = oh_tls_append(b, off, len, s, 1);
	for (i = 1; i < OH_TLS_RECORDS && r == OH_HELLO_MORE; i++) {
		__u32 at = OH_MEM(s->len) + i * 5; /* what the records so far took */

		r = oh_tls_append(b, off + at, len - at, s, 0);
		if (r == OH_HELLO_NOT_TLS)
			return OH_HELLO_MALFORMED;
	}
	return r == OH_HELLO_MORE ? OH_HELLO_TOO_LARGE : r;
}

/* OH_NAME_PART bytes of the host name of n bytes at pos: 0, or a reason to refuse it. See oh_dns_name_part(). */
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

/* The host name of n bytes at pos: backwards to rev, as the query's name is. */
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
	/* '0' to '9' differ from '0' in the low four bits alone: no top label is a number, but an address ends with one. */
	if (!OH_MEM(s->walk) || !(OH_MEM(s->letters) & 0xf0))
		return OH_HELLO_BAD_NAME;
	oh_key_finish(s, n);
	return OH_HELLO_COMPLETE;
}

/* The server_name extension of n bytes at pos: exactly one host name. */
OH_INLINE int oh_tls_server_name(struct oh_scratch *s, __u32 pos, __u32 n, __u32 slot)
{
	const __u8 *p = oh_at(s, pos);

	if (n < 5 || oh_be16(p) != n - 2 || p[2] != 0 || oh_be16(p + 3) != n - 5)
		return OH_HELLO_MALFORMED;
	return oh_tls_name(pos + 5, n - 5, slot);
}

/* The extensions from pos to end, which they must fill: then the name in them. */
OH_SUBPROG int oh_tls_extensions(__u32 pos, __u32 end, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i, name = 0, name_len = 0;

	if (!s)
		return OH_HELLO_READ;
	for (i = 0; i < OH_TLS_EXTENSIONS; i++) {
		__u32 type, n;
		const __u8 *p;

		if (pos == end)
			break;
		if (pos + 4 > end)
			return OH_HELLO_MALFORMED;
		p = oh_at(s, pos);
		type = oh_be16(p);
		n = oh_be16(p + 2);
		pos += 4;
		if (pos + n > end)
			return OH_HELLO_MALFORMED;
		if (type == OH_TLS_EXT_ECH || type == OH_TLS_EXT_ESNI)
			return OH_HELLO_ENCRYPTED;
		if (type == OH_TLS_EXT_NAME) {
			if (name)
				return OH_HELLO_MALFORMED;
			name = pos;
			name_len = n;
		}
		pos += n;
	}
	if (pos != end)
		return OH_HELLO_MALFORMED;
	return name ? oh_tls_server_name(s, name, name_len, slot) : OH_HELLO_NO_NAME;
}

/* The payload of len bytes at off, from the first byte the client sent. */
OH_SUBPROG int oh_tls_hello(oh_bytes b, __u32 off, __u32 len, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 end, pos, n;
	int r;

	if (!s)
		return OH_HELLO_READ;
	r = oh_tls_gather(b, off, len, s);
	if (r)
		return r;
	end = OH_MEM(s->len);
	/* Header 4, version 2, random 32, then four fields each after its length. */
	if (end < 39 || s->msg[4] != 3)
		return OH_HELLO_MALFORMED;
	if (s->msg[38] > 32)
		return OH_HELLO_MALFORMED;
	pos = 39 + s->msg[38];
	if (pos + 2 > end)
		return OH_HELLO_MALFORMED;
	n = oh_be16(oh_at(s, pos));
	pos += 2 + n;
	if (n < 2 || n & 1 || pos + 1 > end)
		return OH_HELLO_MALFORMED;
	n = *oh_at(s, pos);
	pos += 1 + n;
	if (n < 1 || pos > end)
		return OH_HELLO_MALFORMED;
	if (pos == end)
		return OH_HELLO_NO_NAME;
	if (pos + 2 > end)
		return OH_HELLO_MALFORMED;
	n = oh_be16(oh_at(s, pos));
	pos += 2;
	if (pos + n != end)
		return OH_HELLO_MALFORMED;
	return oh_tls_extensions(pos, end, slot);
}

#endif
