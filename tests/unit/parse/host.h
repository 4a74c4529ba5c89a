/* SPDX-License-Identifier: MIT */
/* The parsers as host code, and what tests, fuzzers and the kernel comparison share. */
#ifndef WIRE_HOST_H
#define WIRE_HOST_H

#include <stdint.h>

#include "parse/dns_answer.h"
#include "parse/dns_query.h"
#include "parse/ntp.h"
#include "parse/tls_client.h"

/* The name asked when an answer does not bring its own question: www.openai.com, A, id 0x1234. */
static const struct oh_dns_pending wire_asked = {
	.id = 0x1234,
	.qtype = OH_DNS_A,
	.name_len = 16,
	.name = "\3www\6openai\3com",
};

/*
 * A pending query that fits the answer's own question, so that a fuzzer gets
 * behind that check; the fixed one where there is no such question or the id's
 * top bit is set.
 */
static inline void wire_pending_for(const uint8_t *msg, uint32_t len, struct oh_dns_pending *ret)
{
	uint32_t pos = OH_DNS_HEADER, left, i;

	*ret = wire_asked;
	if (len < 17 || msg[0] & 0x80)
		return;
	while (pos < len && msg[pos]) {
		left = msg[pos];
		if (left > 63)
			return;
		pos += left + 1;
	}
	if (pos + 5 > len || pos - OH_DNS_HEADER >= OH_NAME_MAX)
		return;
	memset(ret, 0, sizeof(*ret));
	ret->id = oh_be16(msg);
	ret->name_len = (uint16_t)(pos + 1 - OH_DNS_HEADER);
	ret->qtype = oh_be16(msg + pos + 1);
	for (i = 0; i < ret->name_len; i++) {
		uint8_t c = msg[OH_DNS_HEADER + i];

		ret->name[i] = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
	}
}

/* Stale bytes that an earlier packet could have left must change nothing: start from any filling. */
static inline void wire_dirty(uint8_t fill, size_t len)
{
	struct oh_scratch *s = oh_scratch(0);

	memset(&s->query, fill, offsetof(struct oh_scratch, rr) - offsetof(struct oh_scratch, query));
	memset(s->msg, fill, len + OH_MSG_SLACK < sizeof(s->msg) ? len + OH_MSG_SLACK : sizeof(s->msg));
}

static inline int wire_query(const uint8_t *data, uint32_t len)
{
	struct oh_buffer b = {data, len};

	return oh_dns_query(&b, 0, len, 0);
}

static inline int wire_hello(const uint8_t *data, uint32_t len)
{
	struct oh_buffer b = {data, len};

	return oh_tls_hello(&b, 0, len, 0);
}

/* What follows on what slot 0 knows the beginning of. */
static inline int wire_client(const uint8_t *data, uint32_t len)
{
	struct oh_buffer b = {data, len};

	return oh_tls_client(&b, 0, len, 0);
}

/* The same, of a hello and no further: COMPLETE where it ends in there. */
static inline int wire_rest(const uint8_t *data, uint32_t len)
{
	int r = wire_client(data, len);

	return r == OH_HELLO_NAMED && !oh_scratch(0)->rest.hello ? OH_HELLO_COMPLETE : r;
}

/* As TCP hands it over in two parts: what cannot be let out yet comes again, with the rest. */
static inline int wire_hello_in_two(const uint8_t *data, uint32_t len, uint32_t at)
{
	int r = wire_hello(data, at);

	if (r == OH_HELLO_INCOMPLETE)
		return wire_hello(data, len);
	return r == OH_HELLO_NAMED ? wire_rest(data + at, len - at) : r;
}

static inline int wire_answer(const uint8_t *data, uint32_t len, const struct oh_dns_pending *asked)
{
	struct oh_buffer b = {data, len};

	return (int)oh_dns_answer(&b, 0, len, oh_scratch(0), asked, 0);
}

static inline int wire_ntp(const uint8_t *data, uint32_t len, uint32_t nts)
{
	struct oh_buffer b = {data, len};

	return (int)oh_ntp_request(&b, 0, len, nts);
}

#endif
