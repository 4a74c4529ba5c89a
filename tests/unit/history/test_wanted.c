// SPDX-License-Identifier: MIT
/* The smallest list that lets pass what was observed. */
#include "history/wanted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "policy/address.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"	/* what is zero is left out */

struct told {
	enum oh_reason reason;
	const char *name, *to;
	uint16_t port;
	uint8_t protocol;		/* 0: TCP */
	uint8_t hook;			/* 0: egress */
	const char *target, *command;
};

static void list(const struct told *told, size_t count, const struct policy *policy, const char *const *suffixes,
		 char *ret, size_t size)
{
	struct wanted w = { 0 };
	struct error e;
	FILE *out;

	for (size_t i = 0; i < count; i++) {
		struct history_record r = { .count = 1, .reason = (uint8_t)told[i].reason, .name = told[i].name,
			.protocol = told[i].protocol ? told[i].protocol : 6, .hook = told[i].hook,
			.destination_port = told[i].port, .target = told[i].target,
			.command = told[i].command, .observed = true };

		if (told[i].to)
			assert_int_equal(address_parse(told[i].to, &r.destination), 0);
		assert_int_equal(wanted_add(&w, &r, &e), 0);
	}
	assert_int_equal(wanted_finish(&w, policy, suffixes, &e), 0);
	memset(ret, 0, size);
	out = fmemopen(ret, size - 1, "w");
	wanted_print(out, &w);
	fclose(out);
	wanted_free(&w);
}

#define LIST(policy, suffixes, ...) do { \
	const struct told told[] = { __VA_ARGS__ }; \
	list(told, sizeof(told) / sizeof(*told), policy, suffixes, text, sizeof(text)); \
} while (0)

static char text[4096];

static void a_connection_is_wanted_by_its_name_once(void **state)
{
	(void)state;
	LIST(NULL, NULL,
	     { OH_DNS_NAME_NOT_ALLOWED, "github.com", "10.0.0.2", 53, 17 },
	     { OH_ADDRESS_NOT_ALLOWED, "github.com", "192.0.2.1", 443 },
	     { OH_ADDRESS_NOT_ALLOWED, "github.com", "192.0.2.2", 443 },
	     { OH_TLS_NAME_NOT_ALLOWED, "github.com", "192.0.2.2", 443 });
	assert_string_equal(text, "[allow]\ntarget = github.com\n");
}

static void ports_and_plain_connections_are_told_apart(void **state)
{
	(void)state;
	LIST(NULL, NULL,
	     { OH_ADDRESS_NOT_ALLOWED, "a.example", "192.0.2.1", 8443 },
	     { OH_TLS_NAME_NOT_ALLOWED, "a.example", "192.0.2.1", 8443 },
	     { OH_PORT_NOT_ALLOWED, "a.example", "192.0.2.1", 22 },
	     { OH_TLS_NOT_TLS, "a.example", "192.0.2.1", 22 },
	     { OH_TLS_NOT_TLS, NULL, "192.0.2.1", 443, .target = "b.example:443" });
	assert_string_equal(text, "[allow]\ntarget = a.example:22 sni=off\ntarget = b.example sni=off\n"
			    "target = a.example:8443\n");
}

static void another_port_of_what_is_allowed_is_wanted_by_its_name(void **state)
{
	(void)state;
	LIST(NULL, NULL,
	     { OH_PORT_NOT_ALLOWED, NULL, "192.0.2.1", 80, .target = "a.example:443" },
	     { OH_PORT_NOT_ALLOWED, NULL, "192.0.2.1", 8443, .target = "a.example:443" },
	     { OH_PORT_NOT_ALLOWED, NULL, "192.0.2.2", 80, .target = "*.b.example:443" });
	assert_string_equal(text, "[allow]\ntarget = a.example:80 sni=off\ntarget = a.example:8443\n"
			    "target = 192.0.2.2:80\n");
}

/* `ohguard verify` tries what must fail: nobody wants it. */
static void what_ohguard_tries_is_not_wanted(void **state)
{
	(void)state;
	LIST(NULL, NULL,
	     { OH_ADDRESS_NOT_ALLOWED, "google.com", "192.0.2.1", 443, .command = HISTORY_OF_VERIFY },
	     { OH_ADDRESS_NOT_ALLOWED, "a.example", "192.0.2.1", 443, .command = "curl" });
	assert_string_equal(text, "[allow]\ntarget = a.example\n");
}

static void an_address_is_wanted_only_where_no_name_is_known(void **state)
{
	(void)state;
	LIST(NULL, NULL,
	     { OH_ADDRESS_NOT_ALLOWED, NULL, "192.0.2.1", 443 },
	     { OH_TLS_NAME_NOT_ALLOWED, "a.example", "192.0.2.1", 443 },
	     { OH_ADDRESS_NOT_ALLOWED, NULL, "192.0.2.9", 22 },
	     { OH_TLS_NOT_TLS, NULL, "192.0.2.9", 22 },
	     { OH_ADDRESS_NOT_ALLOWED, NULL, "2001:db8::9", 443 });
	assert_string_equal(text, "[allow]\ntarget = a.example\ntarget = 192.0.2.9:22\n"
			    "target = [2001:db8::9]:443\n");
}

static void a_name_that_was_only_asked_for_may_be_asked_for(void **state)
{
	(void)state;
	LIST(NULL, NULL,
	     { OH_DNS_NAME_NOT_ALLOWED, "asked.example", "10.0.0.2", 53, 17 },
	     { OH_ADDRESS_NOT_ALLOWED, "asked.example", "192.0.2.1", 0, 17, OH_HOOK_CONNECT4 },
	     { OH_DNS_NAME_NOT_ALLOWED, ".", "10.0.0.2", 53, 17 });
	assert_string_equal(text, "[dns]\n; asked for, and never connected to\nname = asked.example\n");
}

static void suffixes_only_where_asked_for(void **state)
{
	const char *const suffixes[] = { "*.cdn.example", NULL };

	(void)state;
	LIST(NULL, suffixes,
	     { OH_DNS_NAME_NOT_ALLOWED, "c.cdn.example", "10.0.0.2", 53, 17 },
	     { OH_ADDRESS_NOT_ALLOWED, "a.cdn.example", "192.0.2.1", 443 },
	     { OH_ADDRESS_NOT_ALLOWED, "b.cdn.example", "192.0.2.2", 443 },
	     { OH_ADDRESS_NOT_ALLOWED, "cdn.example", "192.0.2.2", 443 },
	     { OH_ADDRESS_NOT_ALLOWED, "othercdn.example", "192.0.2.2", 443 });
	assert_string_equal(text, "[allow]\ntarget = cdn.example\ntarget = othercdn.example\n"
			    "target = *.cdn.example\n");
}

static void what_is_allowed_is_not_wanted(void **state)
{
	struct target a = { .kind = TARGET_NAME, .service = OH_SERVICE_TCP, .port = 443, .name = "a.example" };
	struct policy_target list_of[] = { { .target = &a } };
	struct target asked = { .kind = TARGET_SUFFIX, .name = "ask.example" };
	const struct policy policy = { .list = list_of, .count = 1, .asks = { &asked, 1 } };

	(void)state;
	LIST(&policy, NULL,
	     { OH_DNS_NAME_NOT_ALLOWED, "b.ask.example", "10.0.0.2", 53, 17 },
	     { OH_DNS_NAME_NOT_ALLOWED, "a.example", "10.0.0.2", 53, 17 },
	     { OH_ADDRESS_EXPIRED, "a.example", "192.0.2.1", 443 },
	     { OH_PORT_NOT_ALLOWED, "a.example", "192.0.2.1", 8443 },
	     { OH_TLS_NO_NAME, "a.example", "192.0.2.1", 443 });
	assert_string_equal(text, "[allow]\ntarget = a.example sni=off\ntarget = a.example:8443\n");
}

static void what_no_target_allows_is_a_comment(void **state)
{
	(void)state;
	LIST(NULL, NULL,
	     { OH_PROTOCOL_NOT_ALLOWED, "a.example", "192.0.2.1", 443, 17 },
	     { OH_DNS_RESOLVER_NOT_ALLOWED, NULL, "8.8.8.8", 53, 17 },
	     { OH_TLS_INCOMPLETE, "a.example", "192.0.2.1", 443 },
	     { OH_INBOUND_NOT_ALLOWED, NULL, "192.0.2.1", 443 });
	assert_string_equal(text, "; not to be had by [allow]\n"
			    "; protocol-not-allowed udp to a.example:443: nothing allows it\n"
			    "; dns-resolver-not-allowed udp to 8.8.8.8:53: a resolver: [dns] resolver\n");
}

static void names_from_outside_make_no_lines(void **state)
{
	(void)state;
	LIST(NULL, NULL,
	     { OH_DNS_NAME_NOT_ALLOWED, "a\ntarget = *.example", "10.0.0.2", 53, 17 },
	     { OH_ADDRESS_NOT_ALLOWED, "*.example", "192.0.2.1", 443 },
	     { OH_ADDRESS_NOT_ALLOWED, "b.example sni=off", "192.0.2.1", 443 },
	     { OH_ADDRESS_NOT_ALLOWED, "10.0.0.1", "192.0.2.1", 443 },
	     { OH_PROTOCOL_NOT_ALLOWED, "x\n[allow]", "192.0.2.1", 443, 17 });
	assert_null(strstr(text, "target ="));
	assert_null(strstr(text, "name ="));
	assert_null(strstr(text, "\n[allow]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_is_wanted_by_its_name_once),
		cmocka_unit_test(ports_and_plain_connections_are_told_apart),
		cmocka_unit_test(another_port_of_what_is_allowed_is_wanted_by_its_name),
		cmocka_unit_test(what_ohguard_tries_is_not_wanted),
		cmocka_unit_test(an_address_is_wanted_only_where_no_name_is_known),
		cmocka_unit_test(a_name_that_was_only_asked_for_may_be_asked_for),
		cmocka_unit_test(suffixes_only_where_asked_for),
		cmocka_unit_test(what_is_allowed_is_not_wanted),
		cmocka_unit_test(what_no_target_allows_is_a_comment),
		cmocka_unit_test(names_from_outside_make_no_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
