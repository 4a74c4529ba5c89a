// SPDX-License-Identifier: MIT
/* What differs between two sets of rules, as lines. */
#include "unit/unit.h"

#include "guard/rules.h"
#include "policy/config_file.h"

static struct error e;

struct told {
	char text[1024];
};

static void tell(bool added, const char *line, void *context)
{
	struct told *t = context;
	size_t used = strlen(t->text);

	snprintf(t->text + used, sizeof(t->text) - used, "%c %s\n", added ? '+' : '-', line);
}

/* The rules of a configuration with these lines. */
static struct rules rules_from(const char *text, const char *cgroup, bool observe)
{
	struct oh_settings settings = { .inspect = 1, .observe = observe };
	struct grants none = { 0 };
	struct policy policy;
	struct rules rules;
	struct config c;

	assert_int_equal(config_read(unit_write(text, strlen(text)), &c, &e), 0);
	settings.inbound_count = (__u32)c.inbound_count;
	memcpy(settings.inbound, c.inbound, sizeof(settings.inbound));
	settings.metadata = c.metadata;
	assert_int_equal(policy_build(&c, &none, 0, &policy, &e), 0);
	assert_int_equal(rules_of(&policy, &settings, cgroup, &c, &rules, &e), 0);
	policy_free(&policy);
	config_free(&c);
	return rules;
}

#define HEAD "[dns]\nresolver = 10.0.0.2\nsearch = none\n[ntp]\nserver = none\n"

static void difference_is_told_line_by_line(void **state)
{
	static const struct {
		const char *before, *after, *told;
		size_t count;
	} rows[] = {
		{ "[allow]\ntarget = a.example", "[allow]\ntarget = a.example\ntarget = a.example:443", "", 0 },
		{ "[allow]\ntarget = a.example", "[allow]\ntarget = b.example", "- a.example:443\n+ b.example:443\n",
		  2 },
		{ "[allow]\ntarget = a.example:22", "[allow]\ntarget = a.example:22 sni=off",
		  "- a.example:22\n+ a.example:22 sni=off\n", 2 },
		{ "[inbound]\naccept = 22 10.0.0.0/8", "[inbound]\naccept = 22-23 10.0.0.0/8\naccept = 80 fc00::/7",
		  "- 10.0.0.0/8:22 inbound\n+ 10.0.0.0/8:22-23 inbound\n+ [fc00::/7]:80 inbound\n", 3 },
		{ "[inbound]\naccept = none", "[inbound]\naccept = none\n[imds]\naccess = allow",
		  "+ [imds] access = allow\n", 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char before[512], after[512];
		struct told told = { "" };
		struct rules a, b;

		snprintf(before, sizeof(before), HEAD "%s\n", rows[i].before);
		snprintf(after, sizeof(after), HEAD "%s\n", rows[i].after);
		a = rules_from(before, "/c", false);
		b = rules_from(after, "/c", false);
		assert_int_equal(rules_compare(&a, &b, tell, &told), rows[i].count);
		assert_string_equal(told.text, rows[i].told);
		rules_free(&a);
		rules_free(&b);
	}
}

static void place_and_mode_are_rules_too(void **state)
{
	struct told told = { "" };
	struct rules a = rules_from(HEAD, "/c", false), b = rules_from(HEAD, "/d", true);

	(void)state;
	assert_int_equal(rules_compare(&a, &b, tell, &told), 3);
	assert_string_equal(told.text, "- cgroup /c\n+ cgroup /d\n+ observe: nothing is refused\n");
	rules_free(&a);
	rules_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(difference_is_told_line_by_line, unit_make_folder, unit_remove_folder),
		cmocka_unit_test_setup_teardown(place_and_mode_are_rules_too, unit_make_folder, unit_remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
