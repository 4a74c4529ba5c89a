// SPDX-License-Identifier: MIT
/* The history's records, filters, files and sums. */
#include "unit/unit.h"

#include <zlib.h>

#include "history/filter.h"
#include "history/reader.h"
#include "history/record.h"
#include "history/summary.h"
#include "policy/address.h"

static struct history_record sample(void)
{
	struct history_record r = {
		.first = 1764367800, .last = 1764367900, .count = 7, .line = 12, .reason = OH_DNS_NAME_NOT_ALLOWED,
		.hook = OH_HOOK_EGRESS, .protocol = 17, .source_port = 40001, .destination_port = 53, .pid = 4711,
		.uid = 1000, .name = "index.example", .command = "pip", .cgroup = "/system.slice/x.scope",
		.container = "0123456789ab", .container_name = "agent", .container_by = "cgroup",
	};

	assert_int_equal(address_parse("10.0.1.5", &r.source), 0);
	assert_int_equal(address_parse("2001:db8::2", &r.destination), 0);
	return r;
}

/* The line that the file has for it. */
static char *line_of(const struct history_record *r)
{
	static char line[HISTORY_LINE_MAX];
	FILE *f = fmemopen(line, sizeof(line), "w");

	fprintf(f, "{\"line\": %d, \"first\": \"2025-11-28T22:10:00Z\", \"last\": \"2025-11-28T22:11:40Z\", \"count\": "
		"%d, ", (int)r->line, (int)r->count);
	history_print_fields(f, r);
	fprintf(f, ", \"before\": \"ab\"}");
	fclose(f);
	return line;
}

static void same_text(const char *a, const char *b)
{
	assert_int_equal(!a, !b);
	if (a)
		assert_string_equal(a, b);
}

static void same(const struct history_record *a, const struct history_record *b)
{
	struct history_record x = *a, y = *b;

	same_text(a->name, b->name);
	same_text(a->target, b->target);
	same_text(a->command, b->command);
	same_text(a->cgroup, b->cgroup);
	same_text(a->container, b->container);
	same_text(a->container_name, b->container_name);
	same_text(a->container_by, b->container_by);
	same_text(a->interface, b->interface);
	x.name = x.target = x.command = x.cgroup = x.container = x.container_name = x.container_by = NULL;
	y.name = y.target = y.command = y.cgroup = y.container = y.container_name = y.container_by = NULL;
	x.interface = y.interface = NULL;
	assert_memory_equal(&x, &y, sizeof(x));
}

static void line_is_read_as_it_was_written(void **state)
{
	struct history_record r = sample(), back;
	const char *before;
	struct history_record *copy;

	(void)state;
	assert_int_equal(history_parse(line_of(&r), &back, &before), 0);
	same(&r, &back);
	assert_string_equal(before, "ab");
	copy = history_copy(&r);
	same(&r, copy);
	free(copy);
	/* all that is rare, and texts as hostile as they come */
	r = (struct history_record){ .first = r.first, .last = r.last, .count = 1, .line = 1, .reason = OH_TARGET,
				     .hook = OH_HOOK_LSM, .protocol = 200, .observed = true, .reply = true,
				     .others = true, .name = "a\"b\\c\n\x1b[2J\xff\\u0041", .interface = "x\"",
				     .command = "\\", .target = "a.example:443", .original_source = r.source };
	assert_int_equal(history_parse(line_of(&r), &back, &before), 0);
	same(&r, &back);
}

static void damaged_line_is_refused(void **state)
{
	static const char *const lines[] = {
		"", "{", "{}", "x", "{\"line\": 1}", "[1]",
		"{\"line\": 1, \"count\": 1, \"first\": \"2025-11-28T22:10:00Z\"}",
		"{\"line\": -1}", "{\"line\": 99999999999999999999}", "{\"name\": \"\\x\"}", "{\"name\": \"\\",
		"{\"name\": \"\\u00", "{\"reason\": \"no-such\"}", "{\"source\": \"10.0.0\"}", "{\"other\": 1}",
		"{\"source_port\": 65536}", "{\"reply\": maybe}", "{\"first\": \"2025-13-28T22:10:00Z\"}",
	};
	struct history_record r = sample(), back;
	const char *before;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		char line[256];

		strcpy(line, lines[i]);
		if (history_parse(line, &back, &before) != -EBADMSG)
			fail_msg("%s", lines[i]);
	}
	/* cut anywhere, it is no line: what a crash leaves */
	for (size_t i = 0, n = strlen(line_of(&r)); i < n; i++) {
		char *line = line_of(&r);

		line[i] = '\0';
		assert_int_equal(history_parse(line, &back, &before), -EBADMSG);
	}
}

static void filter_takes_what_was_asked_for(void **state)
{
	struct history_record r = sample();
	const struct {
		struct history_filter filter;
		bool takes;
	} rows[] = {
		{ { 0 }, true },
		{ { .since = r.last }, true }, { { .since = r.last + 1 }, false },
		{ { .until = r.first }, true }, { { .until = r.first - 1 }, false },
		{ { .wanted = "*.example" }, true }, { { .wanted = "Index.Example" }, true },
		{ { .wanted = "example" }, false },
		{ { .container = "agent" }, true }, { { .container = "012345" }, true },
		{ { .container = "0123456789abcdef" }, true }, { { .container = "123" }, false },
		{ { .command = "pi?" }, true }, { { .command = "PIP" }, false },
		{ { .reason = OH_DNS_NAME_NOT_ALLOWED }, true }, { { .reason = OH_FRAGMENT }, false },
		{ { .address = &r.destination }, true }, { { .address = &r.source }, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (history_takes(&rows[i].filter, &r) != rows[i].takes)
			fail_msg("row %zu", i);
	}
}

static void times(void **state)
{
	struct error e;
	int64_t t, now = 1764367800;	/* 2025-11-28T22:10:00Z */

	(void)state;
	setenv("TZ", "UTC", 1);
	assert_int_equal(history_parse_time("2h", now, &t, &e), 0);
	assert_int_equal(t, now - 7200);
	assert_int_equal(history_parse_time("2h ago", now, &t, &e), 0);
	assert_int_equal(t, now - 7200);
	assert_int_equal(history_parse_time(" ago", now, &t, &e), -EINVAL);
	assert_int_equal(history_parse_time("22:10 ago", now, &t, &e), -EINVAL);
	assert_int_equal(history_parse_time("2024-02-29T23:59:59Z", now, &t, &e), 0);
	assert_int_equal(t, 1709251199);
	assert_int_equal(history_parse_time("2025-11-28 22:10", now, &t, &e), 0);
	assert_int_equal(t, now);
	assert_int_equal(history_parse_time("22:10:00", now, &t, &e), 0);
	assert_int_equal(t, now);
	assert_int_equal(history_parse_time("yesterday", now, &t, &e), -EINVAL);
	assert_int_equal(history_parse_time("2025-11-28T22:10:00", now, &t, &e), -EINVAL);
}

struct seen {
	size_t count;
	uint64_t lines[16], counts[16];
};

static int see(void *context, const struct history_record *r)
{
	struct seen *s = context;

	assert_true(s->count < 16);
	s->lines[s->count] = r->line;
	s->counts[s->count++] = r->count;
	return 0;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(unit_path(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

#define LINE(line, rest) "{\"line\": " line ", " rest "\"first\": \"2025-11-28T22:10:00Z\", \"last\": " \
	"\"2025-11-28T22:10:00Z\", \"reason\": \"fragment\", \"count\": 1}\n"

static void repeats_are_part_of_their_record(void **state)
{
	struct history_filter all = { 0 };
	char base[384];
	struct seen s = { 0 };
	struct error e;
	gzFile old;

	(void)state;
	snprintf(base, sizeof(base), "%s", unit_path("host"));
	assert_int_equal(history_read(base, &all, see, &s, &e), 0);
	assert_int_equal(s.count, 0);
	old = gzopen(unit_path("host.000000000002.jsonl.gz"), "wb");
	gzputs(old, LINE("2", "") LINE("3", "\"of\": 2, ") LINE("4", "\"of\": 1, ") "torn\n" LINE("5", ""));
	gzclose(old);
	/* its twin is left of a crash, and says nothing new */
	put("host.000000000001.jsonl", LINE("2", ""));
	put("host.jsonl", LINE("6", "\"of\": 2, ") LINE("7", "\"of\": 1, ") LINE("8", "") "{\"li");
	put("host-2.jsonl", LINE("99", ""));
	assert_int_equal(history_read(base, &all, see, &s, &e), 0);
	assert_int_equal(s.count, 4);
	assert_int_equal(s.lines[0], 2);
	assert_int_equal(s.counts[0], 3);
	assert_int_equal(s.lines[1], 4);	/* of the line 1, which is gone */
	assert_int_equal(s.counts[1], 2);
	assert_int_equal(s.lines[2], 5);
	assert_int_equal(s.lines[3], 8);
	s.count = 0;
	assert_int_equal(history_scan(base, &all, see, &s, &e), 0);
	assert_int_equal(s.count, 7);
	unlink(unit_path("host.jsonl"));
	unlink(unit_path("host-2.jsonl"));
	unlink(unit_path("host.000000000001.jsonl"));
	unlink(unit_path("host.000000000002.jsonl.gz"));
}

static void summary_ranks(void **state)
{
	struct history_summary s = { 0 };
	struct history_record r = sample();

	(void)state;
	history_rank(&s);
	assert_int_equal(history_add(&s, &r), 0);
	r.pid++;	/* another process of the same program */
	r.source_port++;
	r.last += 50;
	assert_int_equal(history_add(&s, &r), 0);
	for (int i = 0; i < 1000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%d.example", i);
		r.name = name;
		r.count = (uint64_t)(i == 500 ? 15 : 1);
		assert_int_equal(history_add(&s, &r), 0);
	}
	history_rank(&s);
	assert_int_equal(s.count, 1001);
	assert_string_equal(s.group[0].record->name, "n500.example");
	assert_string_equal(s.group[1].record->name, "index.example");
	assert_int_equal(s.group[1].record->count, 14);
	assert_int_equal(s.group[1].record->last - s.group[1].record->first, 150);
	history_summary_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_is_read_as_it_was_written),
		cmocka_unit_test(damaged_line_is_refused),
		cmocka_unit_test(filter_takes_what_was_asked_for),
		cmocka_unit_test(times),
		UNIT_FILE_TEST(repeats_are_part_of_their_record),
		cmocka_unit_test(summary_ranks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
