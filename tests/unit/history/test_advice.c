// SPDX-License-Identifier: MIT
/* What to type for what was refused: right, and safe to paste. */
#include "unit/unit.h"

#include <netinet/in.h>

#include "history/advice.h"
#include "policy/config_file.h"

#define CONFIG "[dns]\nresolver = 10.0.0.2\nsearch = none\n[ntp]\nserver = none\n[allow]\ntarget = conf.example\n"

static struct error e;

struct row {
	const char *what;
	uint8_t reason, protocol;
	const char *name, *target, *from, *to, *command;
	uint16_t from_port, to_port;
	bool reply;
	int result;
	const char *line;
};

static const struct row rows[] = {
	{ .what = "name", .reason = OH_DNS_NAME_NOT_ALLOWED, .name = "github.com", .line = "ohguard allow github.com" },
	{ .what = "reverse name", .reason = OH_DNS_NAME_NOT_ALLOWED, .name = "1.2.0.192.in-addr.arpa",
	  .line = "[dns] name = 1.2.0.192.in-addr.arpa" },
	{ .what = "name in TLS on a port", .reason = OH_TLS_NAME_NOT_ALLOWED, .name = "github.com", .to_port = 8443,
	  .line = "ohguard allow github.com:8443" },
	{ .what = "address", .reason = OH_ADDRESS_NOT_ALLOWED, .protocol = IPPROTO_TCP, .to = "192.0.2.7",
	  .to_port = 8080, .line = "ohguard allow 192.0.2.7:8080" },
	{ .what = "IPv6 address", .reason = OH_ADDRESS_NOT_ALLOWED, .protocol = IPPROTO_TCP, .to = "2001:db8::7",
	  .to_port = 80, .line = "ohguard allow [2001:db8::7]:80" },
	{ .what = "UDP", .reason = OH_ADDRESS_NOT_ALLOWED, .protocol = IPPROTO_UDP, .to = "192.0.2.7", .to_port = 80,
	  .result = -ENOENT, .line = "only TCP can be allowed, and DNS and NTP to their servers" },
	{ .what = "reply", .reason = OH_ADDRESS_NOT_ALLOWED, .protocol = IPPROTO_TCP, .to = "10.0.0.7",
	  .to_port = 50000, .from_port = 8000, .reply = true, .line = "[inbound] accept = 8000 10.0.0.7" },
	{ .what = "port 80 of a name", .reason = OH_PORT_NOT_ALLOWED, .protocol = IPPROTO_TCP, .to = "192.0.2.7",
	  .to_port = 80, .target = "github.com:443", .line = "ohguard allow github.com:80 --sni off" },
	{ .what = "port of an address", .reason = OH_PORT_NOT_ALLOWED, .protocol = IPPROTO_TCP, .to = "192.0.2.7",
	  .to_port = 22, .target = "192.0.2.7:443", .line = "ohguard allow 192.0.2.7:22" },
	{ .what = "not TLS, granted", .reason = OH_TLS_NOT_TLS, .target = "run.example:443",
	  .line = "ohguard allow run.example --sni off" },
	{ .what = "not TLS, configured", .reason = OH_TLS_NOT_TLS, .target = "conf.example:443",
	  .line = "[allow] target = conf.example sni=off" },
	{ .what = "from outside", .reason = OH_INBOUND_NOT_ALLOWED, .protocol = IPPROTO_TCP, .from = "192.0.2.9",
	  .to = "10.0.0.1", .to_port = 3000, .line = "[inbound] accept = 3000 192.0.2.9" },
	{ .what = "metadata", .reason = OH_METADATA_SERVICE, .to = "169.254.169.254", .line = "[imds] access = allow" },
	{ .what = "metadata of a container", .reason = OH_METADATA_SERVICE, .to = "169.254.170.2", .result = -ENOENT,
	  .line = "no line opens this address of the metadata service" },
	{ .what = "metadata by a translator", .reason = OH_METADATA_SERVICE, .to = "64:ff9b::a9fe:a9fe",
	  .result = -ENOENT, .line = "no line opens this address of the metadata service" },
	{ .what = "resolver", .reason = OH_DNS_RESOLVER_NOT_ALLOWED, .to = "8.8.8.8",
	  .line = "[dns] resolver = 8.8.8.8" },
	{ .what = "time server", .reason = OH_NTP_SERVER_NOT_ALLOWED, .to = "192.0.2.1",
	  .line = "[ntp] server = 192.0.2.1" },
	{ .what = "raw socket", .reason = OH_RAW_SOCKET, .result = -ENOENT,
	  .line = "no line allows this: see REASONS in ohguard(8)" },
	{ .what = "verify", .reason = OH_DNS_NAME_NOT_ALLOWED, .name = "google.com", .command = HISTORY_OF_VERIFY,
	  .result = -ENOENT, .line = "`ohguard verify` tried it: it must fail" },
	/* from the workload */
	{ .what = "shell", .reason = OH_DNS_NAME_NOT_ALLOWED, .name = "$(rm -r /).example", .result = -ENOENT,
	  .line = "no target can have this name" },
	{ .what = "option", .reason = OH_DNS_NAME_NOT_ALLOWED, .name = "--wide", .result = -ENOENT,
	  .line = "no target can have this name" },
	{ .what = "range", .reason = OH_DNS_NAME_NOT_ALLOWED, .name = "0.0.0.0/1", .result = -ENOENT,
	  .line = "no target can have this name" },
	{ .what = "suffix", .reason = OH_TLS_NAME_NOT_ALLOWED, .name = "*.example.com", .to_port = 443,
	  .result = -ENOENT, .line = "no target can have this name" },
	{ .what = "newline", .reason = OH_TLS_NAME_NOT_ALLOWED, .name = "a.example\nb", .to_port = 443,
	  .result = -ENOENT, .line = "no target can have this name" },
};

static void line_is_what_is_missing(void **state)
{
	struct grants none = { 0 };
	struct policy policy;
	struct config c;

	(void)state;
	assert_int_equal(config_read(unit_write(CONFIG, strlen(CONFIG)), &c, &e), 0);
	assert_int_equal(policy_build(&c, &none, 0, &policy, &e), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *r = &rows[i];
		struct history_record record = { .reason = r->reason, .protocol = r->protocol, .name = r->name,
						 .target = r->target, .command = r->command,
						 .source_port = r->from_port, .destination_port = r->to_port,
						 .reply = r->reply };
		char line[ADVICE_MAX];
		int result;

		if (r->from)
			assert_int_equal(address_parse(r->from, &record.source), 0);
		if (r->to)
			assert_int_equal(address_parse(r->to, &record.destination), 0);
		result = advice(&record, &policy, line, sizeof(line));
		if (result != r->result || strcmp(line, r->line))
			fail_msg("%s: %d, '%s'", r->what, result, line);
	}
	policy_free(&policy);
	config_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(line_is_what_is_missing, unit_make_folder, unit_remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
