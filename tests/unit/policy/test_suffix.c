// SPDX-License-Identifier: MIT
/* Which suffixes are wide, by the list in the binary and by the system's. */
#include "unit/unit.h"

#include "policy/suffix.h"

struct row {
	/* open: below which name anyone can have one; NULL: nobody else can; BELOW: some that is below */
	const char *suffix, *open;
};

#define BELOW "*"

static bool is_below(const char *name, const char *suffix)
{
	size_t len = strlen(name), its = strlen(suffix + 1);

	return len > its && !strcmp(name + len - its, suffix + 1);
}

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char open[SUFFIX_RULE_MAX] = "";
		struct target t;
		struct error e;
		bool wide;

		assert_int_equal(target_parse(rows[i].suffix, &t, &e), 0);
		wide = suffix_is_wide(&t, open);
		if (wide && rows[i].open && !strcmp(rows[i].open, BELOW) && is_below(open, rows[i].suffix))
			continue;
		if (wide != !!rows[i].open || (wide && strcmp(open, rows[i].open)))
			fail_msg("%s: %s", rows[i].suffix, wide ? open : "not wide");
	}
}

static void suffixes_of_the_list(void **state)
{
	static const struct row rows[] = {
		/* their own owner's alone */
		{ "*.openai.com", NULL }, { "*.api.openai.com", NULL }, { "*.example.com", NULL },
		{ "*.bucket.s3.amazonaws.com", NULL }, { "*.example.co.uk", NULL }, { "*.me.github.io", NULL },
		{ "*.www.ck", NULL }, { "*.city.kawasaki.jp", NULL }, { "*.deep.city.kawasaki.jp", NULL },
		{ "*.a.b.ck", NULL }, { "*.lab.example", NULL }, { "api.openai.com", NULL }, { "*.azure.com", NULL },
		{ "*.notamazonaws.com", NULL }, { "192.0.2.0/24", NULL },
		/* public themselves: of registries, and of who rents out names */
		{ "*.com", "com" }, { "*.co.uk", "co.uk" }, { "*.github.io", "github.io" },
		{ "*.hf.space", "hf.space" }, { "*.azurefd.net", "azurefd.net" },
		{ "*.blob.core.windows.net", "blob.core.windows.net" },
		{ "*.s3.us-east-1.amazonaws.com", "s3.us-east-1.amazonaws.com" },
		{ "*.lambda-url.us-east-1.on.aws", "lambda-url.us-east-1.on.aws" },
		{ "*.xn--55qx5d.cn", "xn--55qx5d.cn" },
		/* by a wildcard, and where one begins */
		{ "*.b.ck", "b.ck" }, { "*.ck", "ck" }, { "*.other.kawasaki.jp", "other.kawasaki.jp" },
		{ "*.kawasaki.jp", "*.kawasaki.jp" },
		{ "*.us-east-1.compute.amazonaws.com", "us-east-1.compute.amazonaws.com" },
		/* above a public one */
		{ "*.windows.net", BELOW }, { "*.core.windows.net", BELOW }, { "*.on.aws", BELOW },
		{ "*.amazonaws.com", BELOW }, { "*.us-east-1.amazonaws.com", "us-east-1.amazonaws.com" },
		{ "*.s3-accesspoint.us-east-1.amazonaws.com", "s3-accesspoint.us-east-1.amazonaws.com" },
		{ "*.compute.amazonaws.com", "*.compute.amazonaws.com" },
		/* no rule knows the last label: who gives out names there is not known */
		{ "*.internal", "internal" }, { "*.example", "example" }, { "*.corp.internal", NULL },
	};

	(void)state;
	check_rows(rows, COUNT(rows));
}

static void wide_is_refused_unless_it_is_said(void **state)
{
	struct target t;
	struct error e;

	(void)state;
	assert_int_equal(target_parse_options("*.windows.net", &t, &e), 0);
	assert_int_equal(suffix_check(&t, false, &e), -EINVAL);
	assert_non_null(strstr(e.text, "*.windows.net: anyone can have a name below "));
	assert_int_equal(suffix_check(&t, true, &e), -EINVAL);
	assert_int_equal(target_parse_options("*.windows.net:8443  wide", &t, &e), 0);
	assert_true(t.wide && !t.plain && t.port == 8443);
	assert_int_equal(suffix_check(&t, false, &e), 0);
	assert_int_equal(target_parse_options("*.in-addr.arpa", &t, &e), 0);
	assert_int_equal(suffix_check(&t, true, &e), 0);
	assert_int_equal(suffix_check(&t, false, &e), -EINVAL);
}

static void use_file(const char *text)
{
	struct error e;

	assert_int_equal(suffix_read(unit_write_text(text), &e), 0);
}

/* What the newer one adds holds besides all that is known already. */
static void newer_file_of_the_system_adds(void **state)
{
	static const struct row without[] = { { "*.new.example", NULL }, { "*.github.io", "github.io" } };
	static const struct row with[] = {
		{ "*.new.example", "new.example" }, { "*.any.wild.example", "any.wild.example" },
		{ "*.not.wild.example", NULL }, { "*.upper.example", "upper.example" }, { "*.github.io", "github.io" },
		{ "*.openai.com", NULL }, { "*.last.example", "last.example" },
	};

	(void)state;
	use_file("// VERSION: 2020-01-01_00-00-00_UTC\nnew.example\n");
	check_rows(without, COUNT(without));
	use_file("new.example\n");
	check_rows(without, COUNT(without));
	use_file("// VERSION: 2999-01-01_00-00-00_UTC\r\n\n// new.example\n  \nnew.example\r\n"
		 "*.wild.example and more\n!not.wild.example\n"
		 "UPPER.example\n\xe5\x85\xac\xe5\x8f\xb8.cn\nlast.example");
	check_rows(with, COUNT(with));
}

static void file_that_is_no_list_changes_nothing(void **state)
{
	static const struct row rows[] = {
		{ "*.new.example", NULL }, { "*.github.io", "github.io" }, { "*.openai.com", NULL },
	};
	static char large[(4 << 20) + 64] = "// VERSION: 2999-01-01_00-00-00_UTC\nnew.example\n";
	struct error e;

	(void)state;
	assert_int_equal(suffix_read(unit_path("none"), &e), 0);
	check_rows(rows, COUNT(rows));
	assert_int_equal(suffix_read(unit_folder, &e), 0);
	check_rows(rows, COUNT(rows));
	use_file("");
	check_rows(rows, COUNT(rows));
	assert_int_equal(suffix_read(unit_write("// VERSION: 2999\nnew.example\n\0", 31), &e), 0);
	check_rows(rows, COUNT(rows));
	memset(large + strlen(large), '\n', sizeof(large) - strlen(large));
	assert_int_equal(suffix_read(unit_write(large, sizeof(large)), &e), 0);
	check_rows(rows, COUNT(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suffixes_of_the_list),
		cmocka_unit_test(wide_is_refused_unless_it_is_said),
		UNIT_FILE_TEST(newer_file_of_the_system_adds),
		UNIT_FILE_TEST(file_that_is_no_list_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
