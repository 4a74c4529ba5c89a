// SPDX-License-Identifier: MIT
/* First flights of TLS: the name, or why there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "unit/parse/host.h"

static uint8_t data[40000];

static uint32_t put16(uint32_t at, uint32_t v)
{
	data[at] = (uint8_t)(v >> 8);
	data[at + 1] = (uint8_t)v;
	return at + 2;
}

/* A hello in one record, with these extensions; its length. None at all, not even their length, for NULL. */
static uint32_t hello(const void *extensions, size_t len)
{
	uint32_t at = 9;

	memset(data, 0, sizeof(data));
	memcpy(data, "\x16\3\1\0\0\1\0\0\0\3\3", 11);
	at = 11 + 32;
	data[at++] = 32;
	at += 32;
	at = put16(at, 4);
	memcpy(data + at, "\x13\1\x13\2", 4);
	at += 4;
	memcpy(data + at, "\1\0", 2);
	at += 2;
	if (extensions) {
		at = put16(at, (uint32_t)len);
		memcpy(data + at, extensions, len);
		at += (uint32_t)len;
	}
	put16(3, at - 5);
	put16(7, at - 9);
	return at;
}

#define SNI(size, list, name_size, name) "\0\0" "\0" size "\0" list "\0" "\0" name_size name
#define OPENAI SNI("\x13", "\x11", "\xe", "api.openai.com")
#define GROUPS "\0\xa\0\4\0\2\0\x1d"
#define GREASE "\x1a\x1a\0\1\0"

struct ext_case {
	const char *name, *ext;
	size_t len;
	int expect;
	const char *text;
};

#define NAMED(name, ext, text) {name, ext, sizeof(ext) - 1, OH_HELLO_COMPLETE, text}
#define TOLD(name, ext, text) {name, ext, sizeof(ext) - 1, OH_HELLO_BAD_NAME, text}
#define CASE(name, ext, expect) {name, ext, sizeof(ext) - 1, expect, ""}	/* no name, nor a part of one */

static const struct ext_case cases[] = {
	NAMED("name alone", OPENAI, "api.openai.com"),
	NAMED("upper case", SNI("\x13", "\x11", "\xe", "API.OpenAI.com"), "api.openai.com"),
	NAMED("name last", GREASE GROUPS OPENAI, "api.openai.com"),
	NAMED("name first", OPENAI GROUPS GREASE, "api.openai.com"),
	NAMED("empty extension last", OPENAI "\0\x17\0\0", "api.openai.com"),
	NAMED("one letter", SNI("\6", "\4", "\1", "x"), "x"),
	NAMED("underscore", SNI("\x8", "\6", "\3", "a_b"), "a_b"),
	NAMED("number not last", SNI("\x8", "\6", "\3", "1.a"), "1.a"),
	NAMED("last label with a digit", SNI("\x9", "\7", "\4", "a.1b"), "a.1b"),
	NAMED("punycode", SNI("\x10", "\xe", "\xb", "xn--4ca.com"), "xn--4ca.com"),
	CASE("no extension in the list", "", OH_HELLO_NO_NAME),
	CASE("no name", GREASE GROUPS, OH_HELLO_NO_NAME),
	CASE("encrypted hello", OPENAI "\xfe\xd\0\1\0", OH_HELLO_ENCRYPTED),
	CASE("encrypted hello first", "\xfe\xd\0\0" OPENAI, OH_HELLO_ENCRYPTED),
	CASE("encrypted hello without name", "\xfe\xd\0\0", OH_HELLO_ENCRYPTED),
	CASE("encrypted name of the old draft", "\xff\xce\0\0" OPENAI, OH_HELLO_ENCRYPTED),
	CASE("two names extensions", OPENAI OPENAI, OH_HELLO_MALFORMED),
	CASE("empty name extension", "\0\0\0\0", OH_HELLO_MALFORMED),
	CASE("empty name list", "\0\0\0\2\0\0", OH_HELLO_MALFORMED),
	CASE("empty name", SNI("\5", "\3", "\0", ""), OH_HELLO_BAD_NAME),
	CASE("two names in the list", "\0\0\0\xa\0\x8\0\0\1a\0\0\1b", OH_HELLO_MALFORMED),
	CASE("two names, the list's length right", "\0\0\0\xa\0\x8" "\0\0\1a" "\0\0\1b", OH_HELLO_MALFORMED),
	CASE("name type 1", "\0\0\0\6\0\4\1\0\1x", OH_HELLO_MALFORMED),
	CASE("name longer than the list", SNI("\6", "\4", "\2", "x"), OH_HELLO_MALFORMED),
	CASE("name shorter than the list", SNI("\7", "\5", "\1", "xx"), OH_HELLO_MALFORMED),
	CASE("list shorter than the extension", SNI("\7", "\4", "\1", "xx"), OH_HELLO_MALFORMED),
	CASE("list longer than the extension", SNI("\6", "\5", "\1", "x"), OH_HELLO_MALFORMED),
	TOLD("trailing dot", SNI("\x8", "\6", "\3", "aX."), "ax."),
	CASE("leading dot", SNI("\x7", "\5", "\2", ".x"), OH_HELLO_BAD_NAME),
	CASE("dot alone", SNI("\6", "\4", "\1", "."), OH_HELLO_BAD_NAME),
	CASE("empty label", SNI("\x9", "\7", "\4", "a..b"), OH_HELLO_BAD_NAME),
	TOLD("address", SNI("\xc", "\xa", "\7", "1.1.1.1"), "1.1.1.1"),
	TOLD("number", SNI("\x7", "\5", "\2", "12"), "12"),
	CASE("ipv6", SNI("\x8", "\6", "\3", "::1"), OH_HELLO_BAD_NAME),
	CASE("zero in the name", SNI("\x8", "\6", "\3", "a\0b"), OH_HELLO_BAD_NAME),
	CASE("zero at its end", SNI("\x7", "\5", "\2", "a\0"), OH_HELLO_BAD_NAME),
	CASE("eight bits", SNI("\x7", "\5", "\2", "\xc3\xa4"), OH_HELLO_BAD_NAME),
	CASE("space", SNI("\x8", "\6", "\3", "a b"), OH_HELLO_BAD_NAME),
	CASE("star", SNI("\x8", "\6", "\3", "*.b"), OH_HELLO_BAD_NAME),
	CASE("extension cut", OPENAI "\0\xa\0", OH_HELLO_MALFORMED),
	CASE("extension past the end", OPENAI "\0\xa\0\1", OH_HELLO_MALFORMED),
	CASE("extension of 65535", OPENAI "\0\xa\xff\xff", OH_HELLO_MALFORMED),
};

static int run(uint32_t len)
{
	return wire_hello(data, len);
}

static void extensions_give_the_name_or_the_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ext_case *c = &cases[i];
		uint32_t len = hello(c->ext, c->len);
		char text[OH_KEY_DATA + 2];

		for (int fill = 0; fill < 256; fill += 0x61) {
			wire_dirty((uint8_t)fill, len);
			int r = run(len);

			if (r != c->expect)
				fail_msg("%s: %d, not %d", c->name, r, c->expect);
			text[0] = 0;
			if (oh_key(oh_scratch(0))->data[0])
				oh_key_to_text(oh_key(oh_scratch(0)), text);
			if (strcmp(text, c->text))
				fail_msg("%s: \"%s\"", c->name, text);
		}
	}
}

static void every_beginning_is_incomplete(void **state)
{
	uint32_t len = hello(GROUPS OPENAI, sizeof(GROUPS OPENAI) - 1);

	(void)state;
	assert_int_equal(run(len), OH_HELLO_COMPLETE);
	for (uint32_t n = 0; n < len; n++)
		assert_int_equal(run(n), OH_HELLO_INCOMPLETE);
}

/* Nothing is let out before its name is known, and the rest is looked at as strictly as if it were there already. */
static void parts_are_judged_as_the_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ext_case *c = &cases[i];
		uint32_t len = hello(c->ext, c->len);

		for (uint32_t at = 0; at <= len; at++) {
			wire_dirty((uint8_t)at, len);
			int r = wire_hello_in_two(data, len, at);

			if (r != c->expect)
				fail_msg("%s, cut at %u: %d, not %d", c->name, at, r, c->expect);
		}
	}
}

/* Every byte alone, from the first on that can be. */
static int in_bytes(uint32_t len, uint32_t *ret_let_out)
{
	uint32_t at = 0;
	int r;

	do
		r = wire_hello(data, ++at);
	while (r == OH_HELLO_INCOMPLETE && at < len);
	*ret_let_out = at;
	for (; r == OH_HELLO_NAMED && at < len; at++)
		r = wire_rest(data + at, 1);
	return at < len && !r ? OH_HELLO_RESULT_MAX : r;
}

static void byte_at_a_time_is_judged_as_the_whole(void **state)
{
	uint32_t let_out;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t len = hello(cases[i].ext, cases[i].len);
		int r = in_bytes(len, &let_out);

		if (r != cases[i].expect)
			fail_msg("%s: %d, not %d", cases[i].name, r, cases[i].expect);
	}
	in_bytes(hello(OPENAI GROUPS GREASE, sizeof(OPENAI GROUPS GREASE) - 1), &let_out);
	assert_int_equal(let_out, 85 + 2 - 1 + sizeof(OPENAI) - 1);
}

/* Changes one byte of a good hello. */
static int changed(uint32_t at, uint8_t value)
{
	uint32_t len = hello(OPENAI, sizeof(OPENAI) - 1);

	data[at] = value;
	return run(len);
}

static void fixed_fields_are_checked(void **state)
{
	(void)state;
	assert_int_equal(changed(0, 23), OH_HELLO_NOT_TLS);
	assert_int_equal(changed(0, 0x80), OH_HELLO_NOT_TLS);
	assert_int_equal(changed(1, 2), OH_HELLO_NOT_TLS);
	assert_int_equal(changed(2, 4), OH_HELLO_COMPLETE);
	assert_int_equal(changed(3, 0x40), OH_HELLO_NOT_TLS); /* a record over 16,384 */
	assert_int_equal(changed(3, 0x10), OH_HELLO_MALFORMED); /* more in the record than the hello */
	assert_int_equal(changed(5, 2), OH_HELLO_NOT_TLS); /* a server's hello */
	assert_int_equal(changed(6, 1), OH_HELLO_TOO_LARGE);
	assert_int_equal(changed(7, 0x40), OH_HELLO_TOO_LARGE);
	assert_int_equal(changed(7, 1), OH_HELLO_MALFORMED); /* more in the hello than the extensions */
	assert_int_equal(changed(8, 1), OH_HELLO_MALFORMED); /* more in the record than the hello */
	assert_int_equal(changed(9, 2), OH_HELLO_MALFORMED);
	assert_int_equal(changed(43, 33), OH_HELLO_MALFORMED);
	assert_int_equal(changed(43, 255), OH_HELLO_MALFORMED);
	assert_int_equal(changed(77, 0), OH_HELLO_MALFORMED); /* no cipher suites */
	assert_int_equal(changed(77, 3), OH_HELLO_MALFORMED);
	assert_int_equal(changed(76, 255), OH_HELLO_MALFORMED);
	assert_int_equal(changed(82, 0), OH_HELLO_MALFORMED); /* no compression method */
	assert_int_equal(changed(82, 255), OH_HELLO_MALFORMED);
	assert_int_equal(changed(85, 22), OH_HELLO_MALFORMED); /* extensions short by one */
	assert_int_equal(changed(85, 24), OH_HELLO_MALFORMED);
}

static void other_protocols_are_not_tls_at_once(void **state)
{
	static const char *const first[] = {"GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "\x80\x2e\1\3\1", "\x16\x2",
		"\x16\3\1\0\0",
					    "\x16\3\1\0\5\2", "\x17\3\3", "\x15\3\1\0\2\1\0", "\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		uint32_t len = first[i][0] == 0x16 && i == 4 ? 5 : first[i][0] == 0x16 &&
			i == 5 ? 6 : (uint32_t)strlen(first[i]);

		if (wire_hello((const uint8_t *)first[i], len) != OH_HELLO_NOT_TLS)
			fail_msg("number %zu", i);
	}
}

static void hello_without_extension_block_has_no_name(void **state)
{
	uint32_t len = hello(NULL, 0);

	(void)state;
	assert_int_equal(run(len), OH_HELLO_NO_NAME);
	put16(3, len - 5 + 1);
	put16(7, len - 9 + 1);
	assert_int_equal(run(len + 1), OH_HELLO_MALFORMED); /* half a length */
}

static void data_behind_the_record_is_let_be(void **state)
{
	uint32_t len = hello(OPENAI, sizeof(OPENAI) - 1);

	(void)state;
	memcpy(data + len, "\x14\3\3\0\1\1\x17\3\3\0\4data", 15);
	assert_int_equal(run(len + 15), OH_HELLO_COMPLETE);
	assert_int_equal(run(len + 1), OH_HELLO_COMPLETE);
}

static void sixty_four_extensions_are_read_and_one_more_not(void **state)
{
	uint8_t ext[70 * 4 + sizeof(OPENAI)];

	(void)state;
	for (uint32_t n = 62; n < 67; n++) {
		memset(ext, 0, sizeof(ext));
		for (uint32_t i = 0; i < n; i++)
			ext[4 * i] = 0x7a;
		memcpy(ext + 4 * n, OPENAI, sizeof(OPENAI) - 1);
		assert_int_equal(run(hello(ext, 4 * n + sizeof(OPENAI) - 1)),
			n < 64 ? OH_HELLO_COMPLETE : OH_HELLO_MALFORMED);
	}
}

static int named(uint32_t n, uint32_t label)
{
	uint8_t ext[9 + 300] = {0};

	put16(0, n + 5);
	memcpy(ext + 2, data, 2);
	put16(0, n + 3);
	memcpy(ext + 4, data, 2);
	put16(0, n);
	memcpy(ext + 7, data, 2);
	for (uint32_t i = 0; i < n; i++)
		ext[9 + i] = i % (label + 1) == label ? '.' : 'a';
	return run(hello(ext, 9 + n));
}

static void name_of_253_and_label_of_63_pass_and_longer_not(void **state)
{
	(void)state;
	assert_int_equal(named(253, 63), OH_HELLO_COMPLETE);
	assert_int_equal(oh_key(oh_scratch(0))->prefixlen, 254 * 8);
	assert_int_equal(named(254, 63), OH_HELLO_BAD_NAME);
	assert_int_equal(named(253, 1), OH_HELLO_COMPLETE);
	assert_int_equal(named(63, 63), OH_HELLO_COMPLETE);
	assert_int_equal(named(64, 64), OH_HELLO_BAD_NAME);
	assert_int_equal(named(200, 64), OH_HELLO_BAD_NAME);
}

/* Splits the hello of len bytes into records of size. */
static uint32_t split(uint32_t len, uint32_t size)
{
	static uint8_t body[20000];
	uint32_t at = 0, from = 0;

	memcpy(body, data + 5, len - 5);
	while (from < len - 5) {
		uint32_t n = len - 5 - from < size ? len - 5 - from : size;

		memcpy(data + at, "\x16\3\1", 3);
		at = put16(at + 3, n);
		memcpy(data + at, body + from, n);
		at += n;
		from += n;
	}
	return at;
}

static void hello_in_up_to_four_records_is_read(void **state)
{
	char text[OH_KEY_DATA + 2];

	(void)state;
	for (uint32_t size = 1; size < 120; size++) {
		uint32_t len = hello(OPENAI, sizeof(OPENAI) - 1), records = (len - 5 + size - 1) / size,
			all = split(len, size);

		assert_int_equal(run(all), records <= OH_TLS_RECORDS ? OH_HELLO_COMPLETE : OH_HELLO_TOO_LARGE);
		if (records > OH_TLS_RECORDS)
			continue;
		oh_key_to_text(oh_key(oh_scratch(0)), text);
		assert_string_equal(text, "api.openai.com");
		for (uint32_t n = 0; n < all; n++) {
			assert_int_equal(run(n), OH_HELLO_INCOMPLETE);
			assert_int_equal(wire_hello_in_two(data, all, n), OH_HELLO_COMPLETE);
		}
	}
}

/* The name in the first record, the rest in as many as there are, cut anywhere: also within the headers of records. */
static void rest_in_records_is_read(void **state)
{
	static const char more[] = OPENAI GROUPS GREASE "\0\x15\0\x3\0\0\0" GROUPS;
	static const char bad[] = OPENAI GROUPS GREASE "\0\x15\0\x3\0\0\0" "\xfe\xd\0\0" GROUPS;
	uint32_t first = 9 + 76 + sizeof(OPENAI) - 1, let_out;

	(void)state;
	for (uint32_t size = first; size < first + 40; size++) {
		uint32_t all = split(hello(more, sizeof(more) - 1), size);

		for (uint32_t at = 0; at < all; at++)
			assert_int_equal(wire_hello_in_two(data, all, at), OH_HELLO_COMPLETE);
		assert_int_equal(in_bytes(all, &let_out), OH_HELLO_COMPLETE);
		assert_true(let_out < all);
		all = split(hello(bad, sizeof(bad) - 1), size);
		for (uint32_t at = 0; at < all; at++)
			assert_int_equal(wire_hello_in_two(data, all, at), OH_HELLO_ENCRYPTED);
		assert_int_equal(in_bytes(all, &let_out), OH_HELLO_ENCRYPTED);
	}
}

static void rest_must_be_records_of_a_hello_and_end_where_it_said(void **state)
{
	uint32_t len = hello(OPENAI GROUPS, sizeof(OPENAI GROUPS) - 1), end = len - 8, all = split(len, end - 5);

	(void)state;
	assert_int_equal(all, len + 5);
	assert_int_equal(wire_hello(data, end), OH_HELLO_NAMED);
	assert_int_equal(wire_rest(data + end, 13), OH_HELLO_COMPLETE);
	for (uint32_t at = 0; at < 5; at++) {
		uint8_t was = data[end + at];

		data[end + at] = 9;
		assert_int_equal(wire_hello(data, end), OH_HELLO_NAMED);
		assert_int_equal(wire_rest(data + end, 13), at == 2 ? OH_HELLO_COMPLETE : OH_HELLO_MALFORMED);
		data[end + at] = was;
	}
	data[end + 4] = 0; /* a record of nothing */
	assert_int_equal(wire_hello(data, end), OH_HELLO_NAMED);
	assert_int_equal(wire_rest(data + end, 13), OH_HELLO_MALFORMED);
	data[end + 4] = 9; /* more than is left of the hello, and none of it is there yet */
	assert_int_equal(wire_hello(data, end + 5), OH_HELLO_MALFORMED);
	data[end + 4] = 8;
	assert_int_equal(wire_hello(data, end + 5), OH_HELLO_NAMED);
	put16(end + 7, 5); /* the extension leads over the end */
	assert_int_equal(wire_hello(data, end), OH_HELLO_NAMED);
	assert_int_equal(wire_rest(data + end, 13), OH_HELLO_MALFORMED);
	put16(end + 7, 3); /* or a byte is left behind it */
	assert_int_equal(wire_hello(data, end), OH_HELLO_NAMED);
	assert_int_equal(wire_rest(data + end, 13), OH_HELLO_MALFORMED);
}

static void rest_may_hold_any_number_of_extensions(void **state)
{
	static uint8_t ext[4 * 2000 + sizeof(OPENAI)];
	uint32_t len;

	(void)state;
	memcpy(ext, OPENAI, sizeof(OPENAI) - 1);
	for (uint32_t i = 0; i < 2000; i++)
		ext[sizeof(OPENAI) - 1 + 4 * i] = 0x7a;
	len = hello(ext, sizeof(OPENAI) - 1 + 4 * 2000);
	assert_int_equal(wire_hello_in_two(data, len, len - 4 * 1950), OH_HELLO_COMPLETE);
	/* 65 and more in the first */
	assert_int_equal(wire_hello_in_two(data, len, len - 4 * 1900), OH_HELLO_MALFORMED);
}

static void second_record_of_another_kind_is_malformed(void **state)
{
	uint32_t len = hello(OPENAI, sizeof(OPENAI) - 1), all = split(len, 60);

	(void)state;
	data[65] = 23;
	assert_int_equal(run(all), OH_HELLO_MALFORMED);
}

/* A hello of exactly n bytes with its header, by padding. */
static uint32_t padded(uint32_t n)
{
	static uint8_t ext[20000];
	uint32_t rest = n - (81 + sizeof(OPENAI) - 1);

	memset(ext, 0, sizeof(ext));
	memcpy(ext, OPENAI, sizeof(OPENAI) - 1);
	put16(0, rest - 4);
	memcpy(ext + sizeof(OPENAI) - 1, "\0\x15", 2);
	memcpy(ext + sizeof(OPENAI) - 1 + 2, data, 2);
	return hello(ext, sizeof(OPENAI) - 1 + rest);
}

static void largest_hello_is_read_and_larger_refused_at_once(void **state)
{
	uint32_t len = padded(OH_TLS_HELLO_MAX);

	(void)state;
	assert_int_equal(len, 5 + OH_TLS_HELLO_MAX);
	assert_int_equal(run(len), OH_HELLO_COMPLETE);
	assert_int_equal(run(len - 1), OH_HELLO_NAMED);
	assert_int_equal(wire_rest(data + len - 1, 1), OH_HELLO_COMPLETE);
	put16(7, OH_TLS_HELLO_MAX - 4 + 1);
	assert_int_equal(run(100), OH_HELLO_TOO_LARGE);
	len = padded(16000);
	assert_int_equal(run(split(len, 8100)), OH_HELLO_COMPLETE);
	len = padded(16000);
	assert_int_equal(run(split(len, 12000)), OH_HELLO_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extensions_give_the_name_or_the_reason),
		cmocka_unit_test(every_beginning_is_incomplete),
		cmocka_unit_test(parts_are_judged_as_the_whole),
		cmocka_unit_test(byte_at_a_time_is_judged_as_the_whole),
		cmocka_unit_test(rest_in_records_is_read),
		cmocka_unit_test(rest_must_be_records_of_a_hello_and_end_where_it_said),
		cmocka_unit_test(rest_may_hold_any_number_of_extensions),
		cmocka_unit_test(fixed_fields_are_checked),
		cmocka_unit_test(other_protocols_are_not_tls_at_once),
		cmocka_unit_test(hello_without_extension_block_has_no_name),
		cmocka_unit_test(data_behind_the_record_is_let_be),
		cmocka_unit_test(sixty_four_extensions_are_read_and_one_more_not),
		cmocka_unit_test(name_of_253_and_label_of_63_pass_and_longer_not),
		cmocka_unit_test(hello_in_up_to_four_records_is_read),
		cmocka_unit_test(second_record_of_another_kind_is_malformed),
		cmocka_unit_test(largest_hello_is_read_and_larger_refused_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
