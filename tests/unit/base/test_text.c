// SPDX-License-Identifier: MIT
/* The leaf parsers and printers of text. */
#include "unit/unit.h"

#include "base/text.h"

static void numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		bool good;
		uint64_t value;
	} rows[] = {
		{ "0", 0, 10, true, 0 },
		{ "10", 0, 10, true, 10 },
		{ "11", 0, 10, false, 0 },
		{ "1", 2, 10, false, 0 },
		{ "2", 2, 10, true, 2 },
		{ "007", 0, 10, true, 7 },
		{ "", 0, 10, false, 0 },
		{ " 1", 0, 10, false, 0 },
		{ "1 ", 0, 10, false, 0 },
		{ "+1", 0, 10, false, 0 },
		{ "-1", 0, UINT64_MAX, false, 0 },
		{ "443abc", 0, 65535, false, 0 },
		{ "0x10", 0, 65535, false, 0 },
		{ "1.5", 0, 65535, false, 0 },
		{ "1e3", 0, 65535, false, 0 },
		{ "\xd9\xa1", 0, 65535, false, 0 },	/* an Arabic-Indic one */
		{ "18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, false, 0 },
		{ "99999999999999999999", 0, UINT64_MAX, false, 0 },
		{ "184467440737095516150", 0, UINT64_MAX, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t value = 4711;
		int r = text_parse_number(rows[i].text, rows[i].min, rows[i].max, &value);

		if (r != (rows[i].good ? 0 : -22) || value != (rows[i].good ? rows[i].value : 4711))
			fail_msg("'%s': %d, %llu", rows[i].text, r, (unsigned long long)value);
	}
}

static void seconds(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool good;
		uint64_t value;
	} rows[] = {
		{ "0", 100, true, 0 },
		{ "30", 100, true, 30 },
		{ "30s", 100, true, 30 },
		{ "5m", 300, true, 300 },
		{ "5m", 299, false, 0 },
		{ "2h", 86400, true, 7200 },
		{ "1d", 86400, true, 86400 },
		{ "86401", 86400, false, 0 },
		{ "2d", 86400, false, 0 },
		{ "s", 100, false, 0 },
		{ "", 100, false, 0 },
		{ "5M", 1000, false, 0 },
		{ "5min", 1000, false, 0 },
		{ "1h30m", 86400, false, 0 },
		{ "-5m", 1000, false, 0 },
		{ "1.5h", 86400, false, 0 },
		{ "5 m", 1000, false, 0 },
		{ "5w", UINT64_MAX, false, 0 },
		{ "213503982334601d", UINT64_MAX, true, 213503982334601ULL * 86400 },
		{ "213503982334602d", UINT64_MAX, false, 0 },
		{ "111111111111111111111111", UINT64_MAX, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t value = 4711;
		int r = text_parse_seconds(rows[i].text, rows[i].max, &value);

		if (r != (rows[i].good ? 0 : -22) || value != (rows[i].good ? rows[i].value : 4711))
			fail_msg("'%s': %d, %llu", rows[i].text, r, (unsigned long long)value);
	}
}

static void size(void **state)
{
	uint64_t value = 4711;

	(void)state;
	assert_int_equal(text_parse_size("3k", 4096, &value), 0);
	assert_int_equal(value, 3072);
	assert_int_equal(text_parse_size("16M", 1 << 30, &value), 0);
	assert_int_equal(value, 16 << 20);
	assert_int_equal(text_parse_size("1G", 1 << 30, &value), 0);
	assert_int_equal(text_parse_size("77", 77, &value), 0);
	assert_int_equal(text_parse_size("78", 77, &value), -22);
	assert_int_equal(text_parse_size("17179869184G", UINT64_MAX, &value), -22);
	assert_int_equal(text_parse_size("5m", 1 << 30, &value), -22);
	assert_int_equal(value, 77);
}

static void seconds_as_text(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} rows[] = {
		{ 0, "0s" }, { 1, "1s" }, { 59, "59s" }, { 60, "1m" }, { 119, "1m" }, { 3599, "59m" }, { 3600, "1h" },
		{ 86399, "23h" }, { 86400, "1d" }, { 172800, "2d" },
	};
	char buffer[32];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(text_seconds(rows[i].seconds, buffer, sizeof(buffer)), rows[i].text);
	assert_string_equal(text_seconds(86400, buffer, 2), "1");
}

static void times_as_text(void **state)
{
	char buffer[TEXT_TIME_MAX];

	(void)state;
	assert_string_equal(text_time(0, buffer), "1970-01-01T00:00:00Z");
	assert_string_equal(text_time(1795468456, buffer), "2026-11-23T21:14:16Z");
	assert_string_equal(text_time(4102444800, buffer), "2100-01-01T00:00:00Z");
	assert_string_equal(text_time(INT64_MAX, buffer), "0000-00-00T00:00:00Z");
}

static void instances(void **state)
{
	static const char *const good[] = { "host", "a", "A-b_9", "12345678901234567890123456789012" };
	static const char *const bad[] = {
		"", ".", "..", "a/b", "a b", "a.b", "a\n", "\xc3\xa4", "123456789012345678901234567890123",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(text_is_instance(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (text_is_instance(bad[i]))
			fail_msg("'%s' is taken as an instance", bad[i]);
	}
}

static void check_printed(void (*print)(FILE *, const char *), const char *text, const char *expect)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	print(f, text);
	fclose(f);
	if (strcmp(out, expect))
		fprintf(stderr, "printed '%s', not '%s'\n", out, expect);
	assert_string_equal(out, expect);
	free(out);
}

static void hostile_text_is_escaped(void **state)
{
	static const struct {
		const char *text, *plain, *json;
	} rows[] = {
		{ "curl", "curl", "curl" },
		{ "", "", "" },
		{ "a\"b\\c", "a\"b\\c", "a\\\"b\\\\c" },
		{ "\n\t\x1b[31m", "\\x0a\\x09\\x1b[31m", "\\u000a\\u0009\\u001b[31m" },
		{ "\x01\x1f \x7f", "\\x01\\x1f \\x7f", "\\u0001\\u001f \\u007f" },
		{ "b\xc3\xbc" "cher", "b\xc3\xbc" "cher", "b\xc3\xbc" "cher" },
		{ "\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80" },
		/* C1 controls, which terminals obey too */
		{ "\xc2\x9b" "31m", "\\xc2\\x9b31m", "\\u00c2\\u009b31m" },
		{ "\xc2\x80\xc2\xa0", "\\xc2\\x80\xc2\xa0", "\\u00c2\\u0080\xc2\xa0" },
		/* what turns the text around it round, or breaks its line */
		{ "a\xe2\x80\xae" "b", "a\\xe2\\x80\\xaeb", "a\\u00e2\\u0080\\u00aeb" },
		{ "\xe2\x80\xa8\xe2\x80\xaa", "\\xe2\\x80\\xa8\\xe2\\x80\\xaa",
			"\\u00e2\\u0080\\u00a8\\u00e2\\u0080\\u00aa" },
		{ "\xe2\x81\xa6\xe2\x81\xa9", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9",
			"\\u00e2\\u0081\\u00a6\\u00e2\\u0081\\u00a9" },
		{ "\xe2\x80\x8e\xe2\x80\x8f", "\\xe2\\x80\\x8e\\xe2\\x80\\x8f",
			"\\u00e2\\u0080\\u008e\\u00e2\\u0080\\u008f" },
		{ "\xd8\x9c", "\\xd8\\x9c", "\\u00d8\\u009c" },
		/* and their neighbours, which do not */
		{ "\xe2\x80\x8d\xe2\x80\x90", "\xe2\x80\x8d\xe2\x80\x90", "\xe2\x80\x8d\xe2\x80\x90" },
		{ "\xe2\x80\xa7\xe2\x80\xaf", "\xe2\x80\xa7\xe2\x80\xaf", "\xe2\x80\xa7\xe2\x80\xaf" },
		{ "\xe2\x81\xa5\xe2\x81\xaa", "\xe2\x81\xa5\xe2\x81\xaa", "\xe2\x81\xa5\xe2\x81\xaa" },
		{ "\xd8\x9b\xd8\x9d", "\xd8\x9b\xd8\x9d", "\xd8\x9b\xd8\x9d" },
		/* no UTF-8: alone, cut, overlong, surrogates, too high */
		{ "\x80", "\\x80", "\\u0080" },
		{ "\xff\xfe", "\\xff\\xfe", "\\u00ff\\u00fe" },
		{ "\xc3", "\\xc3", "\\u00c3" },
		{ "\xe2\x82", "\\xe2\\x82", "\\u00e2\\u0082" },
		{ "\xf0\x9f\x98", "\\xf0\\x9f\\x98", "\\u00f0\\u009f\\u0098" },
		{ "\xc3\xc3\xbc", "\\xc3\xc3\xbc", "\\u00c3\xc3\xbc" },
		{ "\xc0\xaf", "\\xc0\\xaf", "\\u00c0\\u00af" },
		{ "\xc1\xbf", "\\xc1\\xbf", "\\u00c1\\u00bf" },
		{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf", "\\u00e0\\u0080\\u00af" },
		{ "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf", "\\u00e0\\u009f\\u00bf" },
		{ "\xe0\xa0\x80", "\xe0\xa0\x80", "\xe0\xa0\x80" },
		{ "\xed\x9f\xbf", "\xed\x9f\xbf", "\xed\x9f\xbf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80", "\\u00ed\\u00a0\\u0080" },
		{ "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf", "\\u00f0\\u008f\\u00bf\\u00bf" },
		{ "\xf0\x90\x80\x80", "\xf0\x90\x80\x80", "\xf0\x90\x80\x80" },
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\u00f4\\u0090\\u0080\\u0080" },
		{ "\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80", "\\u00f5\\u0080\\u0080\\u0080" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_printed(text_print, rows[i].text, rows[i].plain);
		check_printed(text_print_json, rows[i].text, rows[i].json);
	}
}

static void numbers_are_put(void **state)
{
	static const struct {
		uint64_t number;
		const char *text;
	} rows[] = { { 0, "0" }, { 9, "9" }, { 10, "10" }, { 255, "255" }, { UINT64_MAX, "18446744073709551615" } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[21];

		*text_put_number(text, rows[i].number) = '\0';
		assert_string_equal(text, rows[i].text);
	}
}

static void nearest_word_is_the_one_that_was_meant(void **state)
{
	static const char *const words[] = { "load", "unload", "list", "status", "stats", "allow" };
	static const struct {
		const char *typed, *meant;
	} rows[] = {
		{ "laod", "load" }, { "lod", "load" }, { "loadd", "load" }, { "statuss", "status" },
		{ "allwo", "allow" },
		{ "statu", NULL },	/* two are as near */
		{ "zzzz", NULL }, { "", NULL }, { "x", NULL },
		{ "a-word-that-is-far-longer-than-any-command-is", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *found = text_nearest(rows[i].typed, words, COUNT(words));

		if (found != rows[i].meant && (!found || !rows[i].meant || strcmp(found, rows[i].meant)))
			fail_msg("%s: %s", rows[i].typed, found ? found : "nothing");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nearest_word_is_the_one_that_was_meant),
		cmocka_unit_test(numbers),
		cmocka_unit_test(numbers_are_put),
		cmocka_unit_test(seconds),
		cmocka_unit_test(size),
		cmocka_unit_test(seconds_as_text),
		cmocka_unit_test(times_as_text),
		cmocka_unit_test(instances),
		cmocka_unit_test(hostile_text_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
