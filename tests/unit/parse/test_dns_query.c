// SPDX-License-Identifier: MIT
/* DNS queries: what may leave, and what each refused one is refused for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "unit/parse/host.h"

#define ID "\x12\x34"
#define COUNTS "\0\1\0\0\0\0\0\0"
#define WITH_EDNS "\0\1\0\0\0\0\0\1"
#define HEAD ID "\1\0" COUNTS
#define HEAD_EDNS ID "\1\0" WITH_EDNS
#define WWW "\3www\6openai\3com\0"
#define A_IN "\0\1\0\1"
#define OPT(size) "\0" "\0\x29" "\x04\xd0" "\0\0\0\0" size
#define L63 "\x3f" "aaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg"
#define L64 "aaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg" /* without its length */
#define L61 "\x3d" "aaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgg"
#define L62 "\x3e" "aaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

struct query_case {
	const char *name, *data;
	size_t len;
	int expect;
	const char *text; /* of the key, where it passes */
	int qtype;
};

#define CASE(name, data, expect) {name, data, sizeof(data) - 1, expect, NULL, 0}
#define PASS(name, data, text, qtype) {name, data, sizeof(data) - 1, OH_DNS_OK, text, qtype}

static const struct query_case cases[] = {
	PASS("plain", HEAD WWW A_IN, "www.openai.com", 1),
	PASS("aaaa", HEAD WWW "\0\x1c\0\1", "www.openai.com", 28),
	PASS("upper case", HEAD "\3WWW\6OpenAI\3cOm\0" A_IN, "www.openai.com", 1),
	PASS("authentic data wanted", ID "\1\x20" COUNTS WWW A_IN, "www.openai.com", 1),
	PASS("checking disabled", ID "\1\x10" COUNTS WWW A_IN, "www.openai.com", 1),
	PASS("no recursion", ID "\0\0" COUNTS WWW A_IN, "www.openai.com", 1),
	PASS("one label", HEAD "\x9localhost\0" A_IN, "localhost", 1),
	PASS("one byte", HEAD "\1x\0" A_IN, "x", 1),
	PASS("underscore and hyphen", HEAD "\4_sip\4_udp\5x-1-y\2de\0" "\0\x21\0\1", "_sip._udp.x-1-y.de", 33),
	PASS("edges of the letters", HEAD "\xb" "azAZ09-_xnz" "\0" A_IN, "azaz09-_xnz", 1),
	PASS("root", HEAD "\0" "\0\2\0\1", ".", 2),
	PASS("label of 63", HEAD L63 "\0" A_IN, NULL, 1),
	PASS("name of 255", HEAD L63 L63 L63 L61 "\0" A_IN, NULL, 1),
	PASS("edns", HEAD_EDNS WWW A_IN OPT("\0\0"), "www.openai.com", 1),
	PASS("edns with dnssec ok", HEAD_EDNS WWW A_IN "\0\0\x29\4\xd0\0\0\x80\0\0\0", "www.openai.com", 1),
	PASS("edns cookie", HEAD_EDNS WWW A_IN OPT("\0\xc") "\0\xa\0\x8" "ABCDEFGH", "www.openai.com", 1),
	PASS("edns two options", HEAD_EDNS WWW A_IN OPT("\0\x9") "\0\xa\0\1" "A" "\0\3\0\0", "www.openai.com", 1),
	CASE("nothing", "", OH_DNS_SHORT),
	CASE("half a header", ID "\1\0\0\1", OH_DNS_SHORT),
	CASE("header alone", HEAD, OH_DNS_SHORT),
	CASE("one byte less than a root query", HEAD "\0\0\1\0", OH_DNS_SHORT),
	CASE("class missing", HEAD WWW "\0\1", OH_DNS_SHORT),
	CASE("class cut", HEAD WWW "\0\1\0", OH_DNS_SHORT),
	CASE("name without root", HEAD "\3www\6openai\3com", OH_DNS_SHORT),
	CASE("label past the end", HEAD "\3www\x3f" "openai", OH_DNS_NAME),
	CASE("a response", ID "\x81\0" COUNTS WWW A_IN, OH_DNS_FLAGS),
	CASE("inverse query", ID "\x9\0" COUNTS WWW A_IN, OH_DNS_FLAGS),
	CASE("update", ID "\x28\0" COUNTS WWW A_IN, OH_DNS_FLAGS),
	CASE("truncated", ID "\3\0" COUNTS WWW A_IN, OH_DNS_FLAGS),
	CASE("authoritative", ID "\5\0" COUNTS WWW A_IN, OH_DNS_FLAGS),
	CASE("recursion available", ID "\1\x80" COUNTS WWW A_IN, OH_DNS_FLAGS),
	CASE("reserved bit", ID "\1\x40" COUNTS WWW A_IN, OH_DNS_FLAGS),
	CASE("result code", ID "\1\1" COUNTS WWW A_IN, OH_DNS_FLAGS),
	CASE("no question", ID "\1\0\0\0\0\0\0\0\0\0" WWW A_IN, OH_DNS_COUNTS),
	CASE("two questions", ID "\1\0\0\2\0\0\0\0\0\0" WWW A_IN WWW A_IN, OH_DNS_COUNTS),
	CASE("257 questions", ID "\1\0\1\1\0\0\0\0\0\0" WWW A_IN, OH_DNS_COUNTS),
	CASE("an answer in it", ID "\1\0\0\1\0\1\0\0\0\0" WWW A_IN, OH_DNS_COUNTS),
	CASE("an authority in it", ID "\1\0\0\1\0\0\0\1\0\0" WWW A_IN, OH_DNS_COUNTS),
	CASE("two additional", ID "\1\0\0\1\0\0\0\0\0\2" WWW A_IN OPT("\0\0") OPT("\0\0"), OH_DNS_COUNTS),
	CASE("256 additional", ID "\1\0\0\1\0\0\0\0\1\0" WWW A_IN OPT("\0\0"), OH_DNS_COUNTS),
	CASE("pointer", HEAD "\3www\xc0\xc\0" A_IN, OH_DNS_NAME),
	CASE("pointer first", HEAD "\xc0\xc" A_IN "\0", OH_DNS_NAME),
	CASE("label of 64", HEAD "\x40" L64 "\0" A_IN, OH_DNS_NAME),
	CASE("label type 0x80", HEAD "\x80www\0" A_IN, OH_DNS_NAME),
	CASE("name of 256", HEAD L63 L63 L63 L62 "\0" A_IN, OH_DNS_NAME),
	CASE("dot in a label", HEAD "\xawww.openai\3com\0" A_IN, OH_DNS_NAME),
	CASE("zero in a label", HEAD "\4ww\0w\3com\0" A_IN, OH_DNS_NAME),
	CASE("space in a label", HEAD "\3w w\3com\0" A_IN, OH_DNS_NAME),
	CASE("before the letters", HEAD "\1@\0" A_IN, OH_DNS_NAME),
	CASE("after the letters", HEAD "\1[\0" A_IN, OH_DNS_NAME),
	CASE("slash", HEAD "\1/\0" A_IN, OH_DNS_NAME),
	CASE("star", HEAD "\1*\3com\0" A_IN, OH_DNS_NAME),
	CASE("eight bits", HEAD "\2\xc3\xa4\2de\0" A_IN, OH_DNS_NAME),
	CASE("class chaos", HEAD WWW "\0\x10\0\3", OH_DNS_CLASS),
	CASE("class any", HEAD WWW "\0\1\0\xff", OH_DNS_CLASS),
	CASE("class with the multicast bit", HEAD WWW "\0\1\x80\1", OH_DNS_CLASS),
	CASE("byte after", HEAD WWW A_IN "x", OH_DNS_TRAILING),
	CASE("edns not announced", HEAD WWW A_IN OPT("\0\0"), OH_DNS_TRAILING),
	CASE("edns missing", HEAD_EDNS WWW A_IN, OH_DNS_SHORT),
	CASE("edns cut", HEAD_EDNS WWW A_IN "\0\0\x29\4\xd0\0\0\0\0\0", OH_DNS_SHORT),
	CASE("edns data missing", HEAD_EDNS WWW A_IN OPT("\0\4"), OH_DNS_SHORT),
	CASE("byte after edns", HEAD_EDNS WWW A_IN OPT("\0\0") "x", OH_DNS_TRAILING),
	CASE("edns owner", HEAD_EDNS WWW A_IN "\1x\0\0\x29\4\xd0\0\0\0\0\0\0", OH_DNS_EDNS),
	CASE("other additional record", HEAD_EDNS WWW A_IN "\0\0\x10\0\1\0\0\0\0\0\0", OH_DNS_EDNS),
	CASE("edns version 1", HEAD_EDNS WWW A_IN "\0\0\x29\4\xd0\0\1\0\0\0\0", OH_DNS_EDNS),
	CASE("edns result code", HEAD_EDNS WWW A_IN "\0\0\x29\4\xd0\1\0\0\0\0\0", OH_DNS_EDNS),
	CASE("edns reserved flag", HEAD_EDNS WWW A_IN "\0\0\x29\4\xd0\0\0\0\1\0\0", OH_DNS_EDNS),
	CASE("edns option cut", HEAD_EDNS WWW A_IN OPT("\0\3") "\0\xa\0", OH_DNS_EDNS),
	CASE("edns option too long", HEAD_EDNS WWW A_IN OPT("\0\4") "\0\xa\0\1", OH_DNS_EDNS),
	CASE("edns option too short", HEAD_EDNS WWW A_IN OPT("\0\5") "\0\xa\0\0x", OH_DNS_EDNS),
};

static void queries_give_their_result(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct query_case *c = &cases[i];
		char text[OH_KEY_DATA + 2];

		for (int fill = 0; fill < 256; fill += 0x61) {
			wire_dirty((uint8_t)fill, c->len);
			int r = wire_query((const uint8_t *)c->data, (uint32_t)c->len);

			if (r != c->expect)
				fail_msg("%s: %d, not %d", c->name, r, c->expect);
			if (r)
				continue;
			oh_key_to_text(oh_key(oh_scratch(0)), text);
			if (c->text && strcmp(text, c->text))
				fail_msg("%s: the key says \"%s\"", c->name, text);
			assert_int_equal(oh_scratch(0)->query.id, 0x1234);
			assert_int_equal(oh_scratch(0)->query.qtype, c->qtype);
		}
	}
}

static void query_cut_anywhere_is_refused(void **state)
{
	static const char whole[] = HEAD_EDNS WWW A_IN OPT("\0\xc") "\0\xa\0\x8" "ABCDEFGH";
	uint32_t len = sizeof(whole) - 1;

	(void)state;
	assert_int_equal(wire_query((const uint8_t *)whole, len), OH_DNS_OK);
	for (uint32_t n = 0; n < len; n++)
		assert_int_not_equal(wire_query((const uint8_t *)whole, n), OH_DNS_OK);
}

static void query_of_the_longest_size_passes_and_one_more_not(void **state)
{
	uint8_t data[OH_DNS_QUERY_MAX + 1] = HEAD_EDNS WWW A_IN OPT("\0\0");
	uint32_t at = 12 + 16 + 4 + 9, rest = OH_DNS_QUERY_MAX - (at + 2);

	(void)state;
	data[at] = (uint8_t)(rest >> 8);
	data[at + 1] = (uint8_t)rest;
	data[at + 3] = 12; /* padding */
	data[at + 4] = (uint8_t)((rest - 4) >> 8);
	data[at + 5] = (uint8_t)(rest - 4);
	assert_int_equal(wire_query(data, OH_DNS_QUERY_MAX), OH_DNS_OK);
	assert_int_equal(wire_query(data, OH_DNS_QUERY_MAX + 1), OH_DNS_LONG);
}

static void query_wire_name_is_lower_case(void **state)
{
	static const char mixed[] = HEAD "\3WwW\6OPENAI\3com\0" A_IN;

	(void)state;
	assert_int_equal(wire_query((const uint8_t *)mixed, sizeof(mixed) - 1), OH_DNS_OK);
	assert_int_equal(oh_scratch(0)->query.name_len, 16);
	assert_memory_equal(oh_scratch(0)->query.name, WWW, 16);
}

static void frame_is_whole_held_or_bad(void **state)
{
	static const uint8_t data[600] = {0, 20};
	struct oh_buffer b = {data, sizeof(data)};
	struct oh_buffer long_one = {(const uint8_t *)"\2\1", 2}, short_one = {(const uint8_t *)"\0\xb", 2};
	uint32_t len = 0;

	(void)state;
	assert_int_equal(oh_dns_frame(&b, 0, 0, &len), OH_DNS_FRAME_HOLD);
	assert_int_equal(oh_dns_frame(&b, 0, 1, &len), OH_DNS_FRAME_HOLD);
	assert_int_equal(oh_dns_frame(&b, 0, 21, &len), OH_DNS_FRAME_HOLD);
	assert_int_equal(len, 0);
	assert_int_equal(oh_dns_frame(&b, 0, 22, &len), OH_DNS_FRAME_WHOLE);
	assert_int_equal(len, 20);
	assert_int_equal(oh_dns_frame(&b, 0, 500, &len), OH_DNS_FRAME_WHOLE);
	assert_int_equal(oh_dns_frame(&long_one, 0, 2, &len), OH_DNS_FRAME_BAD);
	assert_int_equal(oh_dns_frame(&short_one, 0, 2, &len), OH_DNS_FRAME_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries_give_their_result),
		cmocka_unit_test(query_cut_anywhere_is_refused),
		cmocka_unit_test(query_of_the_longest_size_passes_and_one_more_not),
		cmocka_unit_test(query_wire_name_is_lower_case),
		cmocka_unit_test(frame_is_whole_held_or_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
