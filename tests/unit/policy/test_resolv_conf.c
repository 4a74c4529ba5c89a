// SPDX-License-Identifier: MIT
/* resolv.conf(5): the servers and the search suffixes in it. */
#include "unit/unit.h"

#include "policy/resolv_conf.h"

static void resolvers_are_found(void **state)
{
	static const struct {
		const char *text, *found;
	} rows[] = {
		{ "", "" },
		{ "nameserver 10.0.0.2\n", "10.0.0.2 " },
		{ "# nameserver 10.0.0.9\nsearch x\nnameserver 10.0.0.2\nnameserver 2001:db8::2\noptions edns0\n",
		  "10.0.0.2 2001:db8::2 " },
		{ "nameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.2\n", "10.0.0.2 " },
		{ "nameserver\t10.0.0.2 # comment", "10.0.0.2 " },
		{ "nameserver dns.example\nnameserver fe80::1%eth0\nnameserver\nnameserver 10.0.0.2\n", "10.0.0.2 " },
		{ "nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver 1.0.0.4\nnameserver 1.0.0.5\n"
		  "nameserver 1.0.0.6\nnameserver 1.0.0.7\nnameserver 1.0.0.8\nnameserver 1.0.0.9\n",
		  "1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 1.0.0.8 " },
	};
	struct oh_address found[CONFIG_RESOLVERS_MAX];

	(void)state;
	assert_int_equal(resolv_conf_servers(unit_path("missing"), false, found), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t n = resolv_conf_servers(unit_write_text(rows[i].text), false, found);
		char text[ADDRESS_TEXT_MAX], list[512] = "";

		for (size_t k = 0; k < n; k++) {
			strcat(list, address_format(&found[k], text));
			strcat(list, " ");
		}
		assert_string_equal(list, rows[i].found);
	}
}

/* The last line counts, as for the resolver; what is no name is left out. */
static void search_suffixes_are_found(void **state)
{
	static const struct {
		const char *text, *found;
	} rows[] = {
		{ "", "" },
		{ "nameserver 10.0.0.2\n", "" },
		{ "search corp.example Eu.Corp.Example.\n", "corp.example eu.corp.example " },
		{ "search a.example\ndomain b.example\n", "b.example " },
		{ "domain b.example\nsearch a.example\toptions\n", "a.example options " },
		{ "search .\n", "" },
		{ "search a..b *.x 10.0.0.1 a.example:53 b.example\n", "b.example " },
		{ "# search a.example\nsearching b.example\n", "" },
		{ "search a b c d e f g\n", "a b c d e f " },
	};
	char found[CONFIG_SEARCH_MAX][TARGET_NAME_MAX + 1];

	(void)state;
	assert_int_equal(resolv_conf_search(unit_path("missing"), found), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t n = resolv_conf_search(unit_write_text(rows[i].text), found);
		char list[512] = "";

		for (size_t k = 0; k < n; k++) {
			strcat(list, found[k]);
			strcat(list, " ");
		}
		assert_string_equal(list, rows[i].found);
	}
}

/* Both mean this machine, where nothing but a stub can listen. */
static void unspecified_resolver_is_this_machine(void **state)
{
	struct oh_address found[CONFIG_RESOLVERS_MAX];

	(void)state;
	assert_int_equal(resolv_conf_servers(unit_write_text("nameserver ::\n"), false, found), 0);
	assert_int_equal(resolv_conf_servers(unit_write_text("nameserver 0.0.0.0\n"), false, found), 0);
	unit_write_text("nameserver 0.0.0.0\nnameserver 10.0.0.2\nnameserver 127.0.0.53\n");
	assert_int_equal(resolv_conf_servers(unit_path("file"), true, found), 2);
	assert_int_equal(found[1].byte[15], 53);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_FILE_TEST(resolvers_are_found),
		UNIT_FILE_TEST(search_suffixes_are_found),
		UNIT_FILE_TEST(unspecified_resolver_is_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
