// SPDX-License-Identifier: MIT
/* Any bytes as a first flight, whole and in parts: what passes is a hello to another reader too, with that name, and no
 * cut of it decides otherwise. */
#include "fuzz.h"

/* That other reader: of a whole hello, by offsets into a copy without records, with no limits but its own memory. */
struct reader {
	uint8_t body[65536];
	size_t have, need, extensions, records, largest;
	const uint8_t *name;
	size_t name_len;
	int encrypted;
};

static size_t number(const uint8_t *p, int bytes)
{
	size_t n = 0;

	while (bytes--)
		n = n << 8 | *p++;
	return n;
}

static int unwrap(struct reader *r, const uint8_t *data, size_t size)
{
	size_t at = 0;

	r->have = r->records = r->largest = 0;
	r->need = 4;
	while (r->have < r->need) {
		size_t n;

		if (at + 5 > size || data[at] != 22 || data[at + 1] != 3)
			return 0;
		n = number(data + at + 3, 2);
		at += 5;
		if (!n || n > 16384 || n > size - at)
			return 0;
		memcpy(r->body + r->have, data + at, n);
		at += n;
		r->have += n;
		r->records++;
		r->largest = n > r->largest ? n : r->largest;
		if (r->have >= 4)
			r->need = 4 + number(r->body + 1, 3);
		if (r->have >= 4 && (r->body[0] != 1 || r->need > 16384))
			return 0;
	}
	return r->have == r->need;
}

static int is_hello(struct reader *r, const uint8_t *data, size_t size)
{
	static const int field[] = {1, 2, 1};	/* session, ciphers, compression: bytes of their lengths */
	size_t at = 4 + 2 + 32;

	r->name = NULL;
	r->extensions = 0;
	r->encrypted = 0;
	if (!unwrap(r, data, size))
		return 0;
	for (int i = 0; i < 3; i++) {
		size_t n;

		if (at + (size_t)field[i] > r->have)
			return 0;
		n = number(r->body + at, field[i]);
		at += (size_t)field[i] + n;
		if (at > r->have || (i && !n) || (i == 1 && n % 2))
			return 0;
	}
	if (at + 2 > r->have || at + 2 + number(r->body + at, 2) != r->have)
		return 0;
	for (at += 2; at < r->have; r->extensions++) {
		size_t type, n;

		if (at + 4 > r->have)
			return 0;
		type = number(r->body + at, 2);
		n = number(r->body + at + 2, 2);
		at += 4;
		if (n > r->have - at)
			return 0;
		r->encrypted |= type == 0xfe0d || type == 0xffce;
		if (type == 0) {
			if (r->name || n < 5)
				return 0;
			r->name = r->body + at + 5;
			r->name_len = n - 5;
		}
		at += n;
	}
	return r->name && !r->encrypted;
}

static int says(const struct reader *r, const char *text)
{
	size_t i, n = strlen(text);

	for (i = 0; i < n && i < r->name_len; i++)
		if ((r->name[i] >= 'A' && r->name[i] <= 'Z' ? r->name[i] | 0x20 : r->name[i]) != (uint8_t)text[i])
			return 0;
	return i == n && n == r->name_len;
}

/* The rest of a hello, and no byte behind it. */
static int rest_of(const uint8_t *data, size_t size)
{
	int r = OH_HELLO_NAMED;

	for (size_t i = 0; i < size && r == OH_HELLO_NAMED; i++)
		r = wire_rest(data + i, 1);
	return r;
}

/* In up to three parts, cut where the input says. */
static int in_parts(const uint8_t *data, size_t size, char *text)
{
	size_t cut = size ? (size_t)(data[size - 1] << 8 | data[size / 2]) % (size + 1) : 0,
		next = cut + (size - cut) / 3;
	int r = wire_hello(data, (uint32_t)cut);

	if (r == OH_HELLO_INCOMPLETE) {
		cut = next;
		r = wire_hello(data, (uint32_t)cut);
	}
	if (r == OH_HELLO_INCOMPLETE) {
		cut = size;
		r = wire_hello(data, (uint32_t)cut);
	}
	if (!r || r == OH_HELLO_NAMED)
		oh_key_to_text(oh_key(oh_scratch(0)), text);
	next = cut + (size - cut) / 3;
	if (r == OH_HELLO_NAMED) {
		must(oh_scratch(0)->rest.hello && oh_scratch(0)->rest.record <= oh_scratch(0)->rest.hello);
		r = rest_of(data + cut, next - cut);
	} else {
		return r;
	}
	return r == OH_HELLO_NAMED ? rest_of(data + next, size - next) : r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct reader reader;
	char text[OH_KEY_DATA + 2], again[OH_KEY_DATA + 2], parts[OH_KEY_DATA + 2];
	struct oh_name_key key;
	int r, p, good = is_hello(&reader, data, size);

	wire_dirty(0, size);
	r = wire_hello(data, (uint32_t)size);
	if (!r)
		oh_key_to_text(oh_key(oh_scratch(0)), text);
	wire_dirty('a', size);
	must(wire_hello(data, (uint32_t)size) == r);
	must(r >= 0 && r < OH_HELLO_RESULT_MAX && r != OH_HELLO_READ && r != OH_HELLO_MORE);
	p = in_parts(data, size, parts);
	must(p >= 0 && p < OH_HELLO_RESULT_MAX && p != OH_HELLO_READ && p != OH_HELLO_MORE);
	/* Whatever passes is a hello. What is one passes, but for what only the whole has limits for, or a bad name. */
	must(good || (r && p));
	if (good && reader.extensions < 64 && reader.records <= 4 && (reader.records == 1 || reader.have <= 8192))
		must(r == OH_HELLO_BAD_NAME || r == OH_HELLO_MALFORMED ? r == p : !r && !p);
	if (!p)
		must(says(&reader, parts));
	if (r)
		return 0;
	must(!p && !strcmp(text, parts) && says(&reader, text));
	wire_dirty('b', size);
	wire_hello(data, (uint32_t)size);
	oh_key_to_text(oh_key(oh_scratch(0)), again);
	must(!strcmp(text, again) && !oh_key_from_text(&key, text) && oh_key_covers(&key, oh_key(oh_scratch(0))));
	return 0;
}
