// SPDX-License-Identifier: MIT
#include "policy/target.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "policy/address.h"
#include "base/text.h"

static const char *const services[OH_SERVICE_MAX] = { "none", "tcp", "dns", "ntp" };

const char *target_service_name(enum oh_service service)
{
	return service < OH_SERVICE_MAX ? services[service] : "none";
}

/* Checks an ASCII name and copies it in lower case. Underscores are not allowed by RFC 952, but in use. */
static int copy_name(const char *shown, const char *name, char ret[TARGET_NAME_MAX + 1], struct error *e)
{
	size_t len = strlen(name), label = 0;

	if (len && name[len - 1] == '.')
		len--;
	if (!len)
		return error_set(e, EINVAL, "%s: no name", shown);
	if (len > TARGET_NAME_MAX)
		return error_set(e, EINVAL, "%.40s...: a name has at most %d bytes, this one %zu",
				 shown, TARGET_NAME_MAX, len);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c == '.') {
			if (!label)
				return error_set(e, EINVAL, "%s: an empty label (two dots, or a dot in front)", shown);
			label = 0;
			continue;
		}
		if (!isalnum(c) && c != '-' && c != '_')
			return error_set(e, EINVAL, "%s: a name cannot hold '%c'", shown, c);
		if (++label > 63)
			return error_set(e, EINVAL, "%.40s...: a label has at most 63 bytes", shown);
	}
	if (!label)
		return error_set(e, EINVAL, "%s: an empty label (two dots at the end)", shown);
	for (size_t i = 0; i < len; i++)
		ret[i] = (char)tolower((unsigned char)name[i]);
	ret[len] = '\0';
	return 0;
}

/* Looks like an address, but is none. */
static bool is_numeric(const char *name)
{
	return !name[strspn(name, "0123456789./")];
}

static int parse_name(const char *shown, const char *name, struct target *t, struct error *e)
{
	for (const char *c = name; *c; c++) {
		if ((unsigned char)*c >= 0x80)
			return error_set(e, EINVAL, "%s: an international name: give its A-label (xn--...), which "
					 "`idn2` prints", shown);
	}
	if (is_numeric(name))
		return error_set(e, EINVAL, "%s: neither a name nor a complete address", shown);
	return copy_name(shown, name, t->name, e);
}

/* Splits "host:port" and "[host]:port" in place. *ret_port is NULL if there is none. */
static int split_port(char *text, char **ret_host, char **ret_port, const char *shown, struct error *e)
{
	struct oh_range range;
	char *colon;

	if (*text == '[') {
		char *close = strchr(text, ']');

		if (!close || (close[1] && close[1] != ':'))
			return error_set(e, EINVAL, "%s: after [ expected [ADDRESS] or [ADDRESS]:PORT", shown);
		*close = '\0';
		if (range_parse(text + 1, &range) == -EINVAL)
			return error_set(e, EINVAL, "%s: expected an address or a range in brackets", shown);
		*ret_host = text + 1;
		*ret_port = close[1] ? close + 2 : NULL;
		return 0;
	}
	colon = strchr(text, ':');
	*ret_host = text;
	*ret_port = NULL;
	if (colon && !strchr(colon + 1, ':')) {	/* two colons and no brackets: an IPv6 address without a port */
		*colon = '\0';
		*ret_port = colon + 1;
	}
	return 0;
}

static int parse_host(const char *shown, const char *host, struct target *t, struct error *e)
{
	int r = range_parse(host, &t->range);

	if (r == -EDOM)
		return error_set(e, EINVAL, "%s: bits are set behind the prefix: write the first address of the range",
				 shown);
	if (!r) {
		t->kind = t->range.prefix == 128 ? TARGET_ADDRESS : TARGET_RANGE;
		return 0;
	}
	if (strchr(host, ':') || strchr(host, '/'))
		return error_set(e, EINVAL, "%s: not an address or range", shown);
	t->kind = TARGET_NAME;
	if (!strncmp(host, "*.", 2)) {
		t->kind = TARGET_SUFFIX;
		host += 2;
	}
	return parse_name(shown, host, t, e);
}

int target_parse_ports(const char *text, __u16 *ret_port, __u16 *ret_more)
{
	const char *dash = strchr(text, '-');
	size_t len = dash ? (size_t)(dash - text) : strlen(text);
	uint64_t first, last;
	char copy[6];

	if (len >= sizeof(copy))
		return -EINVAL;
	snprintf(copy, sizeof(copy), "%.*s", (int)len, text);
	if (text_parse_number(copy, 1, 65535, &first) || text_parse_number(dash ? dash + 1 : copy, first, 65535, &last))
		return -EINVAL;
	*ret_port = (__u16)first;
	*ret_more = (__u16)(last - first);
	return 0;
}

static int parse(const char *text, enum oh_service service, struct target *ret, struct error *e)
{
	struct target t = { .service = service, .port = TARGET_PORT_DEFAULT };
	char copy[1024], *host = NULL, *port = NULL;
	int r;

	if (!*text)
		return error_set(e, EINVAL, "empty: give a name, a suffix, an address or a range");
	if (strlen(text) >= sizeof(copy))
		return error_set(e, EINVAL, "%.40s...: a name has at most %d bytes", text, TARGET_NAME_MAX);
	if (strstr(text, "://"))
		return error_set(e, EINVAL, "%s: a URL: give only its name or address, with :PORT if that is not "
				 "443", text);
	strcpy(copy, text);
	r = split_port(copy, &host, &port, text, e);
	if (r)
		return r;
	if (port && target_parse_ports(port, &t.port, &t.more))
		return error_set(e, EINVAL, "%s: '%s' is not a port (1 to 65535), nor ports like 3000-3999",
				 text, port);
	r = parse_host(text, host, &t, e);
	if (!r && t.more && t.kind != TARGET_ADDRESS && t.kind != TARGET_RANGE)
		return error_set(e, EINVAL, "%s: several ports go with an address or a range of addresses: give each "
				 "port of a name its own target", text);
	if (r)
		return r;
	*ret = t;
	return 0;
}

int target_parse(const char *text, struct target *ret, struct error *e)
{
	struct target t;
	int r = parse(text, OH_SERVICE_TCP, &t, e);

	if (r)
		return r;
	if (t.port <= 53 && t.port + t.more >= 53)
		return error_set(e, EINVAL, "%s: port 53 is for resolvers only: set [dns] resolver", text);
	if (t.kind == TARGET_RANGE && range_holds_ip4(&t.range))
		return error_set(e, EINVAL, "%s: that is every address: it would leave no guard", text);
	*ret = t;
	return 0;
}

int target_set_plain(struct target *t, const char *shown, struct error *e)
{
	if (t->service != OH_SERVICE_TCP || (t->kind != TARGET_NAME && t->kind != TARGET_SUFFIX))
		return error_set(e, EINVAL, "%s: sni=off is for names: an address has no name rule", shown);
	t->plain = true;
	return 0;
}

int target_set_wide(struct target *t, const char *shown, struct error *e)
{
	if (t->kind != TARGET_SUFFIX)
		return error_set(e, EINVAL, "%s: wide is for suffixes like *.example.com", shown);
	t->wide = true;
	return 0;
}

int target_parse_options(const char *text, struct target *ret, struct error *e)
{
	size_t len = strcspn(text, " ");
	const char *word = text + len;
	struct target t;
	char copy[1024];
	int r;

	if (len >= sizeof(copy))
		return error_set(e, EINVAL, "%.40s...: a name has at most %d bytes", text, TARGET_NAME_MAX);
	snprintf(copy, sizeof(copy), "%.*s", (int)len, text);
	r = target_parse(copy, &t, e);
	for (; !r && *(word += strspn(word, " ")); word += len) {
		len = strcspn(word, " ");
		if (len == 7 && !strncmp(word, "sni=off", len))
			r = target_set_plain(&t, copy, e);
		else if (len == 4 && !strncmp(word, "wide", len))
			r = target_set_wide(&t, copy, e);
		else
			r = error_set(e, EINVAL, "'%s': one target a line: only sni=off and wide may follow it", text);
	}
	if (!r)
		*ret = t;
	return r;
}

const char *target_options(const struct target *t)
{
	static const char *const options[2][2] = { { "", " wide" }, { " sni=off", " sni=off wide" } };

	return options[t->plain][t->wide];
}

int target_parse_identity(const char *text, struct target *ret)
{
	static const enum oh_service suffixed[] = { OH_SERVICE_DNS, OH_SERVICE_NTP };
	enum oh_service service = OH_SERVICE_TCP;
	char copy[OH_TARGET_TEXT_MAX];
	struct error e;

	snprintf(copy, sizeof(copy), "%s", text);
	for (size_t i = 0; i < sizeof(suffixed) / sizeof(*suffixed); i++) {
		char *slash = strrchr(copy, '/');

		if (slash && !strcmp(slash + 1, services[suffixed[i]])) {
			*slash = '\0';
			service = suffixed[i];
		}
	}
	return parse(copy, service, ret, &e);
}

bool target_covers(const struct target *outer, const struct target *inner)
{
	size_t len = strlen(inner->name), suffix = strlen(outer->name);

	if (outer->kind == inner->kind && !strcmp(outer->name, inner->name))
		return true;
	return outer->kind == TARGET_SUFFIX && len > suffix + 1 && inner->name[len - suffix - 1] == '.' &&
	       !strcmp(inner->name + len - suffix, outer->name);
}

bool target_is_named(const struct target *t)
{
	return t->service == OH_SERVICE_TCP && (t->kind == TARGET_NAME || t->kind == TARGET_SUFFIX) && !t->plain;
}

int target_compare(const struct target *a, const struct target *b)
{
	if (a->service != b->service)
		return (int)a->service - (int)b->service;
	if (a->kind != b->kind)
		return (int)a->kind - (int)b->kind;
	if (a->port != b->port)
		return a->port - b->port;
	if (a->more != b->more)
		return a->more - b->more;
	if (a->kind == TARGET_NAME || a->kind == TARGET_SUFFIX)
		return strcmp(a->name, b->name);
	return memcmp(&a->range, &b->range, sizeof(a->range));
}

int target_parse_server(const char *text, enum oh_service service, struct target *ret, struct error *e)
{
	struct target t = { .service = service, .port = service == OH_SERVICE_NTP ? 123 : 53 };
	int r = parse_host(text, text, &t, e);

	if (r)
		return r;
	if (t.kind == TARGET_RANGE || t.kind == TARGET_SUFFIX)
		return error_set(e, EINVAL, "%s: expected one server, not many", text);
	*ret = t;
	return 0;
}

const char *target_format(const struct target *t, char buffer[OH_TARGET_TEXT_MAX])
{
	switch (t->kind) {
	case TARGET_NAME:
		strcpy(buffer, t->name);
		break;
	case TARGET_SUFFIX:
		strcpy(stpcpy(buffer, "*."), t->name);
		break;
	case TARGET_ADDRESS:
	case TARGET_RANGE:
		range_format(&t->range, buffer);
		break;
	}
	return buffer;
}

const char *target_identity(const struct target *t, char buffer[OH_TARGET_TEXT_MAX])
{
	char host[OH_TARGET_TEXT_MAX], *at = buffer;
	bool brackets = strchr(target_format(t, host), ':');

	if (brackets)
		*at++ = '[';
	at = stpcpy(at, host);
	if (brackets)
		*at++ = ']';
	*at++ = ':';
	at = text_put_number(at, t->port);
	if (t->more) {
		*at++ = '-';
		at = text_put_number(at, t->port + t->more);
	}
	if (t->service != OH_SERVICE_TCP) {
		*at++ = '/';
		at = stpcpy(at, target_service_name(t->service));
	}
	*at = '\0';
	return buffer;
}
