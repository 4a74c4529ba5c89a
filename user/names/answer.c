// SPDX-License-Identifier: MIT
#include "names/answer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"

#define HEADER 12
#define NAME_MAX_WIRE 255
#define CHAIN_MAX 16

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, CLASS_IN = 1 };

struct reader {
	const uint8_t *message;
	size_t length;
	size_t at;
};

/* A name in wire form, in lower case. */
struct wire_name {
	uint8_t byte[NAME_MAX_WIRE];
	size_t length;
};

static bool read16(struct reader *r, unsigned int *ret)
{
	if (r->length - r->at < 2)
		return false;
	*ret = (unsigned int)r->message[r->at] << 8 | r->message[r->at + 1];
	r->at += 2;
	return true;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* Reads a name and moves behind it. A pointer must lead to a place before the run of labels that it ends, so that it
 * cannot loop. */
static bool read_name(struct reader *r, struct wire_name *ret)
{
	size_t at = r->at, run = r->at, used = 0;
	bool jumped = false;

	for (;;) {
		uint8_t length;

		if (at >= r->length)
			return false;
		length = r->message[at];
		if ((length & 0xc0) == 0xc0) {
			size_t to;

			if (at + 1 >= r->length)
				return false;
			to = (size_t)(length & 0x3f) << 8 | r->message[at + 1];
			if (!jumped)
				r->at = at + 2;
			jumped = true;
			if (to >= run)
				return false;
			at = run = to;
			continue;
		}
		if (length & 0xc0 || at + 1 + length > r->length || used + 1 + length > NAME_MAX_WIRE)
			return false;
		ret->byte[used] = length;
		for (size_t i = 1; i <= length; i++)
			ret->byte[used + i] = lower(r->message[at + i]);
		used += 1 + length;
		at += 1 + (size_t)length;
		if (!length)
			break;
	}
	ret->length = used;
	if (!jumped)
		r->at = at;
	return true;
}

static bool name_equal(const struct wire_name *a, const struct wire_name *b)
{
	return a->length == b->length && !memcmp(a->byte, b->byte, a->length);
}

/* From "name.example" to wire form. False if it does not fit. */
static bool name_from_text(const char *text, struct wire_name *ret)
{
	size_t used = 0;

	while (*text) {
		size_t label = strcspn(text, ".");

		if (!label || label > 63 || used + label + 2 > NAME_MAX_WIRE)
			return false;
		ret->byte[used] = (uint8_t)label;
		memcpy(ret->byte + used + 1, text, label);
		used += label + 1;
		text += label + (text[label] == '.');
	}
	ret->byte[used++] = 0;
	ret->length = used;
	return true;
}

struct resource {
	struct wire_name owner;
	unsigned int type, class;
	uint32_t ttl;
	struct reader data;	/* at the start of the data, in the whole message for its compressed names */
	size_t data_length;
};

static bool read_resource(struct reader *r, struct resource *ret)
{
	unsigned int high, low, length;

	if (!read_name(r, &ret->owner) || !read16(r, &ret->type) || !read16(r, &ret->class) ||
	    !read16(r, &high) || !read16(r, &low) || !read16(r, &length) || r->length - r->at < length)
		return false;
	ret->ttl = (uint32_t)high << 16 | low;
	if (ret->ttl & 0x80000000u)
		ret->ttl = 0;
	ret->data = *r;
	ret->data_length = length;
	r->at += length;
	return true;
}

/* What the answer says of one owner. */
struct owned {
	bool renamed;
	struct wire_name alias;		/* the name that a CNAME gives it */
	uint32_t alias_ttl;
};

/* Reads all records: puts the addresses of *owner into ret, or finds the name that a CNAME gives it. */
static enum answer_result collect(struct reader answers, unsigned int count, const struct wire_name *owner,
				  int family, uint32_t ttl, struct answer *ret, struct owned *owned)
{
	unsigned int type = family == 4 ? TYPE_A : TYPE_AAAA;
	size_t size = family == 4 ? 4 : 16;

	ret->count = 0;
	owned->renamed = false;
	for (unsigned int i = 0; i < count; i++) {
		struct answer_address *a = &ret->list[ret->count];
		struct resource rr;

		if (!read_resource(&answers, &rr))
			return ANSWER_MALFORMED;
		if ((rr.type != type && rr.type != TYPE_CNAME) || rr.class != CLASS_IN || !name_equal(&rr.owner, owner))
			continue;
		if (rr.type == TYPE_CNAME) {
			size_t end = rr.data.at + rr.data_length;

			if (owned->renamed)
				continue;
			if (!read_name(&rr.data, &owned->alias) || rr.data.at != end)
				return ANSWER_MALFORMED;
			owned->renamed = true;
			owned->alias_ttl = rr.ttl;
			continue;
		}
		if (rr.data_length != size)
			return ANSWER_MALFORMED;
		if (ret->count == ANSWER_ADDRESSES_MAX)
			continue;
		if (family == 4)
			a->address = address_from_ip4(rr.data.message + rr.data.at);
		else
			memcpy(&a->address, rr.data.message + rr.data.at, size);
		a->ttl = rr.ttl < ttl ? rr.ttl : ttl;
		ret->count++;
	}
	return ANSWER_OK;
}

static enum answer_result from_response_code(unsigned int code)
{
	switch (code) {
	case 0:
		return ANSWER_OK;
	case 1:
		return ANSWER_FORMERR;
	case 2:
		return ANSWER_SERVFAIL;
	case 3:
		return ANSWER_NXDOMAIN;
	case 4:
		return ANSWER_NOTIMP;
	case 5:
		return ANSWER_REFUSED;
	}
	return ANSWER_OTHER_ERROR;
}

static enum answer_result read_answer(const uint8_t *message, size_t length, const char *name, int family,
				      struct answer *ret)
{
	struct reader r = { .message = message, .length = length, .at = HEADER };
	unsigned int questions, answers, type, class;
	struct wire_name asked, current;
	uint32_t ttl = UINT32_MAX;
	enum answer_result code;
	struct owned owned;

	if (length < HEADER || !(message[2] & 0x80) || !name_from_text(name, &current))
		return ANSWER_MALFORMED;
	code = from_response_code(message[3] & 15);
	if (code)
		return code;
	questions = (unsigned int)message[4] << 8 | message[5];
	answers = (unsigned int)message[6] << 8 | message[7];
	if (questions != 1 || !read_name(&r, &asked) || !read16(&r, &type) || !read16(&r, &class))
		return ANSWER_MALFORMED;
	if (!name_equal(&asked, &current) || class != CLASS_IN || type != (family == 4 ? TYPE_A : TYPE_AAAA))
		return ANSWER_OTHER_QUESTION;
	if (answers > (length - r.at) / 11)	/* more than fit even as the shortest records: the count lies */
		return ANSWER_MALFORMED;
	ret->list = calloc(answers ? answers : 1, sizeof(*ret->list));
	if (!ret->list)
		return ANSWER_NO_MEMORY;
	for (int hops = 0;; hops++) {
		code = collect(r, answers, &current, family, ttl, ret, &owned);
		if (code || !owned.renamed)
			return code;
		if (hops == CHAIN_MAX)
			return ANSWER_LOOP;
		current = owned.alias;
		if (owned.alias_ttl < ttl)
			ttl = owned.alias_ttl;
	}
}

enum answer_result answer_read(const uint8_t *message, size_t length, const char *name, int family, struct answer *ret)
{
	enum answer_result result;

	*ret = (struct answer){ 0 };
	result = read_answer(message, length, name, family, ret);
	if (result != ANSWER_OK)
		answer_free(ret);
	return result;
}

void answer_free(struct answer *a)
{
	free(a->list);
	*a = (struct answer){ 0 };
}

const char *answer_result_text(enum answer_result result)
{
	static const char *const texts[] = {
		[ANSWER_OK] = "answered",
		[ANSWER_MALFORMED] = "malformed answer",
		[ANSWER_OTHER_QUESTION] = "answer to another question",
		[ANSWER_LOOP] = "CNAMEs that loop",
		[ANSWER_NXDOMAIN] = "no such name (NXDOMAIN)",
		[ANSWER_SERVFAIL] = "server failure (SERVFAIL)",
		[ANSWER_REFUSED] = "refused by the resolver",
		[ANSWER_FORMERR] = "format error from the resolver (FORMERR)",
		[ANSWER_NOTIMP] = "not implemented by the resolver (NOTIMP)",
		[ANSWER_OTHER_ERROR] = "error from the resolver",
		[ANSWER_NO_MEMORY] = "out of memory",
	};

	_Static_assert(sizeof(texts) / sizeof(*texts) == ANSWER_RESULT_MAX, "a text for each");
	return texts[result];
}
