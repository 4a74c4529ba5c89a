// SPDX-License-Identifier: MIT
/* The configuration: each key, its default, and what is refused with file, line and value. */
#include "unit/unit.h"

#include <stdbool.h>

#include "policy/address.h"
#include "policy/config_file.h"
#include "policy/keys.h"

static struct config c;
static struct error e;

static int read_text(const char *text)
{
	e.text[0] = '\0';
	return config_read(unit_write_text(text), &c, &e);
}

static const char *target_at(size_t i)
{
	static char buffer[OH_TARGET_TEXT_MAX];

	return i < c.target_count ? target_identity(&c.targets[i], buffer) : "none";
}

/* With "[dns] resolver" given, nothing of the machine comes in. */
#define RESOLVER "[dns]\nresolver = 10.0.0.2\n"

static void defaults(void **state)
{
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(read_text(RESOLVER), 0);
	assert_string_equal(c.cgroup, "");
	assert_int_equal(c.max_addresses, OH_ADDRESSES_DEFAULT);
	assert_int_equal(c.resolver_count, 1);
	assert_string_equal(address_format(&c.resolvers[0], text), "10.0.0.2");
	assert_int_equal(c.min_ttl, 30);
	assert_int_equal(c.max_ttl, 3600);
	assert_int_equal(c.grace, 120);
	assert_int_equal(c.max_stale, 86400);
	assert_int_equal(c.private_count, 0);
	assert_false(c.metadata);
	assert_int_equal(c.history.file_size, 16 << 20);
	assert_int_equal(c.history.file_age, 86400);
	assert_int_equal(c.history.keep, 90 * 86400);
	assert_int_equal(c.history.files, 200);
	assert_string_equal(c.state, "/var/lib/ohguard");
	assert_string_equal(c.pins, "/sys/fs/bpf/ohguard");
	assert_true(c.inspect);
	/* Amazon's time, then the names that Debian and Ubuntu ask, which nobody resolves unasked */
	assert_int_equal(c.target_count, 1 + 9 + 1);
	assert_string_equal(target_at(0), "169.254.169.123:123/ntp");
	assert_string_equal(target_at(1), "0.debian.pool.ntp.org:123/ntp");
	assert_string_equal(target_at(9), "ntp.ubuntu.com:123/ntp");
	for (size_t i = 1; i <= 9; i++)
		assert_true(c.targets[i].on_demand);
	assert_string_equal(target_at(10), "10.0.0.2:53/dns");
	/* ssh from the private networks */
	assert_int_equal(c.inbound_count, 4);
	for (size_t i = 0; i < c.inbound_count; i++)
		assert_int_equal(c.inbound[i].port, 22);
	assert_string_equal(address_format(&c.inbound[0].address, text), "10.0.0.0");
	assert_string_equal(address_format(&c.inbound[0].mask, text), "ffff:ffff:ffff:ffff:ffff:ffff:ff00:0");
	assert_string_equal(address_format(&c.inbound[3].address, text), "fc00::");
	assert_string_equal(address_format(&c.inbound[3].mask, text), "fe00::");
	config_free(&c);
}

/* Without answers, nothing would ever teach the default names' addresses. */
static void inspect_off(void **state)
{
	(void)state;
	assert_int_equal(read_text(RESOLVER "inspect = off\n"), 0);
	assert_false(c.inspect);
	assert_int_equal(c.target_count, 2);
	config_free(&c);
	assert_int_equal(read_text(RESOLVER "inspect = no\n"), -EINVAL);
	assert_int_equal(read_text(RESOLVER "[ntp]\nserver = time.example\n"), 0);
	assert_int_equal(c.target_count, 2);
	assert_false(c.targets[0].on_demand);
	config_free(&c);
}

static int note_line(void *context, const struct config_line *line, struct error *error)
{
	char *said = context;

	(void)error;
	sprintf(said + strlen(said), "%s=%s@%u ", line->key->key, line->value, line->line);
	return 0;
}

static void lines_are_walked_in_order(void **state)
{
	char said[256] = "";

	(void)state;
	assert_int_equal(read_text(RESOLVER "\n[allow]\ntarget = a.example\ntarget = b.example\n"), 0);
	assert_int_equal(config_walk(&c, unit_path("file"), note_line, said, &e), 0);
	assert_string_equal(said, "resolver=10.0.0.2@2 target=a.example@5 target=b.example@6 ");
	config_free(&c);
}

/* A slip of the hand, of which only one can be meant. */
static void key_stands_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		char text[256];

		if (!key->fallback || !strcmp(key->fallback, "auto"))
			continue;
		sprintf(text, "[%s]\n%s = %s\n%s = %s\n", key->section, key->key, key->fallback, key->key,
			key->fallback);
		assert_int_equal(read_text(text), -EINVAL);
		assert_non_null(strstr(e.text, ":3: ["));
		assert_non_null(strstr(e.text, "a second time"));
	}
}

static void missing_file(void **state)
{
	(void)state;
	assert_int_equal(config_read(unit_path("file"), &c, &e), -ENOENT);
	assert_non_null(strstr(e.text, unit_path("file")));
	assert_int_equal(config_default(&c, &e), 0);
	assert_true(c.resolver_count >= 1);
	assert_int_equal(c.target_count, 1 + 9 + c.resolver_count);
	config_free(&c);
	assert_null(c.targets);
}

static void every_key(void **state)
{
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(read_text("[guard]\ncgroup = /sys/fs/cgroup/agent/\nuplink = eth0\nuplink = auto\n"
				   "max-addresses = 1024\n"
				   "[dns]\nresolver = 10.0.0.2\nresolver = 2001:db8::2\nmin-ttl = 1m\nmax-ttl = 2h\n"
				   "grace = 5\nmax-stale = 2d\n"
				   "private = db.example 10.1.0.0/16\nprivate = *.corp.example 10.2.0.0/16\n"
				   "nat64 = 2001:db8:64::/96\nnat64 = 2001:db8:6600::/40\n"
				   "[ntp]\nserver = time.example\nserver = 10.0.0.3\n"
				   "[inbound]\naccept = 22 10.0.0.0/24\naccept = 3000 10.0.0.10\n"
				   "[allow]\ntarget = api.openai.com\ntarget = b.example:8443\ntarget = 192.0.2.0/24\n"
				   "[imds]\naccess = allow\n"
				   "[history]\nfile-size = 1M\nfile-age = 12h\nkeep = 30d\nfiles = 9\n"
				   "[paths]\nstate = /tmp/state\npins = /sys/fs/bpf/other/\nlog = /tmp/log\n"
				   "[stack]\nanything = of ohguard aws\n"), 0);
	assert_string_equal(c.cgroup, "/sys/fs/cgroup/agent");
	assert_int_equal(c.uplink_count, 2);
	assert_string_equal(c.uplinks[0], "eth0");
	assert_string_equal(c.uplinks[1], "auto");
	assert_int_equal(c.max_addresses, 1024);
	assert_int_equal(c.resolver_count, 2);
	assert_int_equal(c.min_ttl, 60);
	assert_int_equal(c.max_ttl, 7200);
	assert_int_equal(c.grace, 5);
	assert_int_equal(c.max_stale, 172800);
	assert_int_equal(c.private_count, 2);
	assert_int_equal(c.private[0].names.kind, TARGET_NAME);
	assert_string_equal(c.private[1].names.name, "corp.example");
	assert_int_equal(c.private[1].names.kind, TARGET_SUFFIX);
	assert_string_equal(range_format(&c.private[1].range, text), "10.2.0.0/16");
	assert_int_equal(c.nat64.count, 2);
	assert_int_equal(c.nat64.list[1].prefix, 40);
	assert_true(c.nat64.list[1].high == 0x20010db866000000 && !c.nat64.list[1].low);
	assert_int_equal(c.target_count, 7);
	assert_string_equal(target_at(0), "time.example:123/ntp");
	assert_string_equal(target_at(1), "10.0.0.3:123/ntp");
	assert_string_equal(target_at(2), "api.openai.com:443");
	assert_string_equal(target_at(3), "b.example:8443");
	assert_string_equal(target_at(4), "192.0.2.0/24:443");
	assert_string_equal(target_at(5), "10.0.0.2:53/dns");
	assert_string_equal(target_at(6), "[2001:db8::2]:53/dns");
	assert_int_equal(c.inbound_count, 2);
	assert_int_equal(c.inbound[1].port, 3000);
	assert_string_equal(address_format(&c.inbound[1].mask, text), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_true(c.metadata);
	assert_int_equal(c.history.file_size, 1 << 20);
	assert_int_equal(c.history.file_age, 43200);
	assert_int_equal(c.history.keep, 30 * 86400);
	assert_int_equal(c.history.files, 9);
	assert_string_equal(c.state, "/tmp/state");
	assert_string_equal(c.pins, "/sys/fs/bpf/other");
	assert_string_equal(c.log, "/tmp/log");
	config_free(&c);
}

static void none_means_none(void **state)
{
	(void)state;
	assert_int_equal(read_text(RESOLVER "[ntp]\nserver = none\n[inbound]\naccept = none\n"), 0);
	assert_int_equal(c.inbound_count, 0);
	assert_int_equal(c.target_count, 1);
	config_free(&c);
}

/* Who adds a "none" behind what is there must not believe that it closed. */
static void none_stands_alone(void **state)
{
	static const char *const texts[] = {
		"[ntp]\nserver = 192.0.2.1\nserver = none\n", "[ntp]\nserver = none\nserver = 192.0.2.1\n",
		"[inbound]\naccept = 22 10.0.0.0/8\naccept = none\n",
		"[inbound]\naccept = none\naccept = 22 10.0.0.0/8\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		assert_true(read_text(texts[i]) < 0);
		assert_non_null(strstr(e.text, "'none' cannot stand beside other values"));
	}
}

static void inbound_is_by_tc_unless_xdp_is_asked_for(void **state)
{
	static const struct {
		const char *text;
		bool xdp;
	} rows[] = {
		{ "[guard]\ncgroup = /a\n", false }, { "[guard]\ninbound = auto\n", false },
		{ "[guard]\ninbound = tc\n", false }, { "[guard]\ninbound = xdp\n", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(read_text(rows[i].text), 0);
		assert_int_equal(c.xdp, rows[i].xdp);
		config_free(&c);
	}
}

static void local_is_auto_none_or_ranges(void **state)
{
	static const char *const alone[] = {
		"[guard]\nlocal = auto\nlocal = none\n", "[guard]\nlocal = none\nlocal = 10.0.0.0/8\n",
		"[guard]\nlocal = 10.0.0.0/8\nlocal = auto\n",
	};

	(void)state;
	assert_int_equal(read_text("[guard]\n"), 0);
	assert_false(c.local_set);
	config_free(&c);
	assert_int_equal(read_text("[guard]\nlocal = auto\n"), 0);
	assert_true(c.local_set && c.local_auto && !c.local_count);
	config_free(&c);
	assert_int_equal(read_text("[guard]\nlocal = none\n"), 0);
	assert_true(c.local_set && !c.local_auto && !c.local_count);
	config_free(&c);
	assert_int_equal(read_text("[guard]\nlocal = 172.16.0.0/12\nlocal = fd00::/8\n"), 0);
	assert_true(c.local_set && !c.local_auto && c.local_count == 2);
	assert_int_equal(c.local[0].prefix, 96 + 12);
	config_free(&c);
	for (size_t i = 0; i < COUNT(alone); i++) {
		assert_true(read_text(alone[i]) < 0);
		assert_non_null(strstr(e.text, "'none' and 'auto' stand alone"));
	}
}

static void ports_of_an_inbound_rule(void **state)
{
	(void)state;
	assert_int_equal(read_text("[inbound]\naccept = 30000-39999 10.0.0.0/8\naccept = 22 10.0.0.0/8\n"), 0);
	assert_int_equal(c.inbound[0].port, 30000);
	assert_int_equal(c.inbound[0].more, 9999);
	assert_int_equal(c.inbound[1].more, 0);
	config_free(&c);
}

static void search_is_suffixes_or_none(void **state)
{
	static const char *const bad[] = { "*.corp.example", "corp.example:54", "10.0.0.1", "..",
					   "none\nsearch = a.example", "a.example\nsearch = none",
					   	"a\nsearch = b\nsearch = c\nsearch = d\n"
					   "search = e\nsearch = f\nsearch = g" };
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		snprintf(text, sizeof(text), "[dns]\nsearch = %s\n", bad[i]);
		if (read_text(text) >= 0)
			fail_msg("'%s' is accepted", bad[i]);
		assert_non_null(strstr(e.text, "[dns] search: "));
	}
	assert_int_equal(read_text("[dns]\nsearch = Corp.Example.\nsearch = b.example\nname = .\n"), 0);
	assert_int_equal(c.search_count, 2);
	assert_string_equal(c.search[0], "corp.example");
	assert_string_equal(c.names[0].name, ".");
	config_free(&c);
	assert_int_equal(read_text("[dns]\nsearch = none\n"), 0);
	assert_int_equal(c.search_count, 0);
	config_free(&c);
	assert_true(read_text("[dns]\nname = ..\n") < 0);
}

static void uplink_none_stands_alone(void **state)
{
	(void)state;
	assert_true(read_text("[guard]\nuplink = eth0\nuplink = none\n") < 0);
	assert_non_null(strstr(e.text, "'none' cannot stand beside other values"));
	assert_true(read_text("[guard]\nuplink = none\nuplink = eth0\n") < 0);
	assert_non_null(strstr(e.text, "'none' cannot stand beside other values"));
	assert_int_equal(read_text("[guard]\nuplink = none\n"), 0);
	assert_true(c.uplink_set && !c.uplink_count);
	config_free(&c);
}

/* Each stands in line 3, behind a line that would be good. */
static const struct {
	const char *section, *line, *why;
} bad[] = {
	{ "guard", "cgroup = relative", "[guard] cgroup: 'relative' is not an absolute path" },
	{ "guard", "cgroup =", "[guard] cgroup: '' is not an absolute path" },
	{ "guard", "uplink = eth0/1", "[guard] uplink: 'eth0/1' is not the name of an interface" },
	{ "guard", "uplink = sixteen-letters1", "[guard] uplink: 'sixteen-letters1'" },
	{ "guard", "uplink =", "[guard] uplink: ''" },
	{ "guard", "inbound = XDP", "[guard] inbound: 'XDP' is none of auto, tc and xdp" },
	{ "guard", "max-addresses = 1023", "'1023' is not a number from 1024 to 16777216" },
	{ "guard", "max-addresses = 16777217", "'16777217' is not a number" },
	{ "guard", "max-addresses = many", "'many' is not a number" },
	{ "guard", "max-adresses = 2048", "[guard] max-adresses: no such key: did you mean max-addresses?" },
	{ "guard", "Cgroup = /x", "[guard] Cgroup: no such key" },
	{ "", "cgroup = /x", "no such section" },
	{ "dns", "resolver = dns.example", "'dns.example' is not an address, nor 'auto'" },
	{ "dns", "resolver = 10.0.0.2:53", "'10.0.0.2:53' is not an address" },
	{ "dns", "min-ttl = 1d1", "'1d1' is not a time like 30s, 5m, 2h or 1d" },
	{ "dns", "min-ttl = 2d", "'2d' is not a time" },
	{ "history", "file-size = 1k", "'1k' is not a size like 16M, from 64k to 1G" },
	{ "history", "file-size = 2G", "'2G' is not a size" },
	{ "history", "file-age = 1m", "'1m' is less than an hour" },
	{ "history", "keep = 11y", "'11y' is not a time" },
	{ "history", "files = 0", "'0' is not a number from 1 to 1000" },
	{ "dns", "max-ttl = 8d", "'8d' is not a time" },
	{ "dns", "grace = -1", "'-1' is not a time" },
	{ "dns", "max-stale = 31d", "'31d' is not a time" },
	{ "dns", "nat64 = 2001:db8::/95",
		"'2001:db8::/95' is not an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits" },
	{ "dns", "nat64 = 2001:db8::1/96", "is not an IPv6 prefix" },
	{ "dns", "nat64 = 10.0.0.0/32", "is not an IPv6 prefix" },
	{ "dns", "nat64 = auto", "is not an IPv6 prefix" },
	{ "dns", "private = db.example", "'db.example' is not NAME RANGE" },
	{ "dns", "private = db.example 10.0.0.0/8 x", "is not NAME RANGE" },
	{ "dns", "private = 10.0.0.1 10.0.0.0/8", "'10.0.0.1' is not a name or suffix" },
	{ "dns", "private = db.example 10.0.0.1/8", "'10.0.0.1/8' is not a range" },
	{ "ntp", "server = 10.0.0.0/8", "expected one server, not many" },
	{ "ntp", "server = time.example:123", "time.example:123" },
	{ "inbound", "accept = 22", "'22' is not PORT RANGE" },
	{ "inbound", "accept = 10.0.0.0/8", "is not PORT RANGE" },
	{ "inbound", "accept = 0 10.0.0.0/8", "'0' is not a port" },
	{ "inbound", "accept = 65536 10.0.0.0/8", "'65536' is not a port" },
	{ "inbound", "accept = 22abc 10.0.0.0/8", "'22abc' is not a port" },
	{ "inbound", "accept = 30-22 10.0.0.0/8", "'30-22' is not a port" },
	{ "guard", "local = 10.0.0.1/8", "[guard] local: '10.0.0.1/8' is not a range" },
	{ "guard", "local = docker0", "'docker0' is not a range" },
	{ "guard", "local =", "'' is not a range" },
	{ "inbound", "accept = 22 10.0.0.1/8", "'10.0.0.1/8' is not a range" },
	{ "inbound", "accept = 22 10.0.0.0/8 x", "is not PORT RANGE" },
	{ "allow", "target = api.openai.com:443abc", "'443abc' is not a port" },
	{ "allow", "target =", "[allow] target: empty: give a name, a suffix, an address or a range" },
	{ "allow", "target = ; a.example", "[allow] target: empty: give a name" },
	{ "allow", "target = a.example b.example", "'a.example b.example': one target a line" },
	{ "allow", "target = a.example # why", "'a.example # why': a comment after a value begins with ;" },
	{ "allow", "target = # why", "'# why': a comment after a value begins with ;" },
	{ "dns", "resolver = 10.0.0.2 # the VPC's", "a comment after a value begins with ;" },
	{ "allow", "target = *.windows.net", "[allow] target: *.windows.net: anyone can have a name below" },
	{ "allow", "target = *.windows.net:8443 sni=off", "*.windows.net: anyone can have a name below" },
	{ "allow", "target = a.example wide", "a.example: wide is for suffixes" },
	{ "allow", "target = 192.0.2.0/24 wide", "192.0.2.0/24: wide is for suffixes" },
	{ "allow", "target = *.a.example widely", "only sni=off and wide may follow it" },
	{ "dns", "name = *.on.aws", "*.on.aws: anyone can have a name below" },
	{ "dns", "name = *.a.example sni=off", "is not a name or suffix" },
	{ "allow", "target = *.example", "anyone can have a name below" },
	{ "imds", "access = yes", "'yes' is neither allow nor deny" },
	{ "paths", "state = var", "'var' is not an absolute path" },
	{ "paths", "pins = ./x", "'./x' is not an absolute path" },
};

static void bad_values(void **state)
{
	char text[256], where[512];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		snprintf(text, sizeof(text), *bad[i].section ? "; line 1\n[%s]\n%s\n" : "; line 1\n;%s\n%s\n",
			bad[i].section,
			 bad[i].line);
		if (read_text(text) >= 0)
			fail_msg("'%s' is accepted", bad[i].line);
		snprintf(where, sizeof(where), "%s:3: ", unit_path("file"));
		if (strncmp(e.text, where, strlen(where)) || !strstr(e.text, bad[i].why))
			fail_msg("'%s': the error is '%s'", bad[i].line, e.text);
		assert_null(c.targets);
		assert_int_equal(c.max_addresses, 0);
	}
}

/* With no key in it too: all that was meant for it would be missing. */
static void unknown_sections_refused(void **state)
{
	char where[512];

	(void)state;
	snprintf(where, sizeof(where), "%s:3: [gaurd]: no such section: did you mean [guard]?", unit_path("file"));
	assert_int_equal(read_text("[guard]\ncgroup = /x\n[gaurd]\ncgroup = /y\n"), -EINVAL);
	assert_string_equal(e.text, where);
	assert_int_equal(read_text("[guard]\ncgroup = /x\n[gaurd]\n"), -EINVAL);
	assert_string_equal(e.text, where);
	assert_int_equal(read_text("[stack]\n[guard]\n[dns]\n[ntp]\n[inbound]\n[allow]\n[imds]\n[paths]\n"), 0);
	config_free(&c);
}

static void values_that_contradict(void **state)
{
	(void)state;
	assert_int_equal(read_text("[dns]\nmin-ttl = 2h\nmax-ttl = 1h\n"), -EINVAL);
	assert_non_null(strstr(e.text, "min-ttl is longer than max-ttl"));
	assert_int_equal(read_text("[allow]\ntarget = 169.254.169.254:80\n"), -EINVAL);
	assert_non_null(strstr(e.text, "[imds] access"));
#define FOUR "private = a.b.example 10.1.0.0/16\nprivate = a.b.example 10.2.0.0/16\n" \
	     "private = *.b.example 10.3.0.0/16\n" \
	     "private = *.example 10.4.0.0/16\nprivate = b.example 10.6.0.0/16\nprivate = *.a.b.example 10.6.0.0/16\n"
	assert_int_equal(read_text(RESOLVER FOUR), 0);
	assert_int_equal(c.private_count, 6);
	config_free(&c);
	assert_int_equal(read_text(RESOLVER FOUR "private = *.b.example 10.5.0.0/16\n"), -E2BIG);
	assert_non_null(strstr(e.text, "a.b.example: more than 4 ranges"));
	assert_int_equal(read_text("[allow]\ntarget = [fd00:ec2::254]:80\n"), -EINVAL);
	assert_int_equal(read_text("[allow]\ntarget = [64:ff9b::a9fe:a9fe]:80\n"), -EINVAL);
	assert_int_equal(read_text("[allow]\ntarget = [2001:db8:64::a9fe:a9fe]:80\n[dns]\nnat64 = 2001:db8:64::/96\n"),
		-EINVAL);
	assert_non_null(strstr(e.text, "[imds] access"));
	assert_int_equal(read_text(RESOLVER "[allow]\ntarget = 169.254.169.254:80\n[imds]\naccess = allow\n"), 0);
	config_free(&c);
}

/* What is in force stays so, whatever a newer list says of it. */
static void wide_suffixes(void **state)
{
	static const char *const texts[] = {
		"[allow]\ntarget = *.windows.net wide\ntarget = *.on.aws:8443 sni=off wide\n"
		"[dns]\nname = *.amazonaws.com wide\n",
		"[allow]\ntarget = *.windows.net\ntarget = *.on.aws:8443\n[dns]\nname = *.amazonaws.com\n",
	};

	(void)state;
	assert_int_equal(read_text(texts[0]), 0);
	assert_true(c.targets[0].wide && !c.targets[0].plain && c.targets[1].wide && c.targets[1].plain &&
		c.names[0].wide);
	config_free(&c);
	assert_int_equal(read_text(texts[1]), -EINVAL);
	assert_int_equal(config_read_loaded(unit_write_text(texts[1]), &c, &e), 0);
	assert_true(!c.targets[0].wide);
	config_free(&c);
}

static void limits(void **state)
{
	char text[4096] = "[inbound]\n";
	size_t used = strlen(text);

	(void)state;
	for (int i = 1; i <= OH_INBOUND_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "accept = %d 10.0.0.0/8\n", i);
	assert_int_equal(read_text(text), 0);
	assert_int_equal(c.inbound_count, OH_INBOUND_MAX);
	assert_int_equal(c.inbound[OH_INBOUND_MAX - 1].port, OH_INBOUND_MAX);
	config_free(&c);
	snprintf(text + used, sizeof(text) - used, "accept = 99 10.0.0.0/8\n");
	assert_int_equal(read_text(text), -E2BIG);
	assert_non_null(strstr(e.text, "more than 32 inbound rules"));

	strcpy(text, "[dns]\n");
	for (int i = 1; i <= CONFIG_RESOLVERS_MAX; i++)
		sprintf(text + strlen(text), "resolver = 10.0.0.%d\n", i);
	assert_int_equal(read_text(text), 0);
	assert_int_equal(c.resolver_count, CONFIG_RESOLVERS_MAX);
	config_free(&c);
	strcat(text, "resolver = 10.0.0.99\n");
	assert_int_equal(read_text(text), -E2BIG);

	strcpy(text, "[dns]\n");
	for (int i = 1; i <= OH_NAT64_MAX; i++)
		sprintf(text + strlen(text), "nat64 = 2001:db8:%d::/96\n", i);
	assert_int_equal(read_text(text), 0);
	config_free(&c);
	strcat(text, "nat64 = 2001:db8:99::/96\n");
	assert_int_equal(read_text(text), -E2BIG);
	assert_non_null(strstr(e.text, "more than 4 translators' prefixes"));
}

static void ten_thousand_targets(void **state)
{
	size_t size = 10000 * 32, used;
	char *text = malloc(size);

	(void)state;
	used = (size_t)sprintf(text, RESOLVER "[ntp]\nserver = none\n[allow]\n");
	for (int i = 0; i < 10000; i++)
		used += (size_t)snprintf(text + used, size - used, "target = n%d.example\n", i);
	assert_int_equal(read_text(text), 0);
	assert_int_equal(c.target_count, 10001);
	assert_string_equal(target_at(9999), "n9999.example:443");
	config_free(&c);
	free(text);
}

static void too_many_targets(void **state)
{
	size_t size = OH_TARGETS_MAX * 32, used;
	char *text = malloc(size);

	(void)state;
	used = (size_t)sprintf(text, "[allow]\n");
	for (int i = 0; i < OH_TARGETS_MAX; i++)
		used += (size_t)snprintf(text + used, size - used, "target = n%d.example\n", i);
	assert_int_equal(read_text(text), -E2BIG);
	assert_non_null(strstr(e.text, "more than 16383 targets"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_FILE_TEST(defaults),
		UNIT_FILE_TEST(inspect_off),
		UNIT_FILE_TEST(missing_file),
		UNIT_FILE_TEST(every_key),
		UNIT_FILE_TEST(none_means_none),
		UNIT_FILE_TEST(none_stands_alone),
		UNIT_FILE_TEST(local_is_auto_none_or_ranges),
		UNIT_FILE_TEST(ports_of_an_inbound_rule),
		UNIT_FILE_TEST(uplink_none_stands_alone),
		UNIT_FILE_TEST(search_is_suffixes_or_none),
		UNIT_FILE_TEST(inbound_is_by_tc_unless_xdp_is_asked_for),
		UNIT_FILE_TEST(lines_are_walked_in_order),
		UNIT_FILE_TEST(key_stands_once),
		UNIT_FILE_TEST(bad_values),
		UNIT_FILE_TEST(unknown_sections_refused),
		UNIT_FILE_TEST(values_that_contradict),
		UNIT_FILE_TEST(wide_suffixes),
		UNIT_FILE_TEST(limits),
		UNIT_FILE_TEST(ten_thousand_targets),
		UNIT_FILE_TEST(too_many_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
