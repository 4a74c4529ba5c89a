// SPDX-License-Identifier: MIT
/* DNS answers to "www.openai.com A": which addresses they give, for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "unit/parse/host.h"

#define ID "\x12\x34"
#define WWW "\3www\6openai\3com\0"
#define ASKED WWW "\0\1\0\1"
#define HEAD(n) ID "\x81\x80" "\0\1\0" n "\0\0\0\0" ASKED
#define SELF "\xc0\x0c" /* the question's name; its openai.com is at 16, com at 23; records begin at 32 */
#define FIXED(type, ttl, size) "\0" type "\0\1" ttl "\0" size
#define TTL60 "\0\0\0\x3c"
#define TTL9 "\0\0\0\x9"
#define A(last) FIXED("\1", TTL60, "\4") "\xc0\0\2" last
#define A9(last) FIXED("\1", TTL9, "\4") "\xc0\0\2" last
#define AAAA FIXED("\x1c", TTL60, "\x10") "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
#define CNAME(ttl, size, name) FIXED("\5", ttl, size) name
#define CDN "\3cdn\3net\0" /* 9 bytes */
#define EVIL "\4evil\3net\0"

struct answer_case {
	const char *name, *data;
	size_t len;
	int expect;
	const char *addrs; /* last byte and lifetime of each, as text */
};

#define TAKE(name, data, addrs) {name, data, sizeof(data) - 1, OH_ANSWER_OK, addrs}
#define NONE(name, data, expect) {name, data, sizeof(data) - 1, expect, ""}

static const struct answer_case cases[] = {
	TAKE("one", HEAD("\1") SELF A("\1"), "1/60 "),
	TAKE("two", HEAD("\2") SELF A("\1") SELF A9("\2"), "1/60 2/9 "),
	TAKE("no record", HEAD("\0"), ""),
	TAKE("owner in full", HEAD("\1") WWW A("\1"), "1/60 "),
	TAKE("owner in other case", HEAD("\1") "\3wwW\6OPENAI\3cOm\0" A("\1"), "1/60 "),
	TAKE("owner partly compressed", HEAD("\1") "\3www\xc0\x10" A("\1"), "1/60 "),
	TAKE("question in other case", ID "\x81\x80\0\1\0\1\0\0\0\0" "\3WWW\6openAI\3com\0" "\0\1\0\1" SELF A("\1"),
		"1/60 "),
	TAKE("pointer to a pointer", HEAD("\2") SELF A("\1") "\xc0\x20" A("\2"), "1/60 2/60 "),
	TAKE("other name", HEAD("\1") EVIL A("\1"), ""),
	TAKE("other name first", HEAD("\2") EVIL A("\1") SELF A("\2"), "2/60 "),
	TAKE("parent", HEAD("\1") "\xc0\x10" A("\1"), ""),
	TAKE("child", HEAD("\1") "\1x\xc0\x0c" A("\1"), ""),
	TAKE("name with one letter more", HEAD("\1") "\4wwww\xc0\x10" A("\1"), ""),
	TAKE("owner points forward", HEAD("\2") "\xc0\x30" A("\1") SELF A("\2"), "2/60 "),
	TAKE("owner points at itself", HEAD("\2") "\xc0\x20" A("\1") SELF A("\2"), "2/60 "),
	TAKE("owner points into the header", HEAD("\2") "\xc0\0" A("\1") SELF A("\2"), "2/60 "),
	TAKE("owner goes round behind a label", HEAD("\2") "\3www\xc0\x20" A("\1") SELF A("\2"), "2/60 "),
	TAKE("ipv6 not asked for", HEAD("\2") SELF AAAA SELF A("\2"), "2/60 "),
	TAKE("other type", HEAD("\2") SELF FIXED("\x10", TTL60, "\4") "\3abc" SELF A("\2"), "2/60 "),
	TAKE("other class", HEAD("\2") SELF "\0\1\0\3" TTL60 "\0\4" "\xc0\0\2\1" SELF A("\2"), "2/60 "),
	TAKE("lifetime zero", HEAD("\1") SELF FIXED("\1", "\0\0\0\0", "\4") "\xc0\0\2\1", "1/0 "),
	TAKE("lifetime with the top bit", HEAD("\1") SELF FIXED("\1", "\x80\0\0\1", "\4") "\xc0\0\2\1", "1/0 "),
	TAKE("longest lifetime", HEAD("\1") SELF FIXED("\1", "\x7f\xff\xff\xff", "\4") "\xc0\0\2\1", "1/2147483647 "),
	TAKE("alias", HEAD("\2") SELF CNAME(TTL60, "\x9", CDN) CDN A("\1"), "1/60 "),
	TAKE("alias, shorter life", HEAD("\2") SELF CNAME(TTL9, "\x9", CDN) CDN A("\1"), "1/9 "),
	TAKE("alias, target by pointer", HEAD("\2") SELF CNAME(TTL9, "\x9", CDN) "\xc0\x2c" A("\1"), "1/9 "),
	TAKE("alias, negative life", HEAD("\2") SELF CNAME("\xff\0\0\0", "\x9", CDN) CDN A("\1"), "1/0 "),
	TAKE("alias, compressed target",
		HEAD("\2") SELF CNAME(TTL60, "\6", "\3cdn\xc0\x10") "\3cdn\6openai\3com\0" A("\1"), "1/60 "),
	TAKE("alias behind its target", HEAD("\2") CDN A("\1") SELF CNAME(TTL9, "\x9", CDN), "1/9 "),
	TAKE("two links", HEAD("\3") SELF CNAME(TTL60, "\x9", CDN) CDN CNAME(TTL9, "\4", "\2ab\0") "\2ab\0" A("\1"),
		"1/9 "),
	TAKE("two links, the first shorter",
		HEAD("\3") SELF CNAME(TTL9, "\x9", CDN) CDN CNAME(TTL60, "\4", "\2ab\0") "\2ab\0" A("\1"), "1/9 "),
	TAKE("two links the other way round",
		HEAD("\3") "\2ab\0" A("\1") CDN CNAME(TTL9, "\4", "\2ab\0") SELF CNAME(TTL60, "\x9", CDN), "1/9 "),
	TAKE("address of the asked name beside an alias",
		HEAD("\3") SELF CNAME(TTL9, "\x9", CDN) SELF A("\1") CDN A("\2"), "1/60 2/9 "),
	TAKE("alias of another name", HEAD("\3") EVIL CNAME(TTL60, "\x9", CDN) CDN A("\1") SELF A("\2"), "2/60 "),
	TAKE("second alias of the same name", HEAD("\4") SELF CNAME(TTL60, "\4", "\2ab\0") SELF CNAME(TTL60, "\x9",
		CDN) CDN A("\1") "\2ab\0" A("\2"), "2/60 "),
	TAKE("alias of itself", HEAD("\2") SELF CNAME(TTL60, "\2", SELF) SELF A("\1"), "1/60 "),
	TAKE("aliases in a ring", HEAD("\3") SELF CNAME(TTL60, "\x9", CDN) CDN CNAME(TTL9, "\2", SELF) SELF A("\1"),
		"1/9 "),
	TAKE("alias to a broken name", HEAD("\2") SELF CNAME(TTL60, "\2", "\xc0\x2c") "\xc0\x2c" A("\1"), ""),
	TAKE("additional address", ID "\x81\x80\0\1\0\0\0\0\0\1" ASKED SELF A("\1"), ""),
	TAKE("more behind", HEAD("\1") SELF A("\1") "anything", "1/60 "),
	NONE("nothing", "", OH_ANSWER_SHORT),
	NONE("header", ID "\x81\x80\0\1\0\1\0\0\0\0", OH_ANSWER_SHORT),
	NONE("a query", ID "\1\0\0\1\0\1\0\0\0\0" ASKED SELF A("\1"), OH_ANSWER_FLAGS),
	NONE("other opcode", ID "\xa1\0\0\1\0\1\0\0\0\0" ASKED SELF A("\1"), OH_ANSWER_FLAGS),
	NONE("truncated", ID "\x83\x80\0\1\0\1\0\0\0\0" ASKED SELF A("\1"), OH_ANSWER_TRUNCATED),
	NONE("no such name", ID "\x81\x83\0\1\0\1\0\0\0\0" ASKED SELF A("\1"), OH_ANSWER_RCODE),
	NONE("server failure", ID "\x81\x82\0\1\0\1\0\0\0\0" ASKED SELF A("\1"), OH_ANSWER_RCODE),
	NONE("other id", "\x12\x35\x81\x80\0\1\0\1\0\0\0\0" ASKED SELF A("\1"), OH_ANSWER_QUESTION),
	NONE("no question", ID "\x81\x80\0\0\0\1\0\0\0\0" ASKED SELF A("\1"), OH_ANSWER_COUNTS),
	NONE("two questions", ID "\x81\x80\0\2\0\1\0\0\0\0" ASKED ASKED SELF A("\1"), OH_ANSWER_COUNTS),
	NONE("other question", ID "\x81\x80\0\1\0\1\0\0\0\0" "\3wwx\6openai\3com\0" "\0\1\0\1" SELF A("\1"),
		OH_ANSWER_QUESTION),
	NONE("last letter of the question", ID "\x81\x80\0\1\0\1\0\0\0\0" "\3www\6openai\3con\0"
		"\0\1\0\1" SELF A("\1"), OH_ANSWER_QUESTION),
	NONE("longer question", ID "\x81\x80\0\1\0\1\0\0\0\0" "\3www\6openai\3com\2de\0" "\0\1\0\1" SELF A("\1"),
		OH_ANSWER_QUESTION),
	NONE("other type asked", ID "\x81\x80\0\1\0\1\0\0\0\0" WWW "\0\x1c\0\1" SELF A("\1"), OH_ANSWER_QUESTION),
	NONE("other class asked", ID "\x81\x80\0\1\0\1\0\0\0\0" WWW "\0\1\0\3" SELF A("\1"), OH_ANSWER_QUESTION),
	NONE("question cut", ID "\x81\x80\0\1\0\1\0\0\0\0" "\3www\6openai\3com\0" "\0\1\0", OH_ANSWER_QUESTION),
	NONE("count too high", HEAD("\2") SELF A("\1"), OH_ANSWER_MALFORMED),
	NONE("count of 65535", ID "\x81\x80\0\1\xff\xff\0\0\0\0" ASKED SELF A("\1"), OH_ANSWER_MALFORMED),
	NONE("record cut", HEAD("\2") SELF A("\1") SELF FIXED("\1", TTL60, "\4") "\xc0\0\2", OH_ANSWER_MALFORMED),
	NONE("size past the end", HEAD("\1") SELF FIXED("\x10", TTL60, "\xff") "abc", OH_ANSWER_MALFORMED),
	NONE("address of three bytes", HEAD("\1") SELF FIXED("\1", TTL60, "\3") "\xc0\0\2", OH_ANSWER_MALFORMED),
	NONE("address of five bytes", HEAD("\1") SELF FIXED("\1", TTL60, "\5") "\xc0\0\2\1\1", OH_ANSWER_MALFORMED),
	NONE("ipv6 of four bytes", HEAD("\2") SELF A("\1") SELF FIXED("\x1c", TTL60, "\4") "\xc0\0\2\1",
		OH_ANSWER_MALFORMED),
	NONE("alias longer than its name", HEAD("\2") SELF CNAME(TTL60, "\xa", CDN "x") CDN A("\1"),
		OH_ANSWER_MALFORMED),
	NONE("alias shorter than its name", HEAD("\2") SELF CNAME(TTL60, "\x8", CDN) CDN A("\1"), OH_ANSWER_MALFORMED),
	NONE("label type 0x40 in an owner", HEAD("\2") SELF A("\1") "\x41x\0" A("\2"), OH_ANSWER_MALFORMED),
	NONE("label type 0x80 in an owner", HEAD("\2") SELF A("\1") "\x80x\0" A("\2"), OH_ANSWER_MALFORMED),
	NONE("owner without end", HEAD("\2") SELF A("\1") "\x3f" "abc", OH_ANSWER_MALFORMED),
};

static void list(char *to)
{
	struct oh_scratch *s = oh_scratch(0);

	*to = 0;
	for (uint32_t i = 0; i < s->addrs; i++)
		to += sprintf(to, "%u/%u ", s->addr[i].addr[s->addr[i].family == 4 ? 3 : 15], s->addr[i].ttl);
}

static void answers_give_their_addresses(void **state)
{
	static char got[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct answer_case *c = &cases[i];

		for (int fill = 0; fill < 256; fill += 0x61) {
			wire_dirty((uint8_t)fill, c->len);
			int r = wire_answer((const uint8_t *)c->data, (uint32_t)c->len, &wire_asked);

			list(got);
			if (r != c->expect || strcmp(got, c->addrs))
				fail_msg("%s: %d, not %d, gives \"%s\", not \"%s\"", c->name, r, c->expect, got,
					c->addrs);
		}
	}
}

/* The name at the end of the chain as a key, in whatever way the answer writes it; "" where it cannot be one. */
static void aliases_are_read_as_names(void **state)
{
	static const struct {
		const char *what, *data;
		size_t len;
		const char *name;
	} rows[] = {
#define LEADS(what, data, name) { what, data, sizeof(data) - 1, name }
		LEADS("in full", HEAD("\1") SELF CNAME(TTL60, "\x9", CDN), "cdn.net"),
		LEADS("in capitals", HEAD("\1") SELF CNAME(TTL60, "\x9", "\3CDn\3NET\0"), "cdn.net"),
		LEADS("with a pointer", HEAD("\1") SELF CNAME(TTL60, "\6", "\3cdn\xc0\x10"), "cdn.openai.com"),
		LEADS("a pointer alone", HEAD("\1") SELF CNAME(TTL60, "\2", "\xc0\x10"), "openai.com"),
		LEADS("two links", HEAD("\2") SELF CNAME(TTL60, "\x9", CDN) CDN CNAME(TTL9, "\4", "\2ab\0"), "ab"),
		LEADS("a dot in a label", HEAD("\1") SELF CNAME(TTL60, "\x9", "\3c.n\3net\0"), ""),
		LEADS("a NUL in a label", HEAD("\1") SELF CNAME(TTL60, "\x9", "\3c\0n\3net\0"), ""),
		LEADS("the root", HEAD("\1") SELF CNAME(TTL60, "\1", "\0"), ""),
#undef LEADS
	};
	struct oh_scratch *s = oh_scratch(0);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int fill = 0; fill < 256; fill += 0x61) {
			char text[OH_KEY_DATA + 2] = "";

			wire_dirty((uint8_t)fill, rows[i].len);
			assert_int_equal(wire_answer((const uint8_t *)rows[i].data, (uint32_t)rows[i].len, &wire_asked),
					 OH_ANSWER_OK);
			assert_true(s->links > 1);
			if (oh_read_name(s->link[s->links - 1].name, 0))
				oh_key_to_text(oh_key(s), text);
			if (strcmp(text, rows[i].name))
				fail_msg("%s: \"%s\", not \"%s\"", rows[i].what, text, rows[i].name);
		}
	}
}

static void answer_cut_anywhere_gives_nothing(void **state)
{
	static const char whole[] = HEAD("\3") SELF CNAME(TTL60, "\x9", CDN) CDN A("\1") CDN A("\2");
	uint32_t len = sizeof(whole) - 1;

	(void)state;
	assert_int_equal(wire_answer((const uint8_t *)whole, len, &wire_asked), OH_ANSWER_OK);
	for (uint32_t n = 0; n < len; n++) {
		assert_int_not_equal(wire_answer((const uint8_t *)whole, n, &wire_asked), OH_ANSWER_OK);
		assert_int_equal(oh_scratch(0)->addrs, 0);
	}
}

static uint8_t big[OH_ANSWER_MAX + 64];

/* An answer with count address records of the question's name. */
static uint32_t pool(uint32_t count)
{
	uint32_t len = 32;

	memcpy(big, HEAD("\0"), 32);
	big[6] = (uint8_t)(count >> 8);
	big[7] = (uint8_t)count;
	for (uint32_t i = 0; i < count; i++, len += 16) {
		memcpy(big + len, SELF A("\0"), 16);
		big[len + 15] = (uint8_t)i;
	}
	return len;
}

static void first_64_records_count(void **state)
{
	(void)state;
	for (uint32_t n = 62; n < 70; n++) {
		uint32_t len = pool(n);

		assert_int_equal(wire_answer(big, len, &wire_asked), OH_ANSWER_OK);
		assert_int_equal(oh_scratch(0)->addrs, n < 64 ? n : 64);
		assert_int_equal(oh_scratch(0)->addr[61].addr[3], 61);
	}
}

static void answer_of_4096_is_read_and_longer_not(void **state)
{
	(void)state;
	pool(1);
	assert_int_equal(wire_answer(big, OH_ANSWER_MAX, &wire_asked), OH_ANSWER_OK);
	assert_int_equal(oh_scratch(0)->addrs, 1);
	assert_int_equal(wire_answer(big, OH_ANSWER_MAX + 1, &wire_asked), OH_ANSWER_LONG);
	assert_int_equal(oh_scratch(0)->addrs, 0);
}

/* A chain of n aliases, then an address of the last. */
static uint32_t chain(uint32_t n)
{
	uint32_t len = 32, at = 12;

	memcpy(big, HEAD("\0"), 32);
	big[7] = (uint8_t)(n + 1);
	for (uint32_t i = 0; i <= n; i++) {
		big[len++] = 0xc0 | (uint8_t)(at >> 8);
		big[len++] = (uint8_t)at;
		if (i == n)
			break;
		memcpy(big + len, CNAME(TTL60, "\4", "\2xx\0"), 14);
		big[len + 12] = (uint8_t)('a' + i);
		at = len + 10;
		len += 14;
	}
	memcpy(big + len, A("\1"), 14);
	return len + 14;
}

static void chain_of_15_is_followed_and_of_16_not(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 20; n++) {
		uint32_t len = chain(n);

		assert_int_equal(wire_answer(big, len, &wire_asked), OH_ANSWER_OK);
		assert_int_equal(oh_scratch(0)->addrs, n < OH_ANSWER_CHAIN ? 1 : 0);
	}
}

static void alias_in_a_ring_is_followed_once(void **state)
{
	static const char ring[] = HEAD("\3") SELF CNAME(TTL60, "\x9", CDN) CDN CNAME(TTL9, "\2", SELF) SELF A("\1");

	(void)state;
	assert_int_equal(wire_answer((const uint8_t *)ring, sizeof(ring) - 1, &wire_asked), OH_ANSWER_OK);
	assert_int_equal(oh_scratch(0)->links, 3);
}

static void any_gives_both_families(void **state)
{
	static const char both[] = ID "\x81\x80\0\1\0\2\0\0\0\0" WWW "\0\xff\0\1" SELF A("\7") SELF AAAA;
	struct oh_dns_pending asked = wire_asked;

	(void)state;
	asked.qtype = OH_DNS_ANY;
	assert_int_equal(wire_answer((const uint8_t *)both, sizeof(both) - 1, &asked), OH_ANSWER_OK);
	assert_int_equal(oh_scratch(0)->addrs, 2);
	assert_memory_equal(oh_scratch(0)->addr[0].addr, "\xc0\0\2\7\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_memory_equal(oh_scratch(0)->addr[1].addr, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_int_equal(oh_scratch(0)->addr[1].family, 6);
}

static void name_of_127_labels_matches_itself_alone(void **state)
{
	struct oh_dns_pending asked = {.id = 0x1234, .qtype = OH_DNS_A, .name_len = 255};
	uint32_t len = 12;

	(void)state;
	for (int i = 0; i < 127; i++)
		memcpy(asked.name + 2 * i, "\1a", 2);
	memcpy(big, ID "\x81\x80\0\1\0\1\0\0\0\0", 12);
	memcpy(big + len, asked.name, 255);
	memcpy(big + len + 255, "\0\1\0\1", 4);
	len += 259;
	memcpy(big + len, asked.name, 255);
	memcpy(big + len + 255, A("\1"), 14);
	assert_int_equal(wire_answer(big, len + 269, &asked), OH_ANSWER_OK);
	assert_int_equal(oh_scratch(0)->addrs, 1);
	big[len + 253] = 'b';
	assert_int_equal(wire_answer(big, len + 269, &asked), OH_ANSWER_OK);
	assert_int_equal(oh_scratch(0)->addrs, 0);
}

static void comparisons_end_with_the_budget(void **state)
{
	struct oh_dns_pending asked = {.id = 0x1234, .qtype = OH_DNS_A, .name_len = 125};
	uint32_t copy[2], len = 12, i;

	(void)state;
	for (i = 0; i < 62; i++)
		memcpy(asked.name + 2 * i, "\1a", 2);
	memcpy(big, ID "\x81\x80\0\1\0\x40\0\0\0\0", 12);
	memcpy(big + len, asked.name, 125);
	memcpy(big + len + 125, "\0\1\0\1", 4);
	len += 129;
	for (i = 0; i < 64; i++, len += 14) { /* two copies of the name in turn, so that each record is compared anew */
		if (i < 2) {
			copy[i] = len;
			memcpy(big + len, asked.name, 125);
			len += 125;
		} else {
			big[len++] = 0xc0 | (uint8_t)(copy[i % 2] >> 8);
			big[len++] = (uint8_t)copy[i % 2];
		}
		memcpy(big + len, A("\1"), 14);
	}
	assert_int_equal(wire_answer(big, len, &asked), OH_ANSWER_OK);
	/* 33 comparisons, and then every other record: of the name that was proved last. */
	assert_int_equal(oh_scratch(0)->addrs, 33 + (64 - 33) / 2);
	assert_int_equal(oh_scratch(0)->budget, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_give_their_addresses),
		cmocka_unit_test(aliases_are_read_as_names),
		cmocka_unit_test(answer_cut_anywhere_gives_nothing),
		cmocka_unit_test(first_64_records_count),
		cmocka_unit_test(answer_of_4096_is_read_and_longer_not),
		cmocka_unit_test(chain_of_15_is_followed_and_of_16_not),
		cmocka_unit_test(alias_in_a_ring_is_followed_once),
		cmocka_unit_test(any_gives_both_families),
		cmocka_unit_test(name_of_127_labels_matches_itself_alone),
		cmocka_unit_test(comparisons_end_with_the_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
