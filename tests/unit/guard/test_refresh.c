// SPDX-License-Identifier: MIT
/* What a round of answers does to the records: answers that are not believed, and names without any address. */
#include "unit/unit.h"

#include "policy/address.h"
#include "guard/refresh.h"

#define NOW 1000000

static struct error e;

/* An answer as text: addresses with spaces between, "" for an empty one, or "!why" for a failure. */
static void set_answer(struct resolve_query *q, const char *text)
{
	char copy[256], *save, *word;

	if (*text == '!') {
		q->failure = text + 1;
		return;
	}
	q->answer.list = calloc(8, sizeof(*q->answer.list));
	strcpy(copy, text);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert_int_equal(address_parse(word, &q->answer.list[q->answer.count].address), 0);
		q->answer.list[q->answer.count++].ttl = 60;
	}
}

static const char *addresses_of(const struct record *r)
{
	static char list[512];
	char text[ADDRESS_TEXT_MAX];

	list[0] = '\0';
	for (size_t i = 0; i < r->count; i++)
		sprintf(list + strlen(list), "%s%s", i ? " " : "", address_format(&r->addresses[i].address, text));
	return list;
}

static void make_config(struct config *c, struct config_private private[3])
{
	*c = (struct config){ .min_ttl = 30, .max_ttl = 3600, .grace = 120, .max_stale = 86400,
			      .private = private, .private_count = 3 };
	assert_int_equal(target_parse("db.example", &private[0].names, &e), 0);
	assert_int_equal(range_parse("10.1.0.0/16", &private[0].range), 0);
	assert_int_equal(target_parse("*.corp.example", &private[1].names, &e), 0);
	assert_int_equal(range_parse("fd00::/8", &private[1].range), 0);
	assert_int_equal(target_parse("*.corp.example", &private[2].names, &e), 0);
	assert_int_equal(range_parse("169.254.0.0/16", &private[2].range), 0);
}

static void answers_are_judged(void **state)
{
	static const struct {
		const char *name, *four, *six;		/* what came back */
		const char *kept4, *kept6;		/* what the records hold then */
		unsigned int failed;
		const char *first;			/* in the report */
	} rows[] = {
		{ "a.example", "192.0.2.1 192.0.2.2", "2001:db8::1", "192.0.2.1 192.0.2.2", "2001:db8::1", 0, "" },
		{ "a.example", "192.0.2.1", "", "192.0.2.1", "", 0, "" },
		{ "a.example", "", "2001:db8::1", "", "2001:db8::1", 0, "" },
		{ "a.example", "", "", "", "", 2, "a.example: answer without an address" },
		{ "a.example", "!server failure", "2001:db8::1", "", "2001:db8::1", 1, "a.example: server failure" },
		{ "a.example", "192.0.2.1", "!server failure", "192.0.2.1", "", 1, "a.example: server failure" },
		{ "a.example", "!one", "!two", "", "", 2, "a.example: one" },
		{ "a.example", "!one", "", "", "", 1, "a.example: one" },
		/* not believed */
		{ "a.example", "10.0.0.1", "", "", "", 1,
			"a.example: 10.0.0.1 is a private address: see [dns] private" },
		{ "a.example", "127.0.0.1", "::1", "", "", 2,
			"a.example: 127.0.0.1 is a loopback address: see [dns] private" },
		{ "a.example", "", "fe80::1", "", "", 1,
			"a.example: fe80::1 is a link-local address: see [dns] private" },
		{ "a.example", "169.254.169.254", "fd00:ec2::254", "", "", 2,
			"a.example: 169.254.169.254 is a metadata service address" },
		{ "a.example", "10.0.0.1 192.0.2.1 127.0.0.1", "", "192.0.2.1", "", 0, "" },
		{ "a.example", "192.0.2.1 0.0.0.0", "::ffff:10.0.0.1 2001:db8::1", "192.0.2.1", "2001:db8::1", 0, "" },
		{ "a.example", "", "64:ff9b::10.0.0.1", "", "", 1,
			"a.example: 64:ff9b::a00:1 is a private address: see [dns] private" },
		/* believed for these names alone */
		{ "db.example", "10.1.2.3", "", "10.1.2.3", "", 0, "" },
		{ "db.example", "10.2.0.1", "", "", "", 1,
			"db.example: 10.2.0.1 is a private address: see [dns] private" },
		{ "x.db.example", "10.1.2.3", "", "", "", 1,
			"x.db.example: 10.1.2.3 is a private address: see [dns] private" },
		{ "x.corp.example", "", "fd12::1", "", "fd12::1", 0, "" },
		{ "x.y.corp.example", "", "fd12::1", "", "fd12::1", 0, "" },
		{ "corp.example", "", "fd12::1", "", "", 1,
			"corp.example: fd12::1 is a private address: see [dns] private" },
		{ "xcorp.example", "", "fd12::1", "", "", 1,
			"xcorp.example: fd12::1 is a private address: see [dns] private" },
		{ "x.xcorp.example", "", "fd12::1", "", "", 1,
			"x.xcorp.example: fd12::1 is a private address: see [dns] private" },
		{ "x.corp.example", "", "fc00::1", "", "", 1,
			"x.corp.example: fc00::1 is a private address: see [dns] private" },
		/* the metadata service is nobody's, whatever range is allowed */
		{ "x.corp.example", "169.254.1.1", "", "169.254.1.1", "", 0, "" },
		{ "x.corp.example", "169.254.169.254", "fd00:ec2::254", "", "", 2,
			"x.corp.example: 169.254.169.254 is a metadata service address" },
	};
	struct config_private private[3];
	struct config c;

	(void)state;
	make_config(&c, private);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct records records = { 0 };
		struct refresh_report report;
		struct refresh f = { 0 };

		assert_int_equal(records_keep(&records, &rows[i].name, 1, &e), 0);
		assert_int_equal(refresh_add(&f, rows[i].name, &e), 0);
		set_answer(&f.queries[0], rows[i].four);
		set_answer(&f.queries[1], rows[i].six);
		assert_int_equal(refresh_merge(&f, &records, &c, NOW, &report, &e), 0);
		if (report.failed != rows[i].failed || strcmp(report.first, rows[i].first))
			fail_msg("row %zu: %zu failed, first '%s'", i, report.failed, report.first);
		assert_int_equal(report.asked, 2);
		assert_string_equal(addresses_of(&records.list[0]), rows[i].kept4);
		assert_string_equal(addresses_of(&records.list[1]), rows[i].kept6);
		assert_int_equal(!!records.list[0].failures + !!records.list[1].failures, rows[i].failed);
		refresh_free(&f);
		records_free(&records);
	}
}

/* A round that fails, or lies, leaves what is there. */
static void failure_keeps_what_is_there(void **state)
{
	static const char *const name = "a.example", *const bad[] = { "!timeout", "10.0.0.1", "" };
	struct config_private private[3];
	struct config c;

	(void)state;
	make_config(&c, private);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct records records = { 0 };
		struct refresh_report report;

		assert_int_equal(records_keep(&records, &name, 1, &e), 0);
		for (int round = 0; round < 2; round++) {
			struct refresh f = { 0 };

			assert_int_equal(refresh_add(&f, name, &e), 0);
			set_answer(&f.queries[0], round ? bad[i] : "192.0.2.1");
			set_answer(&f.queries[1], "");
			assert_int_equal(refresh_merge(&f, &records, &c, NOW + round * 60, &report, &e), 0);
			refresh_free(&f);
		}
		assert_string_equal(addresses_of(&records.list[0]), "192.0.2.1");
		assert_int_equal(records.list[0].failures, 1);
		assert_int_equal(records.list[0].answered, NOW);
		assert_int_equal(records.list[0].addresses[0].expires, NOW + 60 + 10 + 120);
		records_free(&records);
	}
}

static void revoked_meanwhile_is_let_go(void **state)
{
	const struct config c = { .max_ttl = 3600 };
	struct records none = { 0 };
	struct refresh_report report;
	struct refresh f = { 0 };

	(void)state;
	assert_int_equal(refresh_add(&f, "gone.example", &e), 0);
	set_answer(&f.queries[0], "192.0.2.1");
	set_answer(&f.queries[1], "!x");
	assert_int_equal(refresh_merge(&f, &none, &c, NOW, &report, &e), 0);
	assert_int_equal(none.count, 0);
	refresh_free(&f);
}

static void only_the_due_are_asked(void **state)
{
	static const char *const names[] = { "a.example", "b.example", "c.example", "d.example" };
	struct records records = { 0 };
	struct refresh f = { 0 };

	(void)state;
	assert_int_equal(records_keep(&records, names, 4, &e), 0);
	for (size_t i = 0; i < records.count; i++)
		records.list[i].due = NOW + 1;
	records_find(&records, "b.example", 4)->due = NOW;
	records_find(&records, "d.example", 6)->due = 0;
	assert_int_equal(refresh_add_due(&f, &records, NOW, &e), 0);
	assert_int_equal(f.count, 4);
	for (size_t i = 0; i < f.count; i++) {
		assert_string_equal(f.queries[i].name, i < 2 ? "b.example" : "d.example");
		assert_int_equal(f.queries[i].family, i % 2 ? 6 : 4);
	}
	refresh_free(&f);
	assert_int_equal(refresh_add_due(&f, &records, -1, &e), 0);
	assert_int_equal(f.count, 0);
	refresh_free(&f);
	records_free(&records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_judged),
		cmocka_unit_test(failure_keeps_what_is_there),
		cmocka_unit_test(revoked_meanwhile_is_let_go),
		cmocka_unit_test(only_the_due_are_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
