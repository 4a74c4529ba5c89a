// SPDX-License-Identifier: MIT
/* What a TLS client says in plaintext behind its hello: what is passed over, what begins another hello, what ends the
 * look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "host.h"

enum { OLD, NEW, NEW_EARLY };	/* what the hello before offered: no TLS 1.3, TLS 1.3, early data too */

struct row {
	const char *name;
	uint8_t offers;
	const char *data;
	uint32_t len;
	enum oh_tls_result result;
	uint32_t read;
};

#define ROW(name, offers, data, result, read) { name, offers, data, sizeof(data) - 1, result, read }
#define CIPHER "\x14\3\3\0\1\1"
#define ALERT "\x15\3\3\0\2\1\0"
#define DATA "\x17\3\3\0\4abcd"
#define HELLO "\x16\3\1\0\x64\1\0\0\x60\3\3"

static const struct row rows[] = {
	ROW("nothing", NEW, "", OH_HELLO_NAMED, 0),
	ROW("data", NEW, DATA, OH_HELLO_OVER, 7),
	ROW("data's first byte", NEW, "\x17", OH_HELLO_OVER, 1),
	ROW("data, TLS 1.2", OLD, DATA, OH_HELLO_OVER, 7),
	ROW("early data", NEW_EARLY, DATA, OH_HELLO_NAMED, 9),
	ROW("early data, in part", NEW_EARLY, "\x17\3\3\1\0abcd", OH_HELLO_NAMED, 9),
	ROW("early data without an end", NEW_EARLY, DATA DATA DATA "\x17\3", OH_HELLO_NAMED, 29),
	ROW("early data, and a hello", NEW_EARLY, DATA HELLO, OH_HELLO_BEGINS, 9),
	ROW("early data, and something else", NEW_EARLY, DATA "x", OH_HELLO_NOT_TLS, 9),
	ROW("a change-cipher-spec", NEW, CIPHER, OH_HELLO_NAMED, 6),
	ROW("and data", NEW, CIPHER DATA, OH_HELLO_OVER, 13),
	ROW("and a hello", NEW, CIPHER HELLO, OH_HELLO_BEGINS, 6),
	ROW("and an encrypted Finished", NEW, CIPHER "\x16\3\3\0\x28\0\0\0\0\0\0\0\0abc", OH_HELLO_OVER, 13),
	ROW("one that begins with 1", NEW, CIPHER "\x16\3\3\0\x28\1\3\0\0\0\0\0\0abc", OH_HELLO_OVER, 13),
	ROW("one that may be a hello", NEW, CIPHER "\x16\3\3\0\x28\1\2\xff\xff\0\0\0\0abc", OH_HELLO_BEGINS, 6),
	ROW("one of which too little is there", NEW, CIPHER "\x16\3\3\0\x28\1", OH_HELLO_INCOMPLETE, 6),
	ROW("its header in part", NEW, CIPHER "\x16\3\3", OH_HELLO_INCOMPLETE, 6),
	ROW("a change-cipher-spec in TLS 1.2", OLD, CIPHER HELLO, OH_HELLO_OVER, 7),
	ROW("many of them", NEW, CIPHER CIPHER CIPHER, OH_HELLO_NAMED, 18),
	ROW("one of two bytes", NEW, "\x14\3\3\0\2\1\1", OH_HELLO_NOT_TLS, 0),
	ROW("a hello", NEW, HELLO, OH_HELLO_BEGINS, 0),
	ROW("a hello in TLS 1.2", OLD, HELLO, OH_HELLO_BEGINS, 0),
	ROW("a hello in records of a byte", NEW, "\x16\3\3\0\1\1\x16\3\3\0\1\0", OH_HELLO_BEGINS, 0),
	ROW("a client's key exchange", NEW, "\x16\3\3\0\x25\x10\0\0\x21\x20", OH_HELLO_OVER, 7),
	ROW("a client's certificate", OLD, "\x16\3\3\3\x25\xb\0\3\x21\0", OH_HELLO_OVER, 7),
	ROW("an alert", NEW, ALERT, OH_HELLO_NAMED, 7),
	ROW("an alert, and a hello", NEW, ALERT HELLO, OH_HELLO_BEGINS, 7),
	ROW("a heartbeat", NEW, "\x18\3\3\0\3\1\0\0", OH_HELLO_NOT_TLS, 0),
	ROW("another version", NEW, "\x15\2\3\0\2\1\0", OH_HELLO_NOT_TLS, 0),
	ROW("another version of a handshake", NEW, "\x16\2\3\0\x28\x10\0\0\0", OH_HELLO_NOT_TLS, 0),
	ROW("an empty alert", NEW, "\x15\3\3\0\0", OH_HELLO_NOT_TLS, 0),
	ROW("an empty handshake", NEW, "\x16\3\3\0\0\1\0", OH_HELLO_NOT_TLS, 0),
	ROW("letters", NEW, "GET / HTTP/1.1", OH_HELLO_NOT_TLS, 0),
	ROW("the largest record there is", NEW_EARLY, "\x17\3\3\x48\0", OH_HELLO_NAMED, 5),
	ROW("a larger one", NEW_EARLY, "\x17\3\3\x48\1", OH_HELLO_NOT_TLS, 0),
};

static struct oh_tls_rest behind(uint8_t offers)
{
	return (struct oh_tls_rest){ .offers = (uint8_t)(offers == OLD ? 0 : OH_TLS_OFFERS_VERSIONS |
							 (offers == NEW_EARLY ? OH_TLS_OFFERS_EARLY : 0)) };
}

static void records_are_judged_as_the_table_says(void **state)
{
	struct oh_scratch *s = oh_scratch(0);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int r;

		s->rest = behind(rows[i].offers);
		r = wire_client((const uint8_t *)rows[i].data, rows[i].len);
		if (r != (int)rows[i].result || s->read != rows[i].read)
			fail_msg("%s: %d after %u, not %d after %u", rows[i].name, r, s->read, rows[i].result,
				 rows[i].read);
	}
}

/* What is held comes again with more behind it; the result is the same, wherever a segment ends. */
static void records_in_two_segments_are_judged_as_in_one(void **state)
{
	struct oh_scratch *s = oh_scratch(0);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const uint8_t *data = (const uint8_t *)rows[i].data;

		for (uint32_t at = 0; at <= rows[i].len; at++) {
			struct oh_tls_rest before = behind(rows[i].offers);
			int r;

			s->rest = before;
			r = wire_client(data, at);
			if (r == OH_HELLO_NAMED) {
				r = wire_client(data + at, rows[i].len - at);
			} else if (r == OH_HELLO_INCOMPLETE) {
				s->rest = before;
				r = wire_client(data, rows[i].len);
			}
			if (r != (int)rows[i].result)
				fail_msg("%s, cut at %u: %d, not %d", rows[i].name, at, r, rows[i].result);
		}
	}
}

/* The smallest records there are fill a segment of 64 kB without being too many; smaller ones are no client's. */
static void many_records_in_one_segment(void **state)
{
	static uint8_t data[65535];
	struct oh_scratch *s = oh_scratch(0);

	(void)state;
	for (uint32_t at = 0; at + 22 <= sizeof(data); at += 22)
		memcpy(data + at, "\x17\3\3\0\x11", 5);
	s->rest = behind(NEW_EARLY);
	assert_int_equal(wire_client(data, sizeof(data) / 22 * 22), OH_HELLO_NAMED);
	for (uint32_t at = 0; at + 6 <= sizeof(data); at += 6)
		memcpy(data + at, CIPHER, 6);
	s->rest = behind(NEW);
	assert_int_equal(wire_client(data, sizeof(data) / 6 * 6), OH_HELLO_MALFORMED);
	s->rest = behind(NEW);
	assert_int_equal(wire_client(data, 6 * 3000), OH_HELLO_NAMED);
}

static void name_is_told_from_others(void **state)
{
	static const char *const names[] = { "a.example", "b.example", "a.exampl", "aa.example", "ab.example",
		"ba.example" };
	uint64_t mark[sizeof(names) / sizeof(*names)];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct oh_scratch *s = oh_scratch(0);
		uint32_t n = (uint32_t)strlen(names[i]);

		memset(s->rev, (int)i, sizeof(s->rev));
		for (uint32_t k = 0; k < n; k++)
			*oh_rev(s, k + 1) = (uint8_t)names[i][k];
		oh_key_finish(s, n);
		mark[i] = oh_name_mark(0);
		assert_true(mark[i] <= UINT32_MAX);
		for (size_t j = 0; j < i; j++)
			assert_true(mark[j] != mark[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_judged_as_the_table_says),
		cmocka_unit_test(records_in_two_segments_are_judged_as_in_one),
		cmocka_unit_test(many_records_in_one_segment),
		cmocka_unit_test(name_is_told_from_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
