// SPDX-License-Identifier: MIT
#include "history/advice.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "policy/address.h"

/* As a user writes it: without the port that it has anyway. */
static const char *spell(const struct target *t, char buffer[OH_TARGET_TEXT_MAX])
{
	bool usual = t->service == OH_SERVICE_TCP && t->port == TARGET_PORT_DEFAULT && !t->more;

	return usual ? target_format(t, buffer) : target_identity(t, buffer);
}

bool advice_is_plain(uint16_t port)
{
	return port == 80 || port == 22;
}

void advice_for_target(const struct target *target, char *line, size_t size)
{
	bool plain = target->plain || (target_is_named(target) && advice_is_plain(target->port));
	char text[OH_TARGET_TEXT_MAX];
	const char *quote = target->kind == TARGET_SUFFIX ? "'" : "";

	snprintf(line, size, ADVICE_ALLOW "%s%s%s%s", quote, spell(target, text), quote, plain ? ADVICE_PLAIN : "");
}

static int nothing(char *line, size_t size, const char *why)
{
	snprintf(line, size, "%s", why);
	return -ENOENT;
}

/* Names come from the workload: one that no target can be is not written down, whatever a shell would make of it. */
static int allow_name(const char *name, uint16_t port, char *line, size_t size)
{
	size_t length = strlen(name);
	struct target t;
	struct error e;

	if (*name == '-' || strchr(name, ':') || target_parse(name, &t, &e) ||
	    (t.kind != TARGET_NAME && t.kind != TARGET_ADDRESS))
		return nothing(line, size, "no target can have this name");
	if (t.kind == TARGET_NAME && length > 5 && !strcasecmp(name + length - 5, ".arpa")) {
		snprintf(line, size, "[dns] name = %s", t.name);
		return 0;
	}
	t.port = port ? port : TARGET_PORT_DEFAULT;
	advice_for_target(&t, line, size);
	return 0;
}

static int allow_address(const struct oh_address *address, uint16_t port, char *line, size_t size)
{
	struct target t = { .kind = TARGET_ADDRESS, .service = OH_SERVICE_TCP, .port = port,
			    .range = { .prefix = 128, .address = *address } };

	if (!port)
		return nothing(line, size, "it has no port");
	advice_for_target(&t, line, size);
	return 0;
}

/* The target that the address belongs to, also if that has lapsed, with another port or without TLS; else the address
 * itself. */
static int allow_more_of(const struct history_record *r, const struct policy *p, bool plain, char *line, size_t size)
{
	const struct policy_target *held;
	char text[OH_TARGET_TEXT_MAX];
	struct target t;

	if (!r->target || target_parse_identity(r->target, &t))
		return plain ? nothing(line, size, "the name that it was for is not known: allow that with --sni off") :
		       allow_address(&r->destination, r->destination_port, line, size);
	held = policy_find(p, &t);
	t.plain = plain;
	if (plain && held && held->source == POLICY_CONFIG) {
		snprintf(line, size, "[allow] target = %s sni=off", spell(&t, text));
		return 0;
	}
	if (!plain) {
		t.more = 0;
		t.port = r->destination_port;
	}
	advice_for_target(&t, line, size);
	return 0;
}

static int inbound(const struct oh_address *from, uint16_t port, char *line, size_t size)
{
	char text[ADDRESS_TEXT_MAX];

	snprintf(line, size, "[inbound] accept = %u %s", port, address_format(from, text));
	return 0;
}

static int server(const char *key, const struct history_record *r, char *line, size_t size)
{
	char text[ADDRESS_TEXT_MAX];

	snprintf(line, size, "%s = %s", key, address_format(&r->destination, text));
	return 0;
}

static int to_address(const struct history_record *r, const struct policy *p, char *line, size_t size)
{
	if (r->reply && r->source_port)
		return inbound(&r->destination, r->source_port, line, size);
	if (r->protocol != IPPROTO_TCP)
		return nothing(line, size, "only TCP can be allowed, and DNS and NTP to their servers");
	if (r->name && *r->name)
		return allow_name(r->name, r->destination_port, line, size);
	return allow_more_of(r, p, false, line, size);
}

int advice(const struct history_record *record, const struct policy *policy, char *line, size_t size)
{
	if (record->command && !strcmp(record->command, HISTORY_OF_VERIFY))
		return nothing(line, size, "`ohguard verify` tried it: it must fail");
	switch (record->reason) {
	case OH_DNS_NAME_NOT_ALLOWED:
	case OH_TLS_NAME_NOT_ALLOWED:
		if (!record->name || !*record->name)
			return nothing(line, size, "the name is not known");
		return allow_name(record->name, record->reason == OH_DNS_NAME_NOT_ALLOWED ? 0 :
				  record->destination_port, line, size);
	case OH_ADDRESS_NOT_ALLOWED:
	case OH_ADDRESS_EXPIRED:
	case OH_PORT_NOT_ALLOWED:
	case OH_FORWARDED:
		return to_address(record, policy, line, size);
	case OH_TLS_NO_NAME:
	case OH_TLS_NOT_TLS:
	case OH_TLS_ENCRYPTED_HELLO:
		return allow_more_of(record, policy, true, line, size);
	case OH_INBOUND_NOT_ALLOWED:
		if (record->protocol != IPPROTO_TCP)
			return nothing(line, size, "only TCP can be let in");
		return inbound(&record->source, record->destination_port, line, size);
	case OH_METADATA_SERVICE:
		if (!address_is_imds(&record->destination))
			return nothing(line, size, "no line opens this address of the metadata service");
		snprintf(line, size, "[imds] access = allow");
		return 0;
	case OH_DNS_RESOLVER_NOT_ALLOWED:
		return server("[dns] resolver", record, line, size);
	case OH_NTP_SERVER_NOT_ALLOWED:
		return server("[ntp] server", record, line, size);
	case OH_LOCKDOWN:
		snprintf(line, size, "ohguard load");
		return 0;
	}
	return nothing(line, size, "no line allows this: see REASONS in ohguard(8)");
}
