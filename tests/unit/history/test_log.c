// SPDX-License-Identifier: MIT
/* The history's files: their chain, what a crash leaves, and rotation. */
#include "unit/unit.h"

#include <fcntl.h>
#include <sys/time.h>
#include <time.h>

#include "history/log.h"
#include "history/reader.h"

#define DAY 86400

static const struct config_history limits = { .file_size = 16 << 20, .file_age = DAY, .keep = 90 * DAY, .files = 200 };
static char base[384], mark[384], now[384];

static int start(void **state)
{
	int r = unit_make_folder(state);

	strcpy(base, unit_path("host"));
	strcpy(mark, unit_path("mark"));
	strcpy(now, unit_path("host.jsonl"));
	return r;
}

static int stop(void **state)
{
	char command[192];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s || rm -rf %s", unit_folder, unit_folder);
	return system(command);
}

static void append(struct history_log *log, int count, int64_t at)
{
	struct history_record r = { .count = 1, .reason = OH_FRAGMENT };
	struct error e;

	for (int i = 0; i < count; i++) {
		char fields[128];

		r.first = r.last = at;
		snprintf(fields, sizeof(fields), "\"verdict\": \"refused\", \"reason\": \"fragment\", "
			 "\"name\": \"n%d\"", i);
		assert_int_equal(history_log_append(log, &r, fields, &e), 0);
	}
}

static void write_history(int count)
{
	struct history_log log;
	struct error e;

	assert_int_equal(history_log_open(&log, base, mark, &limits, &e), 0);
	append(&log, count, 1764367800);
	history_log_close(&log);
}

static struct history_verdict verify(struct error *e)
{
	struct history_verdict v;

	assert_int_equal(history_verify(base, mark, &v, e), 0);
	return v;
}

static char *read_now(size_t *ret_size)
{
	static char text[65536];
	FILE *f = fopen(now, "r");

	*ret_size = fread(text, 1, sizeof(text), f);
	fclose(f);
	return text;
}

static void write_now(const char *text, size_t size)
{
	FILE *f = fopen(now, "w");

	fwrite(text, 1, size, f);
	fclose(f);
}

static void chain_goes_on_from_one_writer_to_the_next(void **state)
{
	struct history_verdict v;
	struct error e;

	(void)state;
	v = verify(&e);
	assert_int_equal(v.lines, 0);
	assert_false(v.broken);
	for (int i = 0; i < 3; i++)
		write_history(2);
	v = verify(&e);
	assert_int_equal(v.lines, 6);
	assert_int_equal(v.first, 1);
	assert_false(v.broken);
}

static void any_change_shows(void **state)
{
	char *whole, *second, *third;
	size_t size;
	struct error e;

	(void)state;
	write_history(4);
	whole = read_now(&size);
	for (size_t i = 0; i < size; i++) {
		char was = whole[i];

		if (was == '\n')
			continue;
		whole[i] = (char)(was ^ 1);
		write_now(whole, size);
		if (!verify(&e).broken)
			fail_msg("byte %zu of %zu, '%c', was changed", i, size, was);
		whole[i] = was;
	}
	for (size_t i = 0; i < size; i++) {	/* cut off anywhere */
		write_now(whole, i);
		if (i < size - 1 && !verify(&e).broken)
			fail_msg("cut at %zu of %zu", i, size);
	}
	/* a line is gone from the middle */
	second = (char *)memchr(whole, '\n', size) + 1;
	third = (char *)memchr(second, '\n', size) + 1;
	memmove(second, third, size - (size_t)(third - whole));
	write_now(whole, size - (size_t)(third - second));
	assert_true(verify(&e).broken);
}

static void torn_line_is_told_and_skipped(void **state)
{
	struct history_verdict v;
	struct error e;
	FILE *f;

	(void)state;
	write_history(2);
	f = fopen(now, "a");
	fputs("{\"line\": 3, \"fir", f);
	fclose(f);
	write_history(2);
	v = verify(&e);
	assert_false(v.broken);
	assert_int_equal(v.torn, 1);
	assert_int_equal(v.lines, 4);
}

/* Whoever removes the end, or all of it, cannot have the next writer pass over it. */
static void cut_end_shows_for_ever(void **state)
{
	struct history_log log;
	struct error e;
	size_t size;
	char *text;

	(void)state;
	write_history(5);
	text = read_now(&size);
	write_now(text, (size_t)((char *)memchr(text, '\n', size) - text) + 1);
	assert_true(verify(&e).broken);
	assert_int_equal(history_log_open(&log, base, mark, &limits, &e), 0);
	assert_true(log.cut);
	append(&log, 1, 1764367800);
	history_log_close(&log);
	assert_true(verify(&e).broken);
	assert_non_null(strstr(e.text, "missing"));
}

static int count_line(void *context, const struct history_record *record)
{
	uint64_t *count = context;

	assert_int_equal(record->line, ++*count);
	return 0;
}

static bool exists(const char *name)
{
	return !access(unit_path(name), F_OK);
}

static void file_is_rotated_and_compressed(void **state)
{
	struct history_filter all = { 0 };
	struct history_log log;
	struct history_verdict v;
	uint64_t count = 0;
	struct error e;

	(void)state;
	assert_int_equal(history_log_open(&log, base, mark, &limits, &e), 0);
	append(&log, 10, 1764367800);
	append(&log, 10, 1764367800 + DAY);	/* the first of these is in another file */
	log.size = limits.file_size;
	append(&log, 10, 1764367800 + DAY);
	history_log_close(&log);
	for (int i = 0; i < 500 && (exists("host.000000000001.jsonl") || exists("host.000000000011.jsonl")); i++)
		usleep(10000);
	assert_true(exists("host.000000000001.jsonl.gz") && exists("host.000000000011.jsonl.gz"));
	v = verify(&e);
	assert_false(v.broken);
	assert_int_equal(v.lines, 30);
	assert_int_equal(history_scan(base, &all, count_line, &count, &e), 0);
	assert_int_equal(count, 30);
	/* the oldest goes by age, and what is left still hangs together */
	assert_int_equal(unlink(unit_path("host.000000000001.jsonl.gz")), 0);
	v = verify(&e);
	assert_false(v.broken);
	assert_int_equal(v.first, 11);
	/* but not one from between */
	assert_int_equal(history_log_open(&log, base, mark, &limits, &e), 0);
	append(&log, 1, 1764367800 + 2 * DAY);
	append(&log, 1, 1764367800 + 4 * DAY);
	history_log_close(&log);
	for (int i = 0; i < 500 && !exists("host.000000000021.jsonl.gz"); i++)
		usleep(10000);
	unlink(unit_path("host.000000000021.jsonl.gz"));
	unlink(unit_path("host.000000000021.jsonl"));
	assert_true(verify(&e).broken);
}

/* Line by line, each into a file of its own. Waits until the one before is compressed: what goes is gone by then. */
static void append_alone(struct history_log *log, uint64_t line)
{
	char name[64];

	append(log, 1, 1764367800 + (int64_t)line * DAY);
	snprintf(name, sizeof(name), "host.%012llu.jsonl.gz", (unsigned long long)line - 1);
	for (int i = 0; i < 500 && line > 1 && !exists(name); i++)
		usleep(10000);
}

static void what_is_too_many_or_too_old_is_removed(void **state)
{
	struct config_history few = limits;
	struct timeval old[2] = { 0 };
	struct history_log log;
	struct error e;

	(void)state;
	few.files = 3;
	assert_int_equal(history_log_open(&log, base, mark, &few, &e), 0);
	for (uint64_t line = 1; line <= 5; line++)
		append_alone(&log, line);
	assert_false(exists("host.000000000001.jsonl.gz"));
	assert_true(exists("host.000000000002.jsonl.gz") && exists("host.000000000004.jsonl.gz"));
	old[0].tv_sec = old[1].tv_sec = time(NULL) - few.keep - 60;
	assert_int_equal(utimes(unit_path("host.000000000003.jsonl.gz"), old), 0);
	append_alone(&log, 6);
	history_log_close(&log);
	assert_false(exists("host.000000000002.jsonl.gz") || exists("host.000000000003.jsonl.gz"));
	assert_true(exists("host.000000000004.jsonl.gz") && exists("host.000000000005.jsonl.gz"));
}

static void no_room_leaves_the_file_as_it_was(void **state)
{
	struct history_record r = { .count = 1, .first = 1764367800, .last = 1764367800 };
	struct history_log log;
	struct error e;
	int file, full;

	(void)state;
	write_history(2);
	assert_int_equal(history_log_open(&log, base, mark, &limits, &e), 0);
	full = open("/dev/full", O_WRONLY);
	file = log.file;
	log.file = full;
	assert_int_equal(history_log_append(&log, &r, "\"reason\": \"fragment\"", &e), -ENOSPC);
	log.file = file;
	close(full);
	append(&log, 1, 1764367800);
	history_log_close(&log);
	assert_false(verify(&e).broken);
	assert_int_equal(verify(&e).lines, 3);
}

#define LOG_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(chain_goes_on_from_one_writer_to_the_next),
		LOG_TEST(any_change_shows),
		LOG_TEST(torn_line_is_told_and_skipped),
		LOG_TEST(cut_end_shows_for_ever),
		LOG_TEST(file_is_rotated_and_compressed),
		LOG_TEST(what_is_too_many_or_too_old_is_removed),
		LOG_TEST(no_room_leaves_the_file_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
