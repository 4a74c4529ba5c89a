/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a TLS client says in plaintext after the name in its first hello, until
 * it can say no more: the rest of that hello, and the records after it, as TCP
 * hands them over.
 *
 * The rest of a hello is read extension by extension: it must hold neither
 * another name nor an encrypted one, and must end where it announced.
 *
 * A server that cannot use a TLS 1.3 hello asks for a second one
 * (HelloRetryRequest), in plaintext too, and goes by the name in that. So a
 * hello is looked for at the beginning of each record, until the look is over:
 *
 * handshake    a hello, if it begins like one. Else the look is over: in TLS
 *              1.2 it is the client's next message, or its encrypted Finished
 * data (23)    over: it is encrypted. But early data may come before a second
 *              hello: if the last hello offered it, data is passed over for as
 *              long as the client sends
 * change-cipher-spec
 *              in TLS 1.3 it means nothing, and may come before a second
 *              hello. Over, if the hello did not offer TLS 1.3
 * alert        passed over: a server may ignore a warning
 *
 * An encrypted Finished can begin like a hello. It is taken for one if its
 * first byte is 1 and the length after that is one that a server accepts
 * (OpenSSL's limit, the highest, is 131,396): with random bytes once in 21,845.
 */
#ifndef OH_TLS_CLIENT_H
#define OH_TLS_CLIENT_H

#include "parse/tls_hello.h"

/* steps in one segment: two for each extension or record. 64 kB of the smallest records, of 22 bytes, take 5,958 */
#define OH_TLS_STEPS 6144
#define OH_TLS_STRIDE 32 /* of them in one function that the verifier walks once */
#define OH_TLS_SEALED_MAX (16384 + 2048) /* an encrypted record: RFC 5246, 6.2.3 */
#define OH_TLS_LENGTH_MAX 2 /* highest byte of a length that may be a hello's */
#define OH_TLS_TOLD 7 /* bytes from a record's first one on that tell whether a hello begins */

enum { OH_TLS_CIPHER = 20, OH_TLS_ALERT = 21, OH_TLS_HANDSHAKE = 22, OH_TLS_DATA = 23 };

/* Copies what has come of a header, at off, to `to`, after the `have` of its `size` bytes that came before. Returns how
 * many bytes, 0 if reading failed. */
OH_INLINE __u32 oh_tls_take(oh_bytes b, __u32 off, __u32 len, __u8 *to, __u32 have, __u32 size)
{
	__u32 n = size - have < len ? size - have : len;
	__u64 at = have;

	OH_OPAQUE(at);
	at &= 7;
	n = oh_bound(n, 8);
	return oh_load(b, off, to + at, n) ? 0 : n;
}

/* The hello's next record begins or goes on at off. Returns how many bytes of its header were taken, or -reason. */
OH_SUBPROG int oh_tls_next_record(oh_bytes b, __u32 off, __u32 len, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 have, taken, size = 0;
	enum oh_tls_result r;

	if (!s)
		return -OH_HELLO_READ;
	have = OH_MEM(s->rest.recorded);
	taken = oh_tls_take(b, off, len, s->rest.record_header, have, 5);
	if (!taken)
		return -OH_HELLO_READ;
	r = oh_tls_record(s->rest.record_header, have + taken, &size);
	if (r == OH_HELLO_NOT_TLS || size > OH_MEM(s->rest.hello))
		return -OH_HELLO_MALFORMED;
	OH_MEM(s->rest.recorded) = r == OH_HELLO_INCOMPLETE ? have + taken : 0;
	OH_MEM(s->rest.record) = size;
	return taken;
}

/* The hello's next extension begins or goes on at off, in the len bytes that have come of its record. Returns how many
 * of them were taken, or -reason. */
OH_SUBPROG int oh_tls_next_extension(oh_bytes b, __u32 off, __u32 len, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 taken, skip, have, type, n;
	enum oh_tls_result r;

	if (!s)
		return -OH_HELLO_READ;
	skip = OH_MEM(s->rest.skip);
	have = OH_MEM(s->rest.headed);
	if (skip)
		taken = skip < len ? skip : len;
	else
		taken = oh_tls_take(b, off, len, s->rest.header, have, 4);
	if (!taken)
		return -OH_HELLO_READ;
	OH_MEM(s->rest.record) -= taken;
	OH_MEM(s->rest.hello) -= taken;
	if (skip) {
		OH_MEM(s->rest.skip) = skip - taken;
		return taken;
	}
	OH_MEM(s->rest.headed) = have + taken < 4 ? have + taken : 0;
	if (have + taken < 4)
		return taken;
	type = oh_be16(s->rest.header);
	n = oh_be16(s->rest.header + 2);
	r = oh_tls_extension(s, type, n, OH_MEM(s->rest.hello));
	if (!r && type == OH_TLS_EXT_NAME)
		r = OH_HELLO_MALFORMED; /* the second one */
	OH_MEM(s->rest.skip) = n;
	return r ? -(int)r : (int)taken;
}

/* What the handshake record at off, after a hello, is. It is held until that is known. */
OH_INLINE enum oh_tls_result oh_tls_handshake(oh_bytes b, __u32 off, __u32 len)
{
	__u8 head[8] = {0};
	__u32 n = len < OH_TLS_TOLD ? len : OH_TLS_TOLD, size = 0;
	enum oh_tls_result r;

	if (oh_load(b, off, head, oh_bound(n, sizeof(head))))
		return OH_HELLO_READ;
	r = oh_tls_record(head, n < 5 ? n : 5, &size);
	if (r || n < 5 + (size < 2 ? size : 2))
		return r ? r : OH_HELLO_INCOMPLETE;
	return head[5] == 1 && (size < 2 || head[6] <= OH_TLS_LENGTH_MAX) ? OH_HELLO_BEGINS : OH_HELLO_OVER;
}

/* A record after a hello begins or goes on at off. Returns how many bytes of its header were taken, or -result. */
OH_SUBPROG int oh_tls_between(oh_bytes b, __u32 off, __u32 len, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 have, taken, offers, size;
	const __u8 *head;

	if (!s)
		return -OH_HELLO_READ;
	have = OH_MEM(s->rest.recorded);
	offers = OH_MEM(s->rest.offers);
	head = s->rest.record_header;
	taken = oh_tls_take(b, off, len, s->rest.record_header, have, 5);
	if (!taken)
		return -OH_HELLO_READ;
	if (head[0] == OH_TLS_HANDSHAKE)
		return have ? -OH_HELLO_MALFORMED : -(int)oh_tls_handshake(b, off, len);
	if ((head[0] == OH_TLS_DATA && !(offers & OH_TLS_OFFERS_EARLY)) ||
	    (head[0] == OH_TLS_CIPHER && !(offers & OH_TLS_OFFERS_VERSIONS)))
		return -OH_HELLO_OVER;
	if (head[0] < OH_TLS_CIPHER || head[0] > OH_TLS_DATA || (have + taken > 1 && head[1] != 3))
		return -OH_HELLO_NOT_TLS;
	OH_MEM(s->rest.recorded) = have + taken < 5 ? have + taken : 0;
	if (have + taken < 5)
		return taken;
	size = oh_be16(head + 3);
	if (!size || size > OH_TLS_SEALED_MAX || (head[0] == OH_TLS_CIPHER && size != 1))
		return -OH_HELLO_NOT_TLS;
	OH_MEM(s->rest.record) = size;
	return taken;
}

/* Takes one step at off. Returns the bytes taken, or -result. */
OH_INLINE int oh_tls_step(oh_bytes b, __u32 off, __u32 len, struct oh_scratch *s, __u32 slot)
{
	__u32 record = OH_MEM(s->rest.record), n = record < len ? record : len;

	if (OH_MEM(s->rest.hello))
		return record ? oh_tls_next_extension(b, off, n, slot) : oh_tls_next_record(b, off, len, slot);
	if (OH_MEM(s->rest.headed))
		return -OH_HELLO_MALFORMED;
	if (!record)
		return oh_tls_between(b, off, len, slot);
	OH_MEM(s->rest.record) = record - n;
	return n;
}

/* Takes OH_TLS_STRIDE steps of oh_tls_client(). Returns COMPLETE, or a result that ends them. */
OH_SUBPROG int oh_tls_client_part(oh_bytes b, __u32 off, __u32 len, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i;

	if (!s)
		return OH_HELLO_READ;
	for (i = 0; i < OH_TLS_STRIDE; i++) {
		__u32 read = OH_MEM(s->read);
		int taken;

		if (read >= len)
			break;
		taken = oh_tls_step(b, off + read, len - read, s, slot);
		if (taken <= 0)
			return taken ? -taken : OH_HELLO_READ;
		OH_MEM(s->read) = read + taken;
	}
	return OH_HELLO_COMPLETE;
}

/* Judges len bytes at off, which continue what s->rest describes. Returns NAMED if more is to come, OVER, BEGINS, or a
 * reason; s->read says how much was read. */
OH_SUBPROG int oh_tls_client(oh_bytes b, __u32 off, __u32 len, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);
	__u32 i, read;

	if (!s)
		return OH_HELLO_READ;
	OH_MEM(s->read) = 0;
	for (i = 0; i < OH_TLS_STEPS; i += OH_TLS_STRIDE) {
		int r;

		read = OH_MEM(s->read);
		if (read >= len)
			return !OH_MEM(s->rest.hello) && OH_MEM(s->rest.headed) ? OH_HELLO_MALFORMED : OH_HELLO_NAMED;
		r = oh_tls_client_part(b, off, len, slot);
		if (r == OH_HELLO_OVER) {
			read = OH_MEM(s->read);
			OH_MEM(s->read) = len - read < OH_TLS_TOLD ? len : read + OH_TLS_TOLD;
		}
		if (r)
			return r;
	}
	return OH_HELLO_MALFORMED;
}

#endif
