// SPDX-License-Identifier: MIT
/* The reader of INI files: strict, and every error with file and line. */
#include "unit/unit.h"

#include <fcntl.h>

#include "base/ini.h"

#define SEEN_MAX 4096

static char seen[SEEN_MAX];
static unsigned int sections;

/* Notes the pairs that it is given, and counts sections; refuses the key "refused", and the section. */
static int note(void *context, const char *section, const char *key, const char *value, struct error *e)
{
	size_t used = strlen(seen);

	assert_ptr_equal(context, seen);
	if (!key) {
		assert_null(value);
		sections++;
		return strcmp(section, "refused") ? 0 : error_set(e, ERANGE, "no");
	}
	snprintf(seen + used, sizeof(seen) - used, "[%s] %s=%s\n", section, key, value);
	return strcmp(key, "refused") ? 0 : error_set(e, ERANGE, "no");
}

static int read_file(struct error *e)
{
	seen[0] = '\0';
	e->text[0] = '\0';
	return ini_read(unit_path("file"), note, seen, e);
}

static void pairs_are_read(void **state)
{
	static const struct {
		const char *text, *seen;
	} rows[] = {
		{ "", "" },
		{ "\n\n", "" },
		{ "; a comment\n# another\n", "" },
		{ "[dns]\nresolver = 10.0.0.2\n", "[dns] resolver=10.0.0.2\n" },
		{ "[dns]\nresolver=10.0.0.2", "[dns] resolver=10.0.0.2\n" },
		{ "[dns]\r\nresolver = 10.0.0.2 \r\n", "[dns] resolver=10.0.0.2\n" },
		{ "key = value\n", "[] key=value\n" },
		{ "[a]\nk = 1\nk = 2\n[b]\nk = 3\n", "[a] k=1\n[a] k=2\n[b] k=3\n" },
		{ "[a]\nk =\n", "[a] k=\n" },
		{ "[a]\nk = v ; comment\n", "[a] k=v\n" },
		{ "[a]\n  k = v\n\tl = w\n", "[a] k=v\n[a] l=w\n" },
		{ "[a]\nk = a=b:c\n", "[a] k=a=b:c\n" },
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		unit_write_text(rows[i].text);
		if (read_file(&e))
			fail_msg("row %zu: %s", i, e.text);
		assert_string_equal(seen, rows[i].seen);
	}
}

static void bad_lines_are_named(void **state)
{
	static const struct {
		const char *text;
		unsigned int line;
		int result;
	} rows[] = {
		{ "nothing", 1, -EINVAL },
		{ "[a]\nk = v\nnothing\n", 3, -EINVAL },
		{ "[a]\n[unclosed\nk = v\n", 2, -EINVAL },
		{ "\xef\xbb\xbf[a]\nk = v\n", 1, -EINVAL },
		{ "[a]\nk = v\n\nrefused = x\nk = w\n", 4, -ERANGE },
		{ "[a]\n[refused]\nk = w\n", 2, -EINVAL },
		{ "[a]\nk = v\n  [refused] ; with no key", 3, -EINVAL },
	};
	struct error e;
	char where[512];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		unit_write_text(rows[i].text);
		assert_int_equal(read_file(&e), rows[i].result);
		snprintf(where, sizeof(where), "%s:%u: ", unit_path("file"), rows[i].line);
		if (strncmp(e.text, where, strlen(where)))
			fail_msg("row %zu: '%s'", i, e.text);
		assert_null(strstr(seen, "k=w"));
	}
}

static void sections_without_a_key_are_told(void **state)
{
	struct error e;

	(void)state;
	sections = 0;
	unit_write_text("[a]\n[b]\n; [c]\nk = [d]\n [e]\n");
	assert_int_equal(read_file(&e), 0);
	assert_int_equal(sections, 3);
}

/* What follows a section on its line would be skipped: a rule that its author believes to be in force. */
static void rest_behind_a_section_refused(void **state)
{
	struct error e;

	(void)state;
	unit_write_text("[a] k = v\n");
	assert_int_equal(read_file(&e), -EINVAL);
}

static void nul_refused(void **state)
{
	static const char middle[] = "[a]\nk = v\0evil\nl = w\n", first[] = "[a]\n\0k = v\n",
		alone[] = "[a]\n\0\nk = v\n";
	static const struct {
		const char *bytes;
		size_t size;
	} rows[] = { { middle, sizeof(middle) - 1 }, { first, sizeof(first) - 1 }, { alone, sizeof(alone) - 1 } };
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		unit_write(rows[i].bytes, rows[i].size);
		assert_int_equal(read_file(&e), -EINVAL);
		assert_non_null(strstr(e.text, ":2: line holds a NUL byte"));
	}
}

static void nul_in_a_last_line_without_newline_refused(void **state)
{
	static const char bytes[] = "[a]\nk = v\0evil";
	struct error e;

	(void)state;
	unit_write(bytes, sizeof(bytes) - 1);
	assert_int_equal(read_file(&e), -EINVAL);
	assert_string_equal(seen, "");
}

/* A line of `size` bytes without its newline. */
static const char *line_of(size_t size)
{
	static char text[2048];

	memset(text, 'x', size);
	memcpy(text, "key = ", 6);
	strcpy(text + size, "\nk = v\n");
	return text;
}

static void overlong_lines_refused(void **state)
{
	struct error e;

	(void)state;
	unit_write_text(line_of(INI_LINE_MAX - 2));
	assert_int_equal(read_file(&e), 0);
	assert_int_equal(strlen(seen), strlen("[] key=\n") + INI_LINE_MAX - 2 - 6 + strlen("[] k=v\n"));
	unit_write_text(line_of(INI_LINE_MAX - 1));
	assert_int_equal(read_file(&e), -EINVAL);
	assert_non_null(strstr(e.text, ":1: line is longer than 1022 bytes"));
	assert_string_equal(seen, "");
}

static void owner_and_mode(void **state)
{
	static const struct {
		uid_t owner;
		mode_t mode;
		int result;
		const char *why;
	} rows[] = {
		{ 0, 0600, 0, "" },
		{ 0, 0644, 0, "" },
		{ 0, 0444, 0, "" },
		{ 0, 0664, -EPERM, "writable by group or others (mode 0664): chmod go-w it" },
		{ 0, 0646, -EPERM, "writable by group or others (mode 0646): chmod go-w it" },
		{ 0, 0666, -EPERM, "writable by group or others" },
		{ 0, 0777, -EPERM, "writable by group or others" },
		{ 65534, 0644, -EPERM, "belongs to uid 65534" },
	};
	struct error e;

	(void)state;
	if (geteuid()) {
		print_message("skipped: only root can give files away\n");
		skip();
	}
	for (size_t i = 0; i < COUNT(rows); i++) {
		unit_write_text("[a]\nk = v\n");
		assert_int_equal(chown(unit_path("file"), rows[i].owner, 0), 0);
		assert_int_equal(chmod(unit_path("file"), rows[i].mode), 0);
		assert_int_equal(read_file(&e), rows[i].result);
		assert_string_equal(seen, rows[i].result ? "" : "[a] k=v\n");
		assert_non_null(strstr(e.text, rows[i].why));
	}
}

static void no_regular_file(void **state)
{
	struct error e;

	(void)state;
	assert_int_equal(read_file(&e), -ENOENT);
	assert_non_null(strstr(e.text, "No such file"));
	assert_int_equal(mkfifo(unit_path("file"), 0600), 0);
	assert_int_equal(read_file(&e), -EINVAL);	/* and at once: nobody writes to it */
	assert_non_null(strstr(e.text, "not a regular file"));
	assert_int_equal(unlink(unit_path("file")), 0);
	assert_int_equal(ini_read(unit_folder, note, seen, &e), -EINVAL);
	assert_int_equal(ini_read("/dev/null", note, seen, &e), -EINVAL);
	assert_int_equal(symlink("nowhere", unit_path("file")), 0);
	assert_int_equal(read_file(&e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_FILE_TEST(pairs_are_read),
		UNIT_FILE_TEST(bad_lines_are_named),
		UNIT_FILE_TEST(sections_without_a_key_are_told),
		UNIT_FILE_TEST(rest_behind_a_section_refused),
		UNIT_FILE_TEST(nul_refused),
		UNIT_FILE_TEST(nul_in_a_last_line_without_newline_refused),
		UNIT_FILE_TEST(overlong_lines_refused),
		UNIT_FILE_TEST(owner_and_mode),
		UNIT_FILE_TEST(no_regular_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
