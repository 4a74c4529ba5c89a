// SPDX-License-Identifier: MIT
/* Answers from hostile name servers. */
#include "unit/unit.h"

#include "policy/address.h"
#include "names/answer.h"

/* A message under construction. */
static uint8_t message[65535];
static size_t size;

enum { A = 1, CNAME = 5, AAAA = 28, IN = 1, CHAOS = 3 };

static void put(const void *bytes, size_t n)
{
	assert_true(size + n <= sizeof(message));
	memcpy(message + size, bytes, n);
	size += n;
}

static void put8(unsigned int n)
{
	const uint8_t byte = (uint8_t)n;

	put(&byte, 1);
}

static void put16(unsigned int n)
{
	put8(n >> 8);
	put8(n & 255);
}

static void put32(uint32_t n)
{
	put16(n >> 16);
	put16(n & 65535);
}

static void put_name(const char *name)
{
	while (*name) {
		size_t label = strcspn(name, ".");

		put8((unsigned int)label);
		put(name, label);
		name += label + (name[label] == '.');
	}
	put8(0);
}

static void pointer(size_t to)
{
	put16(0xc000 | (unsigned int)to);
}

static void start(unsigned int flags, unsigned int questions, unsigned int answers)
{
	size = 0;
	put16(0x1234);
	put16(flags);
	put16(questions);
	put16(answers);
	put32(0);
}

#define GOOD 0x8180	/* an answer, recursion desired and available */
#define NAME "api.example.com"
#define QUESTION_AT 12

static void question(const char *name, unsigned int type)
{
	put_name(name);
	put16(type);
	put16(IN);
}

static void rr(const char *owner, unsigned int type, unsigned int class, uint32_t ttl, unsigned int length)
{
	if (owner)
		put_name(owner);
	else
		pointer(QUESTION_AT);
	put16(type);
	put16(class);
	put32(ttl);
	put16(length);
}

static void a_record(const char *owner, uint32_t ttl, uint32_t ip4)
{
	rr(owner, A, IN, ttl, 4);
	put32(ip4);
}

static void cname(const char *owner, uint32_t ttl, const char *to)
{
	rr(owner, CNAME, IN, ttl, (unsigned int)strlen(to) + 2);
	put_name(to);
}

/* From a copy of exactly that size, so that a look behind its end is found by a sanitizer. */
static enum answer_result read_as(const char *name, int family, struct answer *ret)
{
	uint8_t *copy = malloc(size ? size : 1);
	enum answer_result r;

	memcpy(copy, message, size);
	r = answer_read(copy, size, name, family, ret);
	free(copy);
	if (r)
		assert_true(!ret->list && !ret->count);
	return r;
}

static enum answer_result result(void)
{
	struct answer a;
	enum answer_result r = read_as(NAME, 4, &a);

	answer_free(&a);
	return r;
}

static void check_addresses(const char *expect)
{
	char text[ADDRESS_TEXT_MAX], list[1024] = "";
	struct answer a;

	assert_int_equal(read_as(NAME, 4, &a), ANSWER_OK);
	for (size_t i = 0; i < a.count; i++)
		sprintf(list + strlen(list), "%s=%u ", address_format(&a.list[i].address, text), a.list[i].ttl);
	answer_free(&a);
	assert_string_equal(list, expect);
}

static void addresses_are_read(void **state)
{
	struct answer a;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	start(GOOD, 1, 2);
	question("API.example.COM", A);
	a_record(NULL, 60, 0xc0000201);
	a_record("api.EXAMPLE.com", 30, 0xc0000202);
	check_addresses("192.0.2.1=60 192.0.2.2=30 ");

	start(GOOD, 1, 1);
	question(NAME, AAAA);
	rr(NULL, AAAA, IN, 60, 16);
	put("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_int_equal(read_as(NAME, 6, &a), ANSWER_OK);
	assert_int_equal(a.count, 1);
	assert_string_equal(address_format(&a.list[0].address, text), "2001:db8::1");
	answer_free(&a);
}

static void only_its_own_addresses(void **state)
{
	(void)state;
	start(GOOD, 1, 6);
	question(NAME, A);
	a_record("other.example.com", 60, 0x01010101);
	a_record("com", 60, 0x02020202);
	rr(NULL, A, CHAOS, 60, 4);
	put32(0x03030303);
	rr(NULL, 16, IN, 60, 4);	/* TXT */
	put32(0x04040404);
	rr(NULL, AAAA, IN, 60, 16);
	put("0123456789abcdef", 16);
	a_record("api.example.com", 60, 0xc0000201);
	check_addresses("192.0.2.1=60 ");
}

static void authority_and_additional_are_not_read(void **state)
{
	(void)state;
	start(GOOD, 1, 1);
	message[11] = 1;		/* one additional record */
	question(NAME, A);
	a_record(NULL, 60, 0xc0000201);
	a_record(NULL, 60, 0x08080808);
	check_addresses("192.0.2.1=60 ");
	start(GOOD, 1, 0);
	message[9] = 1;
	question(NAME, A);
	a_record(NULL, 60, 0x08080808);
	check_addresses("");
}

static void ttl_is_the_shortest_of_the_chain(void **state)
{
	(void)state;
	start(GOOD, 1, 4);
	question(NAME, A);
	cname(NULL, 300, "a.example.net");
	cname("A.example.net", 20, "b.example.org");
	a_record("b.example.org", 60, 0xc0000201);
	a_record("b.example.org", 10, 0xc0000202);
	check_addresses("192.0.2.1=20 192.0.2.2=10 ");
	/* the same, backwards */
	start(GOOD, 1, 3);
	question(NAME, A);
	a_record("b.example.org", 60, 0xc0000201);
	cname("a.example.net", 20, "b.example.org");
	cname(NULL, 300, "a.example.net");
	check_addresses("192.0.2.1=20 ");
	/* of the alias itself, addresses do not count */
	start(GOOD, 1, 2);
	question(NAME, A);
	cname(NULL, 300, "a.example.net");
	a_record(NULL, 60, 0x08080808);
	check_addresses("");
}

static void odd_ttls(void **state)
{
	(void)state;
	start(GOOD, 1, 4);
	question(NAME, A);
	a_record(NULL, 0, 0xc0000201);
	a_record(NULL, 0x7fffffff, 0xc0000202);
	a_record(NULL, 0x80000000, 0xc0000203);
	a_record(NULL, 0xffffffff, 0xc0000204);
	check_addresses("192.0.2.1=0 192.0.2.2=2147483647 192.0.2.3=0 192.0.2.4=0 ");
}

static void chain(unsigned int links)
{
	char owner[32], to[32];

	start(GOOD, 1, links + 1);
	question("n0.example", A);
	for (unsigned int i = 0; i < links; i++) {
		sprintf(owner, "n%u.example", i);
		sprintf(to, "n%u.example", i + 1);
		cname(owner, 60, to);
	}
	sprintf(owner, "n%u.example", links);
	a_record(owner, 60, 0xc0000201);
}

static void long_chains_and_loops(void **state)
{
	struct answer a;

	(void)state;
	chain(16);
	assert_int_equal(read_as("n0.example", 4, &a), ANSWER_OK);
	assert_int_equal(a.count, 1);
	answer_free(&a);
	chain(17);
	assert_int_equal(read_as("n0.example", 4, &a), ANSWER_LOOP);

	start(GOOD, 1, 1);
	question(NAME, A);
	cname(NULL, 60, NAME);
	assert_int_equal(result(), ANSWER_LOOP);
	start(GOOD, 1, 3);
	question(NAME, A);
	cname(NULL, 60, "b.example");
	cname("b.example", 60, NAME);
	a_record(NULL, 60, 0xc0000201);
	assert_int_equal(result(), ANSWER_LOOP);
}

static void bad_pointers(void **state)
{
	static const struct {
		const char *what;
		unsigned int owner;	/* the pointer that the record begins with, which is at 33 */
		enum answer_result expect;
	} rows[] = {
		{ "to the question", 0xc000 | QUESTION_AT, ANSWER_OK },
		{ "to itself", 0xc000 | 33, ANSWER_MALFORMED },
		{ "forward", 0xc000 | 35, ANSWER_MALFORMED },
		{ "behind the end", 0xffff, ANSWER_MALFORMED },
		{ "of a kind that is none", 0x4000 | QUESTION_AT, ANSWER_MALFORMED },
		{ "of another kind that is none", 0x8000 | QUESTION_AT, ANSWER_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		start(GOOD, 1, 1);
		question(NAME, A);
		assert_int_equal(size, 33);
		put16(rows[i].owner);
		put16(A);
		put16(IN);
		put32(60);
		put16(4);
		put32(0xc0000201);
		if (result() != rows[i].expect)
			fail_msg("a pointer %s", rows[i].what);
	}
	/* a pointer to a pointer, each further in front, is fine; two that look at each other are not */
	start(GOOD, 1, 2);
	question(NAME, A);
	a_record(NULL, 60, 0xc0000201);
	pointer(33);
	put16(A);
	put16(IN);
	put32(60);
	put16(4);
	put32(0xc0000202);
	check_addresses("192.0.2.1=60 192.0.2.2=60 ");
	start(GOOD, 1, 1);
	pointer(14);
	pointer(12);
	put16(A);
	put16(IN);
	assert_int_equal(result(), ANSWER_MALFORMED);
}

static void bad_questions(void **state)
{
	static const struct {
		const char *what, *name;
		unsigned int questions, type, class;
		enum answer_result expect;
	} rows[] = {
		{ "as asked", NAME, 1, A, IN, ANSWER_OK },
		{ "another name", "api.example.org", 1, A, IN, ANSWER_OTHER_QUESTION },
		{ "a longer name", "x.api.example.com", 1, A, IN, ANSWER_OTHER_QUESTION },
		{ "a shorter name", "example.com", 1, A, IN, ANSWER_OTHER_QUESTION },
		{ "other labels", "api.examplecom", 1, A, IN, ANSWER_OTHER_QUESTION },
		{ "the root", "", 1, A, IN, ANSWER_OTHER_QUESTION },
		{ "another type", NAME, 1, AAAA, IN, ANSWER_OTHER_QUESTION },
		{ "any type", NAME, 1, 255, IN, ANSWER_OTHER_QUESTION },
		{ "another class", NAME, 1, A, CHAOS, ANSWER_OTHER_QUESTION },
		{ "no question", NAME, 0, A, IN, ANSWER_MALFORMED },
		{ "two questions", NAME, 2, A, IN, ANSWER_MALFORMED },
		{ "65,535 questions", NAME, 65535, A, IN, ANSWER_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		start(GOOD, rows[i].questions, 1);
		put_name(rows[i].name);
		put16(rows[i].type);
		put16(rows[i].class);
		a_record(NAME, 60, 0xc0000201);
		if (result() != rows[i].expect)
			fail_msg("%s", rows[i].what);
	}
}

static void response_codes(void **state)
{
	static const struct {
		unsigned int flags;
		enum answer_result expect;
	} rows[] = {
		{ GOOD, ANSWER_OK }, { GOOD | 1, ANSWER_FORMERR }, { GOOD | 2, ANSWER_SERVFAIL },
		{ GOOD | 3, ANSWER_NXDOMAIN }, { GOOD | 4, ANSWER_NOTIMP }, { GOOD | 5, ANSWER_REFUSED },
		{ GOOD | 15, ANSWER_OTHER_ERROR }, { 0x0100, ANSWER_MALFORMED },	/* the last is a query */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		start(rows[i].flags, 1, 1);
		question(NAME, A);
		a_record(NULL, 60, 0xc0000201);
		assert_int_equal(result(), rows[i].expect);
	}
	for (int r = 0; r < ANSWER_RESULT_MAX; r++)
		assert_true(strlen(answer_result_text((enum answer_result)r)) > 5);
}

static void lying_counts_and_lengths(void **state)
{
	static const unsigned int counts[] = { 2, 3, 1000, 65535 };

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		start(GOOD, 1, counts[i]);
		question(NAME, A);
		a_record(NULL, 60, 0xc0000201);
		assert_int_equal(result(), ANSWER_MALFORMED);
	}
	for (unsigned int length = 0; length < 20; length++) {
		start(GOOD, 1, 1);
		question(NAME, A);
		rr(NULL, A, IN, 60, length);
		put("0123456789abcdefghij", 16);
		assert_int_equal(result(), length == 4 ? ANSWER_OK : ANSWER_MALFORMED);
	}
	/* a malformed record behind good ones spoils them all */
	start(GOOD, 1, 2);
	question(NAME, A);
	a_record(NULL, 60, 0xc0000201);
	rr(NULL, 16, IN, 60, 65535);
	put("0123456789abcdefghij", 16);
	assert_int_equal(result(), ANSWER_MALFORMED);
}

/* The name of a CNAME fills its data, no less and no more. */
static void cname_of_another_length_refused(void **state)
{
	static const int lies[] = { -1, 1, -15, 4 };

	(void)state;
	for (size_t i = 0; i < COUNT(lies); i++) {
		start(GOOD, 1, 2);
		question(NAME, A);
		rr(NULL, CNAME, IN, 60, (unsigned int)(15 + lies[i]));
		put_name("a.example.net");
		if (lies[i] > 0)
			put("\0\0\0\0", (size_t)lies[i]);
		a_record("a.example.net", 60, 0xc0000201);
		assert_int_equal(result(), ANSWER_MALFORMED);
	}
}

static void every_truncation_refused(void **state)
{
	size_t whole;

	(void)state;
	start(GOOD, 1, 3);
	question(NAME, A);
	cname(NULL, 300, "a.example.net");
	a_record("a.example.net", 60, 0xc0000201);
	a_record("a.example.net", 60, 0xc0000202);
	whole = size;
	for (size = 0; size < whole; size++) {
		if (result() != ANSWER_MALFORMED)
			fail_msg("%zu of %zu bytes: not malformed", size, whole);
	}
	assert_int_equal(result(), ANSWER_OK);
}

static void many_addresses(void **state)
{
	static const struct {
		unsigned int put, got;
	} rows[] = { { 500, 500 }, { 4000, ANSWER_ADDRESSES_MAX < 4000 ? ANSWER_ADDRESSES_MAX : 4000 } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct answer a;

		start(GOOD, 1, rows[i].put);
		question(NAME, A);
		for (unsigned int k = 0; k < rows[i].put; k++)
			a_record(NULL, 60, 0xc6330000 + k);
		assert_int_equal(read_as(NAME, 4, &a), ANSWER_OK);
		assert_int_equal(a.count, rows[i].got);
		assert_int_equal(a.list[a.count - 1].address.byte[15], (rows[i].got - 1) & 255);
		answer_free(&a);
	}
}

static void longest_names(void **state)
{
	char label[64], name[256];
	struct answer a;

	(void)state;
	memset(label, 'x', 63);
	label[63] = '\0';
	sprintf(name, "%s.%s.%s.%.61s", label, label, label, label);
	start(GOOD, 1, 1);
	question(name, A);
	a_record(NULL, 60, 0xc0000201);
	assert_int_equal(read_as(name, 4, &a), ANSWER_OK);
	assert_int_equal(a.count, 1);
	answer_free(&a);
	sprintf(name, "%s.%s.%s.%.62s", label, label, label, label);
	start(GOOD, 1, 1);
	question(name, A);
	a_record(NULL, 60, 0xc0000201);
	assert_int_equal(read_as(name, 4, &a), ANSWER_MALFORMED);
	assert_int_equal(read_as("a..b", 4, &a), ANSWER_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read),
		cmocka_unit_test(only_its_own_addresses),
		cmocka_unit_test(authority_and_additional_are_not_read),
		cmocka_unit_test(ttl_is_the_shortest_of_the_chain),
		cmocka_unit_test(odd_ttls),
		cmocka_unit_test(long_chains_and_loops),
		cmocka_unit_test(bad_pointers),
		cmocka_unit_test(bad_questions),
		cmocka_unit_test(response_codes),
		cmocka_unit_test(lying_counts_and_lengths),
		cmocka_unit_test(cname_of_another_length_refused),
		cmocka_unit_test(every_truncation_refused),
		cmocka_unit_test(many_addresses),
		cmocka_unit_test(longest_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
