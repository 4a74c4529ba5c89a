/* SPDX-License-Identifier: MIT */
/* What the unit tests share. */
#ifndef OHGUARD_TEST_UNIT_H
#define OHGUARD_TEST_UNIT_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* A folder of this process alone; cmocka's setup and teardown of each test that writes files. */
static char unit_folder[64];

static inline int unit_make_folder(void **state)
{
	(void)state;
	strcpy(unit_folder, "/tmp/ohguard-unit-XXXXXX");
	return mkdtemp(unit_folder) ? 0 : -1;
}

static inline const char *unit_path(const char *name)
{
	static char path[384];

	snprintf(path, sizeof(path), "%s/%s", unit_folder, name);
	return path;
}

/* Fails where the test has left more than "file", which is what it may: and removes that as well. */
static inline int unit_remove_folder(void **state)
{
	DIR *d = opendir(unit_folder);
	struct dirent *entry;
	int left = 0;

	(void)state;
	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] != '.')
			left += strcmp(entry->d_name, "file") != 0;
		unlink(unit_path(entry->d_name));
	}
	if (d)
		closedir(d);
	return rmdir(unit_folder) || left ? -1 : 0;
}

/* Writes bytes to "file" and returns its path. */
static inline const char *unit_write(const void *bytes, size_t size)
{
	const char *path = unit_path("file");
	FILE *f;

	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0644), 0);
	return path;
}

static inline const char *unit_write_text(const char *text)
{
	return unit_write(text, strlen(text));
}

/* The whole of "file". */
static inline const char *unit_read(void)
{
	static char text[65536];
	FILE *f = fopen(unit_path("file"), "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

#define UNIT_FILE_TEST(test) cmocka_unit_test_setup_teardown(test, unit_make_folder, unit_remove_folder)

#endif
