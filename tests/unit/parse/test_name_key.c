// SPDX-License-Identifier: MIT
/* Rules and asked names: which rule covers which name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "unit/parse/host.h"

struct cover_case {
	const char *rule, *name;
	int expect;
};

static const struct cover_case covers[] = {
	{"openai.com", "openai.com", 1},
	{"openai.com", "OpenAI.com", 1},
	{"OPENAI.com", "openai.com", 1},
	{"openai.com", "api.openai.com", 0},
	{"openai.com", "evil-openai.com", 0},
	{"openai.com", "openai.com.evil.net", 0},
	{"openai.com", "openai.co", 0},
	{"openai.com", "openai.comm", 0},
	{"openai.com", "com", 0},
	{"*.openai.com", "api.openai.com", 1},
	{"*.openai.com", "a.b.c.openai.com", 1},
	{"*.openai.com", "openai.com", 0},
	{"*.openai.com", "evil-openai.com", 0},
	{"*.openai.com", "evilopenai.com", 0},
	{"*.openai.com", "api.openai.com.evil.net", 0},
	{"*.openai.com", "api.openai_com", 0},
	{"*.api.openai.com", "api.openai.com", 0},
	{"*.api.openai.com", "x.api.openai.com", 1},
	{"*.com", "openai.com", 1},
	{"*.com", "com", 0},
	{"x", "x", 1},
	{"x", "xx", 0},
};

static void rule_covers_what_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(covers) / sizeof(covers[0]); i++) {
		struct oh_name_key rule, name;

		assert_int_equal(oh_key_from_text(&rule, covers[i].rule), 0);
		assert_int_equal(oh_key_from_text(&name, covers[i].name), 0);
		if (oh_key_covers(&rule, &name) != covers[i].expect)
			fail_msg("%s covers %s: not %d", covers[i].rule, covers[i].name, covers[i].expect);
	}
}

static void text_that_is_no_rule_is_refused(void **state)
{
	static const char *const bad[] = {"",	    "*",      "*.",	"..",	  ".com",   "com.",	 "a..b",
					  "*.*.com", "a.*.com", "*com",	"a b",	  "a/b",    "\xc3\xa4.de", "*..com",
					  "1234567890123456789012345678901234567890123456789012345678901234.com"};
	struct oh_name_key key = {.prefixlen = 77};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (oh_key_from_text(&key, bad[i]) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(key.prefixlen, 77);
	}
}

/* It covers nothing but itself: it is no suffix. */
static void root_is_a_name(void **state)
{
	struct oh_name_key root, com;
	char text[OH_KEY_DATA + 2];

	(void)state;
	assert_int_equal(oh_key_from_text(&root, "."), 0);
	assert_int_equal(root.prefixlen, 8);
	assert_int_equal(root.data[0], 0);
	oh_key_to_text(&root, text);
	assert_string_equal(text, ".");
	assert_int_equal(oh_key_from_text(&com, "com"), 0);
	assert_false(oh_key_covers(&root, &com));
	assert_true(oh_key_covers(&root, &root));
}

static void longest_names_are_taken_and_longer_not(void **state)
{
	char text[OH_KEY_TEXT_MAX + 4], back[OH_KEY_DATA + 2];
	struct oh_name_key key;

	(void)state;
	for (int i = 0; i < OH_KEY_TEXT_MAX + 3; i++)
		text[i] = i % 2 ? '.' : 'a';
	text[OH_KEY_TEXT_MAX] = 0;
	assert_int_equal(oh_key_from_text(&key, text), 0);
	assert_int_equal(key.prefixlen, 254 * 8);
	oh_key_to_text(&key, back);
	assert_string_equal(back, text);
	text[OH_KEY_TEXT_MAX] = 'a';
	text[OH_KEY_TEXT_MAX + 1] = 0;
	assert_int_equal(oh_key_from_text(&key, text), -1);
}

static void key_comes_back_as_text(void **state)
{
	static const char *const texts[] = {"openai.com", "*.openai.com", "x", "*.x", "a.b.c.d"};
	char back[OH_KEY_DATA + 2];
	struct oh_name_key key;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(oh_key_from_text(&key, texts[i]), 0);
		oh_key_to_text(&key, back);
		assert_string_equal(back, texts[i]);
	}
}

static void scratch_has_one_owner_at_a_time(void **state)
{
	int slot;

	(void)state;
	for (slot = 0; slot < OH_SLOTS; slot++)
		assert_int_equal(oh_scratch_take(), slot);
	assert_int_equal(oh_scratch_take(), OH_SLOTS);
	oh_scratch_release(2);
	assert_int_equal(oh_scratch_take(), 2);
	assert_int_equal(oh_scratch_take(), OH_SLOTS);
	for (slot = 0; slot < OH_SLOTS; slot++)
		oh_scratch_release((__u32)slot);
	/* A run that has counted and was interrupted before it looked: nobody else takes the slot from under it. */
	oh_scratch(0)->busy++;
	assert_int_equal(oh_scratch_take(), 1);
	assert_int_equal(oh_scratch(0)->busy, 1);
	oh_scratch(0)->busy--;
	oh_scratch_release(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_covers_what_it_says),	  cmocka_unit_test(text_that_is_no_rule_is_refused),
		cmocka_unit_test(root_is_a_name),
		cmocka_unit_test(longest_names_are_taken_and_longer_not), cmocka_unit_test(key_comes_back_as_text),
		cmocka_unit_test(scratch_has_one_owner_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
