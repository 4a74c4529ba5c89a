// SPDX-License-Identifier: MIT
/* When names are asked again and how long what they said is believed, by a clock that these tests hold. */
#include "unit/unit.h"

#include <errno.h>

#include "policy/address.h"
#include "names/records.h"

#define START 1000000

static const struct config config = { .min_ttl = 30, .max_ttl = 3600, .grace = 120, .max_stale = 86400 };
static struct error e;

static struct oh_address address(const char *text)
{
	struct oh_address a;

	assert_int_equal(address_parse(text, &a), 0);
	return a;
}

static struct record make(void)
{
	return (struct record){ .name = strdup("api.example"), .family = 4 };
}

static void drop(struct record *r)
{
	free(r->name);
	free(r->addresses);
}

/* A good answer of up to three addresses, NULL-terminated, all with one TTL. */
static void answer(struct record *r, int64_t now, uint32_t ttl, const char *const *addresses)
{
	struct answer_address list[3];
	struct answer a = { .list = list };

	for (; addresses[a.count]; a.count++)
		list[a.count] = (struct answer_address){ .address = address(addresses[a.count]), .ttl = ttl };
	assert_int_equal(record_answered(r, &a, now, &config, &e), 0);
}

#define ANSWER(r, now, ttl, ...) answer(r, now, ttl, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })

/* When an address ends, 0: it is not there. */
static int64_t ends(const struct record *r, const char *text)
{
	struct oh_address a = address(text);

	for (size_t i = 0; i < r->count; i++) {
		if (!memcmp(&r->addresses[i].address, &a, sizeof(a)))
			return r->addresses[i].expires;
	}
	return 0;
}

static void ttl_is_clamped_and_graced(void **state)
{
	static const struct {
		uint32_t ttl, asked, held;
	} rows[] = {
		{ 0, 30, 30 },		  { 1, 30, 30 },	    { 29, 30, 30 },
		{ 30, 30, 30 },		  { 31, 31, 31 },	    { 300, 300, 300 },
		{ 3599, 3599, 3599 },	  { 3600, 3600, 3600 },	    { 3601, 3600, 3601 },
		{ 86400, 3600, 86400 },	  { 86401, 3600, 86400 },   { 0x7fffffff, 3600, 86400 },
		{ 0x80000000, 3600, 86400 }, { UINT32_MAX, 3600, 86400 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct record r = make();

		ANSWER(&r, START, rows[i].ttl, "192.0.2.1");
		assert_int_equal(r.due, START + rows[i].asked);
		assert_int_equal(ends(&r, "192.0.2.1"), START + rows[i].held + 120);
		assert_int_equal(r.answered, START);
		assert_int_equal(r.tried, START);
		drop(&r);
	}
}

static void due_with_the_shortest(void **state)
{
	struct answer_address list[] = { { address("192.0.2.1"), 600 }, { address("192.0.2.2"), 90 },
		{ address("192.0.2.3"), 300 } };
	struct answer a = { .list = list, .count = 3 };
	struct record r = make();

	(void)state;
	assert_int_equal(record_answered(&r, &a, START, &config, &e), 0);
	assert_int_equal(r.due, START + 90);
	assert_int_equal(ends(&r, "192.0.2.1"), START + 720);
	assert_int_equal(ends(&r, "192.0.2.2"), START + 210);
	drop(&r);
}

static void repeated_address_counts_once(void **state)
{
	struct answer_address list[] = { { address("192.0.2.1"), 60 }, { address("192.0.2.1"), 600 },
		{ address("192.0.2.1"), 30 } };
	struct answer a = { .list = list, .count = 3 };
	struct record r = make();

	(void)state;
	assert_int_equal(record_answered(&r, &a, START, &config, &e), 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(ends(&r, "192.0.2.1"), START + 720);
	drop(&r);
}

static void rotation_keeps_the_old_until_they_end(void **state)
{
	struct record r = make();

	(void)state;
	ANSWER(&r, START, 300, "192.0.2.1");
	ANSWER(&r, START + 60, 300, "192.0.2.2");
	assert_int_equal(ends(&r, "192.0.2.1"), START + 420);
	assert_int_equal(ends(&r, "192.0.2.2"), START + 480);
	assert_false(r.addresses[0].current);
	assert_true(r.addresses[1].current);
	ANSWER(&r, START + 419, 300, "192.0.2.2");
	assert_int_equal(ends(&r, "192.0.2.1"), START + 420);
	ANSWER(&r, START + 420, 300, "192.0.2.2");
	assert_int_equal(ends(&r, "192.0.2.1"), 0);
	assert_int_equal(r.count, 1);
	drop(&r);
}

static void merge_never_shortens(void **state)
{
	struct record r = make();

	(void)state;
	ANSWER(&r, START, 3600, "192.0.2.1");
	ANSWER(&r, START + 10, 30, "192.0.2.1");
	assert_int_equal(ends(&r, "192.0.2.1"), START + 3720);
	assert_int_equal(r.due, START + 40);
	ANSWER(&r, START + 20, 3600, "192.0.2.1");
	assert_int_equal(ends(&r, "192.0.2.1"), START + 3740);
	drop(&r);
}

static void empty_answer_takes_nothing_away(void **state)
{
	struct record r = make();

	(void)state;
	ANSWER(&r, START, 300, "192.0.2.1");
	ANSWER(&r, START + 300, 0);
	assert_int_equal(ends(&r, "192.0.2.1"), START + 420);
	assert_int_equal(r.due, START + 300 + 3600);
	assert_int_equal(r.failures, 0);
	/* but it is no longer current: no failure extends it */
	record_failed(&r, "x", START + 400, &config);
	assert_int_equal(ends(&r, "192.0.2.1"), START + 420);
	record_failed(&r, "x", START + 420, &config);
	assert_int_equal(r.count, 0);
	drop(&r);
}

static void failures_back_off(void **state)
{
	static const int64_t pauses[] = { 10, 20, 40, 80, 160, 300, 300, 300 };
	struct record r = make();
	int64_t now = START;
	char longest[256] = "";

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	for (size_t i = 0; i < COUNT(pauses); i++) {
		record_failed(&r, "server failure (SERVFAIL)", now, &config);
		assert_int_equal(r.due, now + pauses[i]);
		assert_int_equal(r.tried, now);
		assert_int_equal(r.failures, i + 1);
		assert_string_equal(record_why(&r), "server failure (SERVFAIL)");
		now = r.due;
	}
	r.failures = UINT32_MAX;
	record_failed(&r, longest, now, &config);
	assert_int_equal(r.failures, UINT32_MAX);
	assert_int_equal(r.due, now + 300);
	assert_int_equal(strlen(record_why(&r)), RECORD_WHY_MAX - 1);
	ANSWER(&r, now, 60, "192.0.2.1");
	assert_int_equal(r.failures, 0);
	assert_string_equal(record_why(&r), "");
	record_failed(&r, "x", now, &config);
	assert_int_equal(r.due, now + 10);
	drop(&r);
}

/* With every try failing, the address is allowed without a gap until the answer is max-stale old, and not a second
 * longer. */
static void failures_keep_until_the_stale_limit(void **state)
{
	struct record r = make();
	int64_t now;

	(void)state;
	ANSWER(&r, START, 60, "192.0.2.1");
	for (now = r.due; now < START + 86400; now = r.due) {
		record_failed(&r, "no answer (timeout)", now, &config);
		assert_int_equal(r.answered, START);
		if (r.due + 120 < START + 86400)
			assert_int_equal(ends(&r, "192.0.2.1"), r.due + 120);
		else
			assert_int_equal(ends(&r, "192.0.2.1"), START + 86400);
	}
	assert_true(now >= START + 86400);
	record_failed(&r, "no answer (timeout)", now, &config);
	assert_int_equal(ends(&r, "192.0.2.1"), START + 86400);	/* it was the last answer's, and is kept to be shown */
	assert_int_equal(r.count, 1);
	drop(&r);
}

/* A stale limit that is shorter than TTL and grace takes nothing back. */
static void failure_never_shortens(void **state)
{
	struct config short_stale = config;
	struct record r = make();

	(void)state;
	short_stale.max_stale = 100;
	ANSWER(&r, START, 3600, "192.0.2.1");
	record_failed(&r, "x", START + 50, &short_stale);
	assert_int_equal(ends(&r, "192.0.2.1"), START + 3720);
	drop(&r);
}

static void extension_at_boot(void **state)
{
	static const struct {
		int64_t after, expires;		/* the answer; TTL 60, so it is due after 60 and ends after 180 */
	} rows[] = {
		{ 0, 180 },			/* not due yet: until then and its grace */
		{ 59, 180 },
		{ 60, 180 },
		{ 100, 220 },			/* due: now and the grace */
		{ 50000, 50120 },
		{ 86280, 86400 },
		{ 86399, 86400 },		/* the stale limit */
		{ 86400, 86400 },
		{ 100000, 86400 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct record r = make();

		ANSWER(&r, START, 60, "192.0.2.1");
		record_extend(&r, START + rows[i].after, &config);
		assert_int_equal(ends(&r, "192.0.2.1"), START + rows[i].expires);
		assert_int_equal(r.due, START + 60);
		drop(&r);
	}
}

static void extension_leaves_what_dns_took_back(void **state)
{
	struct record r = make();

	(void)state;
	ANSWER(&r, START, 60, "192.0.2.1");
	ANSWER(&r, START + 60, 60, "192.0.2.2");
	record_extend(&r, START + 5000, &config);
	assert_int_equal(ends(&r, "192.0.2.1"), START + 180);
	assert_int_equal(ends(&r, "192.0.2.2"), START + 5120);
	drop(&r);
	r = make();			/* never answered: nothing to extend */
	record_extend(&r, START, &config);
	assert_int_equal(r.count, 0);
	drop(&r);
}

static void keep_follows_the_names(void **state)
{
	static const char *const two[] = { "a.example", "c.example" }, *const other[] = { "b.example", "c.example" };
	struct records records = { 0 };
	struct record *r;

	(void)state;
	assert_int_equal(records_keep(&records, two, 2, &e), 0);
	assert_int_equal(records.count, 4);
	r = records_find(&records, "c.example", 6);
	assert_non_null(r);
	assert_int_equal(r->due, 0);
	assert_int_equal(r->answered, 0);
	ANSWER(r, START, 60, "2001:db8::1");
	assert_int_equal(records_keep(&records, other, 2, &e), 0);
	assert_int_equal(records.count, 4);
	assert_null(records_find(&records, "a.example", 4));
	assert_null(records_find(&records, "b.exampl", 4));
	assert_int_equal(records_find(&records, "b.example", 4)->due, 0);
	r = records_find(&records, "c.example", 6);
	assert_string_equal(r->name, "c.example");
	assert_int_equal(r->due, START + 60);
	assert_int_equal(ends(r, "2001:db8::1"), START + 180);
	assert_int_equal(records_keep(&records, NULL, 0, &e), 0);
	assert_int_equal(records.count, 0);
	records_free(&records);
}

static void file_round_trip(void **state)
{
	static const char *const names[] = { "a.example", "b.example" };
	struct records records = { 0 }, back;
	struct record *r;

	(void)state;
	assert_int_equal(records_keep(&records, names, 2, &e), 0);
	r = records_find(&records, "a.example", 4);
	ANSWER(r, START, 60, "192.0.2.1", "192.0.2.2");
	ANSWER(r, START + 60, 60, "192.0.2.2");
	ANSWER(records_find(&records, "b.example", 6), START, 60, "2001:db8::1");
	record_failed(records_find(&records, "b.example", 4), "no such name (NXDOMAIN)", START, &config);
	assert_int_equal(records_write(unit_path("file"), &records, &e), 0);
	assert_int_equal(records_read(unit_path("file"), &back, &e), 0);
	assert_int_equal(back.count, records.count);
	for (size_t i = 0; i < back.count; i++) {
		const struct record *was = &records.list[i], *is = &back.list[i];

		assert_string_equal(is->name, was->name);
		assert_string_equal(record_why(is), record_why(was));
		assert_int_equal(is->family, was->family);
		assert_int_equal(is->answered, was->answered);
		assert_int_equal(is->tried, was->tried);
		assert_int_equal(is->due, was->due);
		assert_int_equal(is->failures, was->failures);
		assert_int_equal(is->count, was->count);
		for (size_t k = 0; k < is->count; k++) {
			assert_memory_equal(&is->addresses[k].address, &was->addresses[k].address, 16);
			assert_int_equal(is->addresses[k].expires, was->addresses[k].expires);
			assert_int_equal(is->addresses[k].current, was->addresses[k].current);
		}
	}
	records_free(&back);
	records_free(&records);
}

static void missing_and_empty_files(void **state)
{
	struct records records;

	(void)state;
	assert_int_equal(records_read(unit_path("file"), &records, &e), 0);
	assert_int_equal(records.count, 0);
	unit_write_text("");
	assert_int_equal(records_read(unit_path("file"), &records, &e), 0);
	assert_int_equal(records.count, 0);
	records_free(&records);
}

#define GOOD "[resolved]\nrecord = a.example 4 1 1 61 0 -\naddress = 192.0.2.1 181 1\n"

static void corrupt_files_refused(void **state)
{
	static const char *const rows[] = {
		GOOD "garbage",
		GOOD "record = b.example\n",
		GOOD "record = b.example 5 1 1 61 0 -\n",
		GOOD "record = b.example 4 -1 1 61 0 -\n",
		GOOD "record = b.example 4 1 -1 61 0 -\n",
		GOOD "record = b.example 4 1 1 -61 0 -\n",
		GOOD "record = b.example 4 1 1 x 0 -\n",
		GOOD "record =\n",
		GOOD "address = 192.0.2.256 181 1\n",
		GOOD "address = 192.0.2.1 181\n",
		GOOD "address = 192.0.2.1 -181 1\n",
		GOOD "address = 192.0.2.1 181 2\n",
		GOOD "address = 192.0.2.1 181 -1\n",
		GOOD "address =\n",
		GOOD "other = 1\n",
		GOOD "[other]\nrecord = b.example 4 1 1 61 0 -\n",
		"[resolved]\naddress = 192.0.2.1 181 1\n",
		"record = a.example 4 1 1 61 0 -\n",
		"\x7f" "ELF\x02\x01\x01",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct records records = { .count = 4711 };

		unit_write_text(rows[i]);
		if (records_read(unit_path("file"), &records, &e) != -EINVAL)
			fail_msg("row %zu is read", i);
		assert_int_equal(records.count, 0);
		assert_null(records.list);
		assert_non_null(strstr(e.text, unit_path("file")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ttl_is_clamped_and_graced),
		cmocka_unit_test(due_with_the_shortest),
		cmocka_unit_test(repeated_address_counts_once),
		cmocka_unit_test(rotation_keeps_the_old_until_they_end),
		cmocka_unit_test(merge_never_shortens),
		cmocka_unit_test(empty_answer_takes_nothing_away),
		cmocka_unit_test(failures_back_off),
		cmocka_unit_test(failures_keep_until_the_stale_limit),
		cmocka_unit_test(failure_never_shortens),
		cmocka_unit_test(extension_at_boot),
		cmocka_unit_test(extension_leaves_what_dns_took_back),
		cmocka_unit_test(keep_follows_the_names),
		UNIT_FILE_TEST(file_round_trip),
		UNIT_FILE_TEST(missing_and_empty_files),
		UNIT_FILE_TEST(corrupt_files_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
