// SPDX-License-Identifier: MIT
/* Addresses, ranges, and what may not be learned from DNS. */
#include "unit/unit.h"

#include <errno.h>

#include "policy/address.h"

static void addresses(void **state)
{
	static const struct {
		const char *text, *shown;	/* NULL: refused */
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "2001:DB8::1", "2001:db8::1" },
		{ "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::ffff:c000:201", "192.0.2.1" },
		{ "64:ff9b::192.0.2.1", "64:ff9b::c000:201" },
		{ "", NULL },
		{ "192.0.2", NULL },
		{ "192.0.2.256", NULL },
		{ "192.0.2.01", NULL },
		{ "192.0.2.1.", NULL },
		{ "192.0.2.1 ", NULL },
		{ " 192.0.2.1", NULL },
		{ "0x7f.0.0.1", NULL },
		{ "2130706433", NULL },
		{ "192.0.2.1/32", NULL },
		{ "2001:db8::1%eth0", NULL },
		{ "[2001:db8::1]", NULL },
		{ "2001:db8:::1", NULL },
		{ "1:2:3:4:5:6:7", NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL },
		{ "12345::", NULL },
		{ "localhost", NULL },
	};
	char buffer[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct oh_address a;
		int r;

		memset(&a, 0x5a, sizeof(a));
		r = address_parse(rows[i].text, &a);
		if (r != (rows[i].shown ? 0 : -EINVAL))
			fail_msg("'%s': %d", rows[i].text, r);
		if (rows[i].shown)
			assert_string_equal(address_format(&a, buffer), rows[i].shown);
		else
			assert_int_equal(a.word[3], 0x5a5a5a5a);
	}
}

static void ranges(void **state)
{
	static const struct {
		const char *text;
		int result;
		unsigned int prefix;
		const char *shown;
	} rows[] = {
		{ "10.0.0.0/8", 0, 104, "10.0.0.0/8" },
		{ "10.0.0.0/7", 0, 103, "10.0.0.0/7" },
		{ "192.0.2.0/24", 0, 120, "192.0.2.0/24" },
		{ "192.0.2.128/25", 0, 121, "192.0.2.128/25" },
		{ "192.0.2.1/32", 0, 128, "192.0.2.1" },
		{ "192.0.2.1", 0, 128, "192.0.2.1" },
		{ "0.0.0.0/0", 0, 96, "0.0.0.0/0" },
		{ "2001:db8::/32", 0, 32, "2001:db8::/32" },
		{ "2001:db8::/33", 0, 33, "2001:db8::/33" },
		{ "2001:db8::1/128", 0, 128, "2001:db8::1" },
		{ "::/0", 0, 0, "::/0" },
		{ "::/96", 0, 96, "::/96" },
		{ "::ffff:192.0.2.0/120", 0, 120, "192.0.2.0/24" },
		{ "192.0.2.1/24", -EDOM, 0, NULL },
		{ "192.0.2.1/31", -EDOM, 0, NULL },
		{ "192.0.2.64/25", -EDOM, 0, NULL },
		{ "2001:db8::1/127", -EDOM, 0, NULL },
		{ "2001:db8::1/32", -EDOM, 0, NULL },
		{ "::ffff:0:0/90", -EDOM, 0, NULL },
		{ "192.0.2.0/33", -EINVAL, 0, NULL },
		{ "10.0.0.0/08", -EINVAL, 0, NULL },
		{ "2001:db8::/129", -EINVAL, 0, NULL },
		{ "192.0.2.0/", -EINVAL, 0, NULL },
		{ "192.0.2.0/24/24", -EINVAL, 0, NULL },
		{ "192.0.2.0/ 24", -EINVAL, 0, NULL },
		{ "192.0.2.0/24x", -EINVAL, 0, NULL },
		{ "192.0.2.0/-1", -EINVAL, 0, NULL },
		{ "192.0.2.0/255.255.255.0", -EINVAL, 0, NULL },
		{ "/24", -EINVAL, 0, NULL },
		{ "", -EINVAL, 0, NULL },
		{ "192.0.2/24", -EINVAL, 0, NULL },
		{ "192.0.2.00000000000000000000000000000000000000000000000000000000000/24", -EINVAL, 0, NULL },
	};
	char buffer[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct oh_range r = { .prefix = 4711 };
		int result = range_parse(rows[i].text, &r);

		if (result != rows[i].result || r.prefix != (result ? 4711 : rows[i].prefix))
			fail_msg("'%s': %d, prefix %u", rows[i].text, result, r.prefix);
		if (!result)
			assert_string_equal(range_format(&r, buffer), rows[i].shown);
	}
}

static void containment(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool covers;
	} rows[] = {
		{ "10.0.0.0/8", "10.0.0.0", true },
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.0.0.0/8", "9.255.255.255", false },
		{ "10.0.0.0/8", "10.1.0.0/16", true },
		{ "10.1.0.0/16", "10.0.0.0/8", false },
		{ "10.0.0.0/8", "10.0.0.0/8", true },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.128/31", "192.0.2.129", true },
		{ "192.0.2.128/31", "192.0.2.130", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.0", false },
		{ "0.0.0.0/0", "8.8.8.8", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true },
		{ "2001:db8::/32", "2001:db9::", false },
		{ "2001:db8::/33", "2001:db8:8000::", false },
		{ "10.0.0.0/8", "a00::", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct oh_range outer, inner;

		assert_int_equal(range_parse(rows[i].outer, &outer), 0);
		assert_int_equal(range_parse(rows[i].inner, &inner), 0);
		if (range_covers(&outer, &inner) != rows[i].covers)
			fail_msg("%s covers %s: %d", rows[i].outer, rows[i].inner, !rows[i].covers);
		if (inner.prefix == 128)
			assert_int_equal(range_contains(&outer, &inner.address), rows[i].covers);
	}
}

static void special_addresses(void **state)
{
	static const struct {
		const char *text, *what;	/* NULL: public */
	} rows[] = {
		{ "0.0.0.0", "this network's" },
		{ "0.255.255.255", "this network's" },
		{ "1.0.0.0", NULL },
		{ "9.255.255.255", NULL },
		{ "10.0.0.0", "private" },
		{ "10.255.255.255", "private" },
		{ "11.0.0.0", NULL },
		{ "100.63.255.255", NULL },
		{ "100.64.0.0", "shared (carrier)" },
		{ "100.127.255.255", "shared (carrier)" },
		{ "100.128.0.0", NULL },
		{ "126.255.255.255", NULL },
		{ "127.0.0.1", "loopback" },
		{ "127.255.255.255", "loopback" },
		{ "128.0.0.0", NULL },
		{ "169.253.255.255", NULL },
		{ "169.254.0.1", "link-local" },
		{ "169.254.169.254", "metadata service" },
		{ "169.254.170.1", "link-local" },
		{ "169.254.170.2", "metadata service" },
		{ "169.254.170.3", "link-local" },
		{ "169.254.170.22", "link-local" },
		{ "169.254.170.23", "metadata service" },
		{ "169.254.170.24", "link-local" },
		{ "169.254.169.253", "link-local" },
		{ "169.255.0.0", NULL },
		{ "172.15.255.255", NULL },
		{ "172.16.0.0", "private" },
		{ "172.31.255.255", "private" },
		{ "172.32.0.0", NULL },
		{ "192.0.0.1", "protocol" },
		{ "192.88.98.255", NULL },
		{ "192.88.99.1", "6to4 relay's" },
		{ "192.88.100.0", NULL },
		{ "192.167.255.255", NULL },
		{ "192.168.0.0", "private" },
		{ "192.168.255.255", "private" },
		{ "192.169.0.0", NULL },
		{ "198.17.255.255", NULL },
		{ "198.18.0.0", "benchmark" },
		{ "198.19.255.255", "benchmark" },
		{ "198.20.0.0", NULL },
		{ "223.255.255.255", NULL },
		{ "224.0.0.0", "multicast" },
		{ "239.255.255.255", "multicast" },
		{ "240.0.0.0", "reserved" },
		{ "255.255.255.255", "reserved" },
		{ "::", "loopback or IPv4-compatible" },
		{ "::1", "loopback or IPv4-compatible" },
		{ "::127.0.0.1", "loopback or IPv4-compatible" },
		{ "::ffff:127.0.0.1", "loopback" },
		{ "::ffff:8.8.8.8", NULL },
		{ "64:ff9b::8.8.8.8", NULL },
		{ "64:ff9b::127.0.0.1", "loopback" },
		{ "64:ff9b::10.0.0.1", "private" },
		{ "64:ff9b::169.254.169.254", "metadata service" },
		{ "64:ff9b:1::1", "local translation" },
		{ "100::1", "discard" },
		{ "2001::1", "Teredo" },
		{ "2001:f:ffff::1", NULL },
		{ "2001:10::1", "ORCHID" },
		{ "2001:2f:ffff::1", "ORCHID" },
		{ "2001:30::1", NULL },
		{ "2001:db8::1", NULL },
		{ "2002:a00:1::1", "6to4" },
		{ "2002:a9fe:a9fe::1", "metadata service" },
		{ "2606:4700::1111", NULL },
		{ "3ffe::1", NULL },
		{ "3fff:fff::1", "documentation" },
		{ "3fff:1000::1", NULL },
		{ "5eff::1", NULL },
		{ "5f00::1", "segment routing" },
		{ "5f01::1", NULL },
		{ "::ffff:0:8.8.8.8", "translated IPv4" },
		{ "fc00::1", "private" },
		{ "fd00:ec2::254", "metadata service" },
		{ "fd00:ec2::253", "private" },
		{ "fd00:ec2::22", "private" },
		{ "fd00:ec2::23", "metadata service" },
		{ "fd00:ec2::24", "private" },
		{ "fd00:ec2:0:0:1::23", "private" },
		{ "fd00:ec2::1:0:23", "private" },
		{ "fe80::1", "link-local" },
		{ "febf::1", "link-local" },
		{ "fec0::1", "site-local" },
		{ "ff02::1", "multicast" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct oh_address a;
		const char *what;

		assert_int_equal(address_parse(rows[i].text, &a), 0);
		what = address_special(&a, NULL);
		if (!what != !rows[i].what || (what && strcmp(what, rows[i].what)))
			fail_msg("%s is %s", rows[i].text, what ? what : "public");
		assert_int_equal(address_is_metadata(&a, NULL), what && !strcmp(what, "metadata service"));
	}
}

/* Whatever an address is written as, and by whichever prefix: RFC 6052, 2.2 and 2.4 have the places of its bytes. */
static void metadata_by_what_an_address_means(void **state)
{
	static const struct {
		const char *text, *nat64;	/* "": none is configured */
		bool metadata;
	} rows[] = {
		{ "169.254.169.254", "", true },
		{ "169.254.169.253", "", false },
		{ "::ffff:169.254.169.254", "", true },
		{ "::ffff:0:169.254.169.254", "", true },
		{ "::169.254.169.254", "", true },
		{ "::1:169.254.169.254", "", false },
		{ "64:ff9b::169.254.169.254", "", true },
		{ "64:ff9b::169.254.169.255", "", false },
		{ "64:ff9b::1:169.254.169.254", "", false },
		{ "64:ff9b:1::169.254.169.254", "", true },
		{ "64:ff9b:1:ffff::a9fe:a9fe", "", true },
		{ "64:ff9b:2::a9fe:a9fe", "", false },
		{ "2002:a9fe:a9fe:1:2:3:4:5", "", true },
		{ "2002:a9fe:a9ff::1", "", false },
		{ "2001:0:1234:5678:0:ffff:5601:5601", "", true },
		{ "2001:0:1234:5678:0:ffff:a9fe:a9fe", "", false },
		{ "2001:1:1234:5678:0:ffff:5601:5601", "", false },
		{ "::ffff:169.254.170.2", "", true },
		{ "::ffff:0:169.254.170.23", "", true },
		{ "::169.254.170.2", "", true },
		{ "64:ff9b::169.254.170.2", "", true },
		{ "64:ff9b::169.254.170.3", "", false },
		{ "64:ff9b:1::169.254.170.23", "", true },
		{ "2002:a9fe:aa17::1", "", true },
		{ "2002:a9fe:aa18::1", "", false },
		{ "2001:0:1234:5678:0:ffff:5601:55fd", "", true },
		{ "2001:0:1234:5678:0:ffff:5601:55e8", "", true },
		{ "fd00:ec2::254", "", true },
		{ "fd00:ec2::255", "", false },
		{ "2001:db8:122:344::169.254.169.254", "", false },
		{ "2001:db8:a9fe:a9fe::", "2001:db8::/32", true },
		{ "2001:db8:1a9:fea9:fe::", "2001:db8:100::/40", true },
		{ "2001:db8:122:a9fe:a9:fe00::", "2001:db8:122::/48", true },
		{ "2001:db8:122:3a9:fe:a9fe::", "2001:db8:122:300::/56", true },
		{ "2001:db8:122:344:a9:fea9:fe00::", "2001:db8:122:344::/64", true },
		{ "2001:db8:122:344::169.254.169.254", "2001:db8:122:344::/96", true },
		{ "2001:db8:122:345::169.254.169.254", "2001:db8:122:344::/96", false },
		{ "2001:db8:122:344::169.254.170.2", "2001:db8:122:344::/96", true },
		{ "2001:db8:122:344:a9:feaa:1700::", "2001:db8:122:344::/64", true },
		{ "2001:db8:122:344:1::a9fe:a9fe", "2001:db8:122:344::/96", false },
		{ "2001:db8:122:344:a9:fea9:ff00::", "2001:db8:122:344::/64", false },
		{ "2001:db8:123:a9fe:a9:fe00::", "2001:db8:122::/48", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct nat64 nat64 = { 0 };
		struct oh_range prefix;
		struct oh_address a;

		if (*rows[i].nat64) {
			assert_int_equal(range_parse(rows[i].nat64, &prefix), 0);
			assert_int_equal(nat64_add(&nat64, &prefix), 0);
		}
		assert_int_equal(address_parse(rows[i].text, &a), 0);
		if (address_is_metadata(&a, &nat64) != rows[i].metadata)
			fail_msg("%s behind '%s'", rows[i].text, rows[i].nat64);
	}
}

static void what_is_behind_a_configured_translator(void **state)
{
	static const struct {
		const char *text, *what;
	} rows[] = {
		{ "2001:db8:64::8.8.8.8", NULL },
		{ "2001:db8:64::10.0.0.1", "private" },
		{ "2001:db8:64::127.0.0.1", "loopback" },
		{ "2001:db8:65::10.0.0.1", NULL },
		{ "fd00:64::8.8.8.8", "private" },
		{ "fd00:64::127.0.0.1", "loopback" },
	};
	struct nat64 nat64 = { 0 };
	struct oh_range prefix;

	(void)state;
	assert_int_equal(range_parse("2001:db8:64::/96", &prefix), 0);
	assert_int_equal(nat64_add(&nat64, &prefix), 0);
	assert_int_equal(range_parse("fd00:64::/96", &prefix), 0);
	assert_int_equal(nat64_add(&nat64, &prefix), 0);
	assert_int_equal(range_parse("2001:db8::/32", &prefix), 0);	/* around the first: two meanings */
	assert_int_equal(nat64_add(&nat64, &prefix), -EEXIST);
	assert_int_equal(range_parse("fd00:64::/96", &prefix), 0);
	assert_int_equal(nat64_add(&nat64, &prefix), -EEXIST);
	assert_int_equal(range_parse("fd00:64::/95", &prefix), 0);
	assert_int_equal(nat64_add(&nat64, &prefix), -EINVAL);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct oh_address a;
		const char *what;

		assert_int_equal(address_parse(rows[i].text, &a), 0);
		what = address_special(&a, &nat64);
		if (!what != !rows[i].what || (what && strcmp(what, rows[i].what)))
			fail_msg("%s is %s", rows[i].text, what ? what : "public");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(ranges),
		cmocka_unit_test(containment),
		cmocka_unit_test(special_addresses),
		cmocka_unit_test(metadata_by_what_an_address_means),
		cmocka_unit_test(what_is_behind_a_configured_translator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
