// SPDX-License-Identifier: MIT
/* What a change leaves in the files when it succeeds, and when the kernel does not take it. */
#include "unit/unit.h"

#include <fcntl.h>
#include <time.h>

#include "guard/change.h"

#define BEFORE "old.example"
#define ADDED "new.example"

static struct error e;

static int add(struct guard *g, int64_t now, void *context, struct error *error)
{
	struct target t;

	(void)now, (void)context;
	return target_parse(ADDED, &t, error) ? -EINVAL : grants_add(&g->grants, &t, 0, error);
}

static int refuse_edit(struct guard *g, int64_t now, void *context, struct error *error)
{
	(void)g, (void)now, (void)context;
	return error_set(error, EPERM, "no");
}

/* Ends as the test says; the file of the grants is written by then. */
static int enforce(struct guard *g, int64_t now, void *context, struct error *error)
{
	const int *result = context;

	(void)g, (void)now;
	return *result ? error_set(error, -*result, "the kernel's error") : 0;
}

static bool file_holds(const char *name, const char *word)
{
	char text[2048] = "";
	FILE *f = fopen(unit_path(name), "re");

	if (f) {
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
	}
	return strstr(text, word);
}

static struct guard open_guard(int64_t lapses)
{
	struct guard g = { .engine = ENGINE_EMPTY, .lock = open("/dev/null", O_RDONLY | O_CLOEXEC) };
	struct grants grants = { 0 };
	struct target t;

	snprintf(g.state, sizeof(g.state), "%s", unit_folder);
	assert_int_equal(config_default(&g.config, &e), 0);
	assert_int_equal(target_parse(BEFORE, &t, &e), 0);
	assert_int_equal(grants_add(&grants, &t, lapses, &e), 0);
	assert_int_equal(grants_write(unit_path("grants"), &grants, &e), 0);
	grants_free(&grants);
	unlink(unit_path("records"));
	return g;
}

static void files_say_what_came_of_it(void **state)
{
	static const struct {
		const char *what;
		change_step edit;
		bool widens;
		int kernel, result;		/* what enforce() and change_policy() end with */
		bool added, recorded, in_force;
	} rows[] = {
		{ "success", add, true, 0, 0, true, true, true },
		{ "an edit that is refused", refuse_edit, true, 0, -EPERM, false, false, false },
		{ "more, which the kernel refuses", add, true, -EPERM, -EPERM, false, false, false },
		{ "more, for which a map has no room", add, true, -E2BIG, -E2BIG, false, false, false },
		{ "less, which the kernel refuses", add, false, -EPERM, -EPERM, true, false, false },
		{ "less, for which a map has no room", add, false, -E2BIG, -E2BIG, true, true, true },
		{ "answers that the kernel refuses", NULL, false, -EPERM, -EPERM, false, false, false },
		{ "answers for which a map has no room", NULL, false, -E2BIG, -E2BIG, false, true, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct guard g = open_guard(0);
		int kernel = rows[i].kernel;
		struct change c = { .edit = rows[i].edit, .put_in_force = enforce, .context = &kernel,
				    .widens = rows[i].widens };
		int r = change_policy(&g, &c, &e);

		if (r != rows[i].result || c.in_force != rows[i].in_force)
			fail_msg("%s: ends with %d, %sin force", rows[i].what, r, c.in_force ? "" : "not ");
		if (!file_holds("grants", BEFORE) || file_holds("grants", ADDED) != rows[i].added)
			fail_msg("%s: grants", rows[i].what);
		if (file_holds("records", BEFORE) != rows[i].recorded)
			fail_msg("%s: records", rows[i].what);
		if (r && strcmp(e.text, r == -EPERM && rows[i].edit == refuse_edit ? "no" : "the kernel's error"))
			fail_msg("%s: says %s", rows[i].what, e.text);
		if (g.lock < 0)
			fail_msg("%s: the lock was held, and is not any more", rows[i].what);
		guard_close(&g);
	}
	unlink(unit_path("grants"));
	unlink(unit_path("records"));
}

static void grant_that_lapsed_a_day_ago_leaves_the_file(void **state)
{
	int kernel = 0;
	struct change c = { .put_in_force = enforce, .context = &kernel };
	struct guard g = open_guard(time(NULL) - GRANTS_LAPSED_KEPT - 1);

	(void)state;
	kernel = -E2BIG;
	assert_int_equal(change_policy(&g, &c, &e), -E2BIG);
	assert_true(g.lapsed);
	assert_true(file_holds("grants", BEFORE));
	kernel = 0;
	assert_int_equal(change_policy(&g, &c, &e), 0);
	assert_false(file_holds("grants", BEFORE));
	guard_close(&g);
	unlink(unit_path("grants"));
	unlink(unit_path("records"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_say_what_came_of_it, unit_make_folder, unit_remove_folder),
		cmocka_unit_test_setup_teardown(grant_that_lapsed_a_day_ago_leaves_the_file, unit_make_folder,
			unit_remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
