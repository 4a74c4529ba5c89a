// SPDX-License-Identifier: MIT
/* What a user may allow, and how it is written back. */
#include "unit/unit.h"

#include "policy/target.h"

#define L63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define N253 L63 "." L63 "." L63 "." "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"

static void good_targets(void **state)
{
	static const struct {
		const char *text, *identity;
		enum target_kind kind;
	} rows[] = {
		{ "api.openai.com", "api.openai.com:443", TARGET_NAME },
		{ "API.OpenAI.com", "api.openai.com:443", TARGET_NAME },
		{ "api.openai.com.", "api.openai.com:443", TARGET_NAME },
		{ "api.openai.com:80", "api.openai.com:80", TARGET_NAME },
		{ "api.openai.com.:80", "api.openai.com:80", TARGET_NAME },
		{ "api.openai.com:1", "api.openai.com:1", TARGET_NAME },
		{ "api.openai.com:65535", "api.openai.com:65535", TARGET_NAME },
		{ "localhost", "localhost:443", TARGET_NAME },
		{ "_dmarc.example-1.com", "_dmarc.example-1.com:443", TARGET_NAME },
		{ "1password.com", "1password.com:443", TARGET_NAME },
		{ "1.2.3.4.example", "1.2.3.4.example:443", TARGET_NAME },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example:443", TARGET_NAME },
		{ L63 ".com", L63 ".com:443", TARGET_NAME },
		{ N253, N253 ":443", TARGET_NAME },
		{ N253 ".", N253 ":443", TARGET_NAME },
		{ "*.openai.com", "*.openai.com:443", TARGET_SUFFIX },
		{ "*.openai.com:8443", "*.openai.com:8443", TARGET_SUFFIX },
		{ "*." N253, "*." N253 ":443", TARGET_SUFFIX },
		{ "192.0.2.1", "192.0.2.1:443", TARGET_ADDRESS },
		{ "192.0.2.1:22", "192.0.2.1:22", TARGET_ADDRESS },
		{ "192.0.2.1/32", "192.0.2.1:443", TARGET_ADDRESS },
		{ "::ffff:192.0.2.1", "192.0.2.1:443", TARGET_ADDRESS },
		{ "2001:db8::1", "[2001:db8::1]:443", TARGET_ADDRESS },
		{ "[2001:db8::1]", "[2001:db8::1]:443", TARGET_ADDRESS },
		{ "[2001:db8::1]:22", "[2001:db8::1]:22", TARGET_ADDRESS },
		{ "2001:db8::1/128", "[2001:db8::1]:443", TARGET_ADDRESS },
		{ "192.0.2.0/24", "192.0.2.0/24:443", TARGET_RANGE },
		{ "192.0.2.0/24:22", "192.0.2.0/24:22", TARGET_RANGE },
		{ "0.0.0.0/1", "0.0.0.0/1:443", TARGET_RANGE },
		{ "2001:db8::/32", "[2001:db8::/32]:443", TARGET_RANGE },
		{ "[2001:db8::/32]:22", "[2001:db8::/32]:22", TARGET_RANGE },
		{ "2000::/3", "[2000::/3]:443", TARGET_RANGE },
		{ "192.0.2.0/24:30000-39999", "192.0.2.0/24:30000-39999", TARGET_RANGE },
		{ "192.0.2.1:54-65535", "192.0.2.1:54-65535", TARGET_ADDRESS },
		{ "192.0.2.1:22-22", "192.0.2.1:22", TARGET_ADDRESS },
		{ "[2001:db8::/32]:1-52", "[2001:db8::/32]:1-52", TARGET_RANGE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct target t, back;
		struct error e;
		char buffer[OH_TARGET_TEXT_MAX];

		if (target_parse(rows[i].text, &t, &e))
			fail_msg("%s", e.text);
		if (strcmp(target_identity(&t, buffer), rows[i].identity))
			fail_msg("'%s' became '%s'", rows[i].text, buffer);
		assert_int_equal(t.kind, rows[i].kind);
		assert_int_equal(t.service, OH_SERVICE_TCP);
		assert_int_equal(target_parse_identity(buffer, &back), 0);
		if (target_compare(&t, &back) || back.kind != t.kind)
			fail_msg("'%s' is another target when read back", buffer);
	}
}

static void check_refused(const char *text, const char *why)
{
	struct target t = { .port = 4711 };
	struct error e = { "" };

	if (target_parse(text, &t, &e) != -EINVAL)
		fail_msg("'%s' is accepted as %s, port %u", text, t.name, t.port);
	if (!strstr(e.text, why) || strchr(e.text, '\n'))
		fail_msg("'%s': the error is '%s'", text, e.text);
	assert_int_equal(t.port, 4711);
}

static void bad_targets(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "api.openai.com:443abc", "'443abc' is not a port" },
		{ "api.openai.com:0", "'0' is not a port" },
		{ "api.openai.com:65536", "'65536' is not a port" },
		{ "api.openai.com:", "'' is not a port" },
		{ "api.openai.com:-1", "'-1' is not a port" },
		{ "api.openai.com: 443", "' 443' is not a port" },
		{ "api.openai.com:https", "'https' is not a port" },
		{ "api.openai.com:53", "port 53 is for resolvers only" },
		{ "192.0.2.1:53", "port 53" },
		{ "192.0.2.0/24:53", "port 53" },
		{ "192.0.2.0/24:1-53", "port 53" },
		{ "192.0.2.0/24:53-100", "port 53" },
		{ "192.0.2.0/24:50-60", "port 53" },
		{ "192.0.2.0/24:30000-29999", "'30000-29999' is not a port (1 to 65535), nor ports like 3000-3999" },
		{ "192.0.2.0/24:30000-", "'30000-' is not a port" },
		{ "192.0.2.0/24:-30000", "'-30000' is not a port" },
		{ "192.0.2.0/24:0-9", "'0-9' is not a port" },
		{ "192.0.2.0/24:1-65536", "'1-65536' is not a port" },
		{ "192.0.2.0/24:1-2-3", "'1-2-3' is not a port" },
		{ "api.openai.com:443-444", "several ports go with an address or a range of addresses" },
		{ "*.openai.com:443-444", "several ports go with an address" },
		{ "", "empty: give a name" },
		{ ".", "neither a name nor a complete address" },
		{ "*", "a name cannot hold" },
		{ "*.", "neither a name" },
		{ "*.*.com", "a name cannot hold '*'" },
		{ "a.*.com", "a name cannot hold '*'" },
		{ "*com", "a name cannot hold '*'" },
		{ ".example", "an empty label" },
		{ "a..example", "an empty label" },
		{ "a b.example", "a name cannot hold ' '" },
		{ "a.example ", "a name cannot hold ' '" },
		{ "a/b.example", "not an address or range" },
		{ "https://api.openai.com", "a URL: give only its name" },
		{ "http://192.0.2.1:80/x", "a URL: give only its name" },
		{ "user@api.openai.com", "a name cannot hold '@'" },
		{ "a\x01.example", "a name cannot hold" },
		{ L63 "l.com", "a label has at most 63 bytes" },
		{ N253 "x", "at most 253 bytes, this one 254" },
		{ "b\xc3\xbc" "cher.example", "give its A-label" },
		{ "b\xc3" "cher.example", "give its A-label" },
		{ "\xe2\x80\xae" "a.example", "give its A-label" },
		{ "192.0.2", "neither a name nor a complete address" },
		{ "192.0.2.256", "neither a name nor a complete address" },
		{ "192.0.2.1.", "neither a name nor a complete address" },
		{ "192.0.2.1/24", "bits are set behind the prefix" },
		{ "2001:db8::1/32", "bits are set behind the prefix" },
		{ "192.0.2.0/33", "not an address or range" },
		{ "0.0.0.0/0", "every address" },
		{ "::/0", "every address" },
		{ "2001:db8::1::443", "not an address or range" },
		{ "a.example:443:80", "not an address or range" },
		{ "[2001:db8::1", "[ADDRESS]" },
		{ "[2001:db8::1]443", "[ADDRESS]" },
		{ "[2001:db8::1]x:443", "[ADDRESS]" },
		{ "[2001:db8::1]:", "'' is not a port" },
		{ "[2001:db8::1]:0", "'0' is not a port" },
		{ "2001:db8::1%eth0", "not an address or range" },
	};
	char longest[1200];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_refused(rows[i].text, rows[i].why);
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	check_refused(longest, "at most 253 bytes");
}

/* "No last dot" is the promise, and the identity must lead back to the same target. */
static void two_last_dots_refused(void **state)
{
	(void)state;
	check_refused("a.example..", "an empty label");
	check_refused("*.a.example..", "an empty label");
}

/* Read back, its identity would be an address. */
static void digits_of_other_scripts_refused(void **state)
{
	(void)state;
	check_refused("\xef\xbc\x91.\xef\xbc\x92.\xef\xbc\x93.\xef\xbc\x94", "");
}

/* ::ffff:0:0/96 is how the maps write IPv4: a range around it is every IPv4 address. */
static void range_around_all_of_ip4_refused(void **state)
{
	(void)state;
	check_refused("::/1", "every");
	check_refused("::/64", "every");
	check_refused("::/80", "every");
}

static void servers(void **state)
{
	static const struct {
		const char *text, *dns, *ntp;	/* NULL: refused */
	} rows[] = {
		{ "10.0.0.2", "10.0.0.2:53/dns", "10.0.0.2:123/ntp" },
		{ "2001:db8::2", "[2001:db8::2]:53/dns", "[2001:db8::2]:123/ntp" },
		{ "time.example", "time.example:53/dns", "time.example:123/ntp" },
		{ "10.0.0.0/8", NULL, NULL },
		{ "*.example", NULL, NULL },
		{ "10.0.0.2:53", NULL, NULL },
		{ "time.example:123", NULL, NULL },
		{ "", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (int ntp = 0; ntp < 2; ntp++) {
			enum oh_service service = ntp ? OH_SERVICE_NTP : OH_SERVICE_DNS;
			const char *want = ntp ? rows[i].ntp : rows[i].dns;
			char buffer[OH_TARGET_TEXT_MAX];
			struct target t, back;
			struct error e;
			int r = target_parse_server(rows[i].text, service, &t, &e);

			assert_int_equal(r, want ? 0 : -EINVAL);
			if (r)
				continue;
			assert_string_equal(target_identity(&t, buffer), want);
			assert_int_equal(target_parse_identity(buffer, &back), 0);
			assert_int_equal(target_compare(&t, &back), 0);
		}
	}
}

static void different_targets_differ(void **state)
{
	static const char *const list[] = {
		"a.example:443", "a.example:80", "b.example:443", "*.a.example:443", "10.0.0.1:443", "10.0.0.1:80",
		"10.0.0.2:443", "10.0.0.0/24:443", "10.0.0.0/25:443", "[2001:db8::1]:443", "[2001:db8::/32]:443",
		"10.0.0.1:53/dns", "10.0.0.1:123/ntp", "a.example:123/ntp",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(list); i++) {
		for (size_t j = 0; j < COUNT(list); j++) {
			struct target a, b;
			int r;

			assert_int_equal(target_parse_identity(list[i], &a), 0);
			assert_int_equal(target_parse_identity(list[j], &b), 0);
			r = target_compare(&a, &b);
			assert_int_equal(!r, i == j);
			assert_int_equal(r > 0, target_compare(&b, &a) < 0);
		}
	}
}

static void bad_identities(void **state)
{
	static const char *const list[] = { "", ":443", "a.example:0/dns", "10.0.0.1:53/xyz", "10.0.0.1:99999" };

	(void)state;
	for (size_t i = 0; i < COUNT(list); i++) {
		struct target t;

		assert_int_equal(target_parse_identity(list[i], &t), -EINVAL);
	}
}

static void service_names(void **state)
{
	(void)state;
	assert_string_equal(target_service_name(OH_SERVICE_TCP), "tcp");
	assert_string_equal(target_service_name(OH_SERVICE_DNS), "dns");
	assert_string_equal(target_service_name(OH_SERVICE_NTP), "ntp");
	assert_string_equal(target_service_name((enum oh_service)99), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_targets),
		cmocka_unit_test(bad_targets),
		cmocka_unit_test(two_last_dots_refused),
		cmocka_unit_test(digits_of_other_scripts_refused),
		cmocka_unit_test(range_around_all_of_ip4_refused),
		cmocka_unit_test(servers),
		cmocka_unit_test(different_targets_differ),
		cmocka_unit_test(bad_identities),
		cmocka_unit_test(service_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
