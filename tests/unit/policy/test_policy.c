// SPDX-License-Identifier: MIT
/* Run-time grants, and the policy that they make with the configuration. */
#include "unit/unit.h"

#include <stdbool.h>

#include "policy/grants.h"
#include "policy/policy.h"

#define NOW 1000000

static struct error e;

static struct target target(const char *identity)
{
	struct target t;

	assert_int_equal(target_parse_identity(identity, &t), 0);
	return t;
}

static void add(struct grants *grants, const char *identity, int64_t lapses)
{
	struct target t = target(identity);

	assert_int_equal(grants_add(grants, &t, lapses, &e), 0);
}

static void grants_are_added_changed_and_removed(void **state)
{
	struct target a = target("a.example:443"), b = target("b.example:443");
	struct grants grants = { 0 }, copy;

	(void)state;
	for (int i = 0; i < 20; i++) {
		char name[32];

		sprintf(name, "n%d.example:443", i);
		add(&grants, name, 0);
	}
	add(&grants, "a.example:443", 0);
	add(&grants, "a.example:80", 5);
	assert_int_equal(grants.count, 22);
	add(&grants, "a.example:443", 7);
	assert_int_equal(grants.count, 22);
	assert_int_equal(grants_find(&grants, &a)->lapses, 7);
	assert_null(grants_find(&grants, &b));
	assert_int_equal(grants_copy(&grants, &copy, &e), 0);
	grants_remove(&grants, grants_find(&grants, &a));
	assert_null(grants_find(&grants, &a));
	assert_int_equal(grants.count, 21);
	assert_int_equal(grants_find(&grants,
		&(struct target){ .kind = TARGET_NAME, .service = OH_SERVICE_TCP, .port = 80,
								 .name = "a.example" })->lapses, 5);
	assert_int_equal(copy.count, 22);
	assert_non_null(grants_find(&copy, &a));
	grants_remove(&grants, &grants.list[0]);
	assert_string_equal(grants.list[0].target.name, "n1.example");
	grants_free(&copy);
	grants_free(&grants);
	assert_int_equal(grants.count, 0);
}

static void lapsed_grants_go_after_a_day(void **state)
{
	struct grants grants = { 0 };

	(void)state;
	add(&grants, "a.example:443", NOW);
	add(&grants, "b.example:443", NOW + 1);
	add(&grants, "c.example:443", 0);
	add(&grants, "d.example:443", 1);
	grants_lapse(&grants, GRANTS_LAPSED_KEPT);
	assert_int_equal(grants.count, 4);
	grants_lapse(&grants, NOW - 1 + GRANTS_LAPSED_KEPT);
	assert_int_equal(grants.count, 3);
	grants_lapse(&grants, NOW + GRANTS_LAPSED_KEPT);
	assert_int_equal(grants.count, 2);
	assert_string_equal(grants.list[0].target.name, "b.example");
	assert_string_equal(grants.list[1].target.name, "c.example");
	grants_lapse(&grants, INT64_MAX);
	assert_int_equal(grants.count, 1);
	grants_free(&grants);
}

static void grants_file_round_trip(void **state)
{
	static const char *const list[] = { "a.example:443", "*.b.example:8443", "192.0.2.1:443",
		"[2001:db8::/32]:443" };
	struct grants grants = { 0 }, back;
	char buffer[OH_TARGET_TEXT_MAX];

	(void)state;
	assert_int_equal(grants_read(unit_path("file"), &back, &e), 0);
	assert_int_equal(back.count, 0);
	for (size_t i = 0; i < COUNT(list); i++)
		add(&grants, list[i], i % 2 ? NOW + (int64_t)i : 0);
	assert_int_equal(grants_write(unit_path("file"), &grants, &e), 0);
	assert_int_equal(grants_read(unit_path("file"), &back, &e), 0);
	assert_int_equal(back.count, COUNT(list));
	for (size_t i = 0; i < COUNT(list); i++) {
		assert_string_equal(target_identity(&back.list[i].target, buffer), list[i]);
		assert_int_equal(back.list[i].lapses, i % 2 ? NOW + (int64_t)i : 0);
	}
	grants_free(&grants);
	grants_free(&back);
}

static void corrupt_grants_refused(void **state)
{
	static const char *const rows[] = {
		"[allow]\ntarget = a.example\ngarbage\n",
		"[allow]\ntarget = a.example\ntarget = b..example\n",
		"[allow]\ntarget = a.example\ngrant = b.example\n",
		"[allow]\ntarget = a.example\ngrant = 0 b.example\n",
		"[allow]\ntarget = a.example\ngrant = -5 b.example\n",
		"[allow]\ntarget = a.example\ngrant = 5\n",
		"[allow]\ntarget = a.example\nother = b.example\n",
		"[other]\ntarget = a.example\n",
		"target = a.example\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct grants grants = { .count = 4711 };

		unit_write_text(rows[i]);
		if (grants_read(unit_path("file"), &grants, &e) != -EINVAL)
			fail_msg("row %zu is read", i);
		assert_int_equal(grants.count, 0);
		assert_null(grants.list);
		assert_non_null(strstr(e.text, "move it away"));
		assert_non_null(strstr(e.text, unit_path("file")));
	}
}

/* "443abc" in another place: a number is a number up to its space. */
static void grant_without_a_space_refused(void **state)
{
	struct grants grants;

	(void)state;
	unit_write_text("[allow]\ngrant = 1900000000b.example\n");
	assert_int_equal(grants_read(unit_path("file"), &grants, &e), -EINVAL);
}

static void grants_that_anybody_can_write_refused(void **state)
{
	struct grants grants;

	(void)state;
	unit_write_text("[allow]\ntarget = a.example\n");
	assert_int_equal(chmod(unit_path("file"), 0666), 0);
	assert_int_equal(grants_read(unit_path("file"), &grants, &e), -EPERM);
	assert_int_equal(grants.count, 0);
}

/* What stays of one target, by all that speak of it. */
static void precedence_of_sources(void **state)
{
	static const struct {
		int in_config;
		int64_t lapses[3];		/* of its grants: -1 is none */
		int found;
		enum policy_source source;
		int64_t stays_until;
	} rows[] = {
		{ 1, { -1, -1, -1 }, 1, POLICY_CONFIG, 0 },
		{ 2, { -1, -1, -1 }, 1, POLICY_CONFIG, 0 },
		{ 0, { 0, -1, -1 }, 1, POLICY_RUNTIME, 0 },
		{ 0, { NOW + 5, -1, -1 }, 1, POLICY_GRANT, NOW + 5 },
		{ 0, { NOW + 1, -1, -1 }, 1, POLICY_GRANT, NOW + 1 },
		{ 0, { NOW, -1, -1 }, 0, POLICY_GRANT, 0 },
		{ 0, { 1, -1, -1 }, 0, POLICY_GRANT, 0 },
		{ 1, { 0, -1, -1 }, 1, POLICY_CONFIG, 0 },
		{ 1, { NOW + 5, -1, -1 }, 1, POLICY_CONFIG, 0 },
		{ 1, { 1, -1, -1 }, 1, POLICY_CONFIG, 0 },
		{ 0, { NOW + 5, 0, -1 }, 1, POLICY_RUNTIME, 0 },
		{ 0, { 0, NOW + 5, -1 }, 1, POLICY_RUNTIME, 0 },
		{ 0, { NOW + 5, NOW + 9, NOW + 7 }, 1, POLICY_GRANT, NOW + 9 },
		{ 0, { NOW + 9, 1, NOW + 5 }, 1, POLICY_GRANT, NOW + 9 },
		{ 1, { NOW + 9, 0, NOW + 5 }, 1, POLICY_CONFIG, 0 },
	};
	struct target t = target("a.example:443"), list[4];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct config c = { .targets = list };
		struct grant of_it[3];
		struct grants grants = { .list = of_it };
		const struct policy_target *found;
		struct policy p;

		list[c.target_count++] = target("z.example:443");
		for (int k = 0; k < rows[i].in_config; k++)
			list[c.target_count++] = t;
		list[c.target_count++] = target("a.example:80");
		for (int k = 0; k < 3 && rows[i].lapses[k] >= 0; k++)
			of_it[grants.count++] = (struct grant){ t, rows[i].lapses[k] };
		assert_int_equal(policy_build(&c, &grants, NOW, &p, &e), 0);
		assert_int_equal(p.count, 2 + rows[i].found);
		found = policy_find(&p, &t);
		if (!found != !rows[i].found ||
		    (found && (found->source != rows[i].source || found->lapses != rows[i].stays_until)))
			fail_msg("row %zu: source %d, until %lld", i, found ? (int)found->source : -1,
				 found ? (long long)found->lapses : -1);
		for (size_t k = 1; k < p.count; k++)
			assert_true(target_compare(p.list[k - 1].target, p.list[k].target) < 0);
		policy_free(&p);
	}
}

static void names_to_resolve(void **state)
{
	struct target list[] = {
		target("b.example:443"), target("a.example:443"), target("b.example:80"), target("*.c.example:443"),
		target("192.0.2.1:443"), target("192.0.2.0/24:443"), target("time.example:123/ntp"),
		target("10.0.0.2:53/dns"),
	};
	const struct config c = { .targets = list, .target_count = COUNT(list) };
	const struct grants none = { 0 };
	const char **names;
	struct policy p;
	size_t count;

	(void)state;
	assert_int_equal(policy_build(&c, &none, NOW, &p, &e), 0);
	assert_int_equal(policy_names(&p, &names, &count, &e), 0);
	assert_int_equal(count, 3);
	assert_string_equal(names[0], "a.example");
	assert_string_equal(names[1], "b.example");
	assert_string_equal(names[2], "time.example");
	free(names);
	policy_free(&p);
}

static void as_many_targets_as_ids(void **state)
{
	struct target *list = calloc(OH_TARGETS_MAX, sizeof(*list));
	struct config c = { .targets = list, .target_count = OH_TARGETS_MAX - 1 };
	const struct grants none = { 0 };
	struct policy p;

	(void)state;
	for (int i = 0; i < OH_TARGETS_MAX; i++) {
		list[i] = (struct target){ .kind = TARGET_NAME, .service = OH_SERVICE_TCP, .port = 443 };
		sprintf(list[i].name, "n%d.example", i);
	}
	assert_int_equal(policy_build(&c, &none, NOW, &p, &e), 0);
	assert_int_equal(p.count, OH_TARGETS_MAX - 1);
	policy_free(&p);
	c.target_count++;
	assert_int_equal(policy_build(&c, &none, NOW, &p, &e), -E2BIG);
	assert_non_null(strstr(e.text, "16384 targets: at most 16383"));
	free(list);
}

static void no_target_at_all(void **state)
{
	const struct config c = { 0 };
	const struct grants none = { 0 };
	struct target t = target("a.example:443");
	const char **names;
	struct policy p;
	size_t count;

	(void)state;
	assert_int_equal(policy_build(&c, &none, NOW, &p, &e), 0);
	assert_int_equal(p.count, 0);
	assert_null(policy_find(&p, &t));
	assert_int_equal(policy_names(&p, &names, &count, &e), 0);
	assert_int_equal(count, 0);
	free(names);
	policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grants_are_added_changed_and_removed),
		cmocka_unit_test(lapsed_grants_go_after_a_day),
		UNIT_FILE_TEST(grants_file_round_trip),
		UNIT_FILE_TEST(corrupt_grants_refused),
		UNIT_FILE_TEST(grant_without_a_space_refused),
		UNIT_FILE_TEST(grants_that_anybody_can_write_refused),
		cmocka_unit_test(precedence_of_sources),
		cmocka_unit_test(names_to_resolve),
		cmocka_unit_test(as_many_targets_as_ids),
		cmocka_unit_test(no_target_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
