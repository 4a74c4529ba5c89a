// SPDX-License-Identifier: MIT
#include "history/record.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/reason.h"
#include "base/text.h"
#include "engine/hooks.h"
#include "policy/address.h"

enum kind { ADDRESS, BOOL, HOOK, NUMBER16, NUMBER32, NUMBER64, PROTOCOL, REASON, TEXT, TIME, VERDICT };

struct field {
	const char *key;
	uint8_t length, kind;
	uint16_t at;	/* in struct history_record */
};

#define FIELD(key, kind, member) { key, sizeof(key) - 1, kind, offsetof(struct history_record, member) }

/* What each line of the file begins with: written by log.c. */
static const struct field head[] = {
	FIELD("line", NUMBER64, line), FIELD("of", NUMBER64, of), FIELD("first", TIME, first),
	FIELD("last", TIME, last), FIELD("count", NUMBER64, count),
};

/* What was refused, in the order of every output. */
static const struct field fields[] = {
	FIELD("verdict", VERDICT, observed),
	FIELD("reason", REASON, reason),
	FIELD("hook", HOOK, hook),
	FIELD("protocol", PROTOCOL, protocol),
	FIELD("source", ADDRESS, source),
	FIELD("source_port", NUMBER16, source_port),
	FIELD("destination", ADDRESS, destination),
	FIELD("destination_port", NUMBER16, destination_port),
	FIELD("name", TEXT, name),
	FIELD("target", TEXT, target),
	FIELD("pid", NUMBER32, pid),
	FIELD("uid", NUMBER32, uid),
	FIELD("command", TEXT, command),
	FIELD("cgroup", TEXT, cgroup),
	FIELD("container", TEXT, container),
	FIELD("container_name", TEXT, container_name),
	FIELD("container_by", TEXT, container_by),
	FIELD("interface", TEXT, interface),
	FIELD("original_source", ADDRESS, original_source),
	FIELD("reply", BOOL, reply),
	FIELD("others", BOOL, others),
};

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
#define AT(type, record, f) ((type *)((char *)(record) + (f)->at))
#define SEEN_AT(type, record, f) ((const type *)((const char *)(record) + (f)->at))

bool history_address_is_set(const struct oh_address *address)
{
	return address->word[0] || address->word[1] || address->word[2] || address->word[3];
}

static const struct {
	uint8_t number;
	const char *name;
} protocols[] = { { 1, "icmp" }, { 6, "tcp" }, { 17, "udp" }, { 58, "icmpv6" } };

const char *history_protocol(uint8_t protocol, char buffer[HISTORY_PROTOCOL_MAX])
{
	for (size_t i = 0; i < COUNT(protocols); i++) {
		if (protocols[i].number == protocol)
			return protocols[i].name;
	}
	snprintf(buffer, HISTORY_PROTOCOL_MAX, "%u", protocol);
	return buffer;
}

const char *history_hook(uint8_t hook)
{
	return hook < OH_HOOK_MAX ? engine_hook_names[hook] : hook == OH_HOOK_LSM ? "lsm" : NULL;
}

/* ---- to JSON ---- */

static void print_field(struct json *j, const struct field *f, const struct history_record *r, bool sparse)
{
	char buffer[ADDRESS_TEXT_MAX];
	const struct oh_address *address;
	const char *text = NULL;
	int64_t number = 0;

	switch ((enum kind)f->kind) {
	case ADDRESS:
		address = SEEN_AT(struct oh_address, r, f);
		text = history_address_is_set(address) ? address_format(address, buffer) : NULL;
		break;
	case BOOL:
		if (*SEEN_AT(bool, r, f) || !sparse)
			json_bool(j, f->key, *SEEN_AT(bool, r, f));
		return;
	case HOOK:
		text = history_hook(r->hook);
		break;
	case NUMBER16:
		number = *SEEN_AT(uint16_t, r, f);
		break;
	case NUMBER32:
		number = *SEEN_AT(uint32_t, r, f);
		break;
	case PROTOCOL:
		text = history_protocol(r->protocol, buffer);
		break;
	case REASON:
		text = reason_name(r->reason);
		break;
	case TEXT:
		text = *SEEN_AT(const char *, r, f);
		break;
	case VERDICT:
		text = r->observed ? "observed" : "refused";
		break;
	case NUMBER64:
	case TIME:	/* of the head alone */
		return;
	}
	if (f->kind == NUMBER16 || f->kind == NUMBER32) {
		if (number || !sparse)
			json_number(j, f->key, number);
	} else if (text || !sparse) {
		json_string(j, f->key, text);
	}
}

void history_print_json(FILE *out, const struct history_record *record)
{
	char first[TEXT_TIME_MAX], last[TEXT_TIME_MAX];
	struct json j;

	json_start(&j, out);
	json_object(&j, NULL);
	json_string(&j, "time", text_time(record->first, first));
	json_string(&j, "first", first);
	json_string(&j, "last", text_time(record->last, last));
	json_number(&j, "count", (int64_t)record->count);
	for (size_t i = 0; i < COUNT(fields); i++)
		print_field(&j, &fields[i], record, false);
	json_object_end(&j);
	json_end(&j);
}

void history_print_fields(FILE *out, const struct history_record *record)
{
	struct json j;

	json_start(&j, out);
	for (size_t i = 0; i < COUNT(fields); i++)
		print_field(&j, &fields[i], record, true);
}

/* ---- from a line of the file: a million of them are read in a second ---- */

struct cursor {
	char *at, *end;
};

static bool skip(struct cursor *c, char expected)
{
	while (c->at < c->end && *c->at == ' ')
		c->at++;
	if (c->at >= c->end || *c->at != expected)
		return false;
	c->at++;
	return true;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What text_print_json() escapes, in place: \" \\ and \u00NN for one byte. */
static bool unescape(char *text, char *end)
{
	char *to = text;

	for (char *c = text; c < end; c++) {
		if (*c != '\\') {
			*to++ = *c;
		} else if (end - c >= 2 && (c[1] == '"' || c[1] == '\\')) {
			*to++ = *++c;
		} else if (end - c >= 6 && !memcmp(c, "\\u00", 4) && hex_value(c[4]) >= 0 && hex_value(c[5]) >= 0) {
			*to++ = (char)(hex_value(c[4]) << 4 | hex_value(c[5]));
			c += 5;
		} else {
			return false;
		}
	}
	*to = '\0';
	return true;
}

/* A string's text, or NULL. It ends with a NUL where its quote was. */
static char *read_string(struct cursor *c)
{
	char *text, *quote, *from;

	if (!skip(c, '"'))
		return NULL;
	text = from = c->at;
	for (;;) {
		size_t before = 0;

		quote = memchr(from, '"', (size_t)(c->end - from));
		if (!quote)
			return NULL;
		while (quote - before > text && quote[-1 - (ptrdiff_t)before] == '\\')
			before++;
		if (before % 2 == 0)
			break;
		from = quote + 1;
	}
	c->at = quote + 1;
	if (memchr(text, '\\', (size_t)(quote - text)))
		return unescape(text, quote) ? text : NULL;
	*quote = '\0';
	return text;
}

static bool read_number(struct cursor *c, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	char *start;

	while (c->at < c->end && *c->at == ' ')
		c->at++;
	start = c->at;
	while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
		if (c->at - start > 18)
			return false;
		value = value * 10 + (uint64_t)(*c->at++ - '0');
	}
	*ret = value;
	return c->at > start && value <= max;
}

static bool read_bool(struct cursor *c, bool *ret)
{
	while (c->at < c->end && *c->at == ' ')
		c->at++;
	*ret = c->end - c->at >= 4 && !memcmp(c->at, "true", 4);
	if (!*ret && !(c->end - c->at >= 5 && !memcmp(c->at, "false", 5)))
		return false;
	c->at += *ret ? 4 : 5;
	return true;
}

/* The number below max that has this name, or max. `last` is tried first: neighbouring lines are alike. */
static uint8_t find_name(const char *text, uint8_t last, uint8_t max, const char *(*name)(uint8_t number))
{
	for (unsigned int i = 0; i <= max; i++) {
		uint8_t number = i ? (uint8_t)(i - 1) : last;
		const char *known = name(number);

		if (known && !strcmp(known, text))
			return number;
	}
	return max;
}

static const char *reason_of(uint8_t number)
{
	return reason_name(number);
}

uint8_t history_reason(const char *name, uint8_t likely)
{
	return find_name(name, likely, OH_REASON_MAX, reason_of);
}

static bool read_protocol(const char *text, uint8_t *ret)
{
	uint64_t number;

	for (size_t i = 0; i < COUNT(protocols); i++) {
		if (!strcmp(protocols[i].name, text)) {
			*ret = protocols[i].number;
			return true;
		}
	}
	if (text_parse_number(text, 0, 255, &number))
		return false;
	*ret = (uint8_t)number;
	return true;
}

static bool read_numeral(struct cursor *c, const struct field *f, struct history_record *r)
{
	uint64_t number;

	if (!read_number(c, f->kind == NUMBER16 ? UINT16_MAX : f->kind == NUMBER32 ? UINT32_MAX : INT64_MAX, &number))
		return false;
	if (f->kind == NUMBER16)
		*AT(uint16_t, r, f) = (uint16_t)number;
	else if (f->kind == NUMBER32)
		*AT(uint32_t, r, f) = (uint32_t)number;
	else
		*AT(uint64_t, r, f) = number;
	return true;
}

static bool read_field(struct cursor *c, const struct field *f, struct history_record *r)
{
	static uint8_t last_reason, last_hook;
	const char *text;

	if (f->kind == BOOL)
		return read_bool(c, AT(bool, r, f));
	if (f->kind == NUMBER16 || f->kind == NUMBER32 || f->kind == NUMBER64)
		return read_numeral(c, f, r);
	text = read_string(c);
	if (!text)
		return false;
	switch ((enum kind)f->kind) {
	case ADDRESS:
		return !address_parse(text, AT(struct oh_address, r, f));
	case HOOK:
		r->hook = last_hook = find_name(text, last_hook, OH_HOOK_LSM + 1, history_hook);
		return true;
	case PROTOCOL:
		return read_protocol(text, &r->protocol);
	case REASON:
		r->reason = last_reason = history_reason(text, last_reason);
		return r->reason != OH_REASON_MAX;
	case TEXT:
		*AT(const char *, r, f) = text;
		return true;
	case TIME:
		return !text_parse_time(text, AT(int64_t, r, f));
	case VERDICT:
		r->observed = !strcmp(text, "observed");
		return true;
	default:
		return false;
	}
}

#define FIELDS (COUNT(head) + COUNT(fields))

static const struct field *field_at(size_t n)
{
	return n < COUNT(head) ? &head[n] : &fields[n - COUNT(head)];
}

/* Reads a key: mostly that of the field behind the last one, or one of the next few, since what is not known is left
 * out. False: it is no string. *ret is NULL for a key that no field has; *ret_key then holds it. */
static bool read_key(struct cursor *c, size_t *next, const struct field **ret, const char **ret_key)
{
	*ret = NULL;
	*ret_key = NULL;
	for (size_t i = 0; i < FIELDS; i++) {
		size_t n = *next + i < FIELDS ? *next + i : *next + i - FIELDS;
		const struct field *f = field_at(n);

		if (c->end - c->at > f->length + 1 && c->at[f->length + 1] == '"' && *c->at == '"' &&
		    !memcmp(c->at + 1, f->key, f->length)) {
			*next = n + 1;
			c->at += f->length + 2;
			*ret = f;
			return true;
		}
	}
	*ret_key = read_string(c);
	return *ret_key != NULL;
}

int history_parse(char *line, struct history_record *ret, const char **ret_before)
{
	struct cursor c = { .at = line, .end = line + strlen(line) };
	size_t next = 0;

	*ret = (struct history_record){ 0 };
	*ret_before = NULL;
	if (!skip(&c, '{'))
		return -EBADMSG;
	do {
		const struct field *f;
		const char *key;

		while (c.at < c.end && *c.at == ' ')
			c.at++;
		if (!read_key(&c, &next, &f, &key) || !skip(&c, ':'))
			return -EBADMSG;
		if (f ? !read_field(&c, f, ret) : strcmp(key, "before") || !(*ret_before = read_string(&c)))
			return -EBADMSG;
	} while (skip(&c, ','));
	if (!skip(&c, '}') || c.at != c.end)
		return -EBADMSG;
	return ret->count && ret->line && ret->first && ret->last >= ret->first ? 0 : -EBADMSG;
}

struct history_record *history_copy(const struct history_record *record)
{
	struct history_record *copy;
	size_t size = sizeof(*copy);
	char *at;

	for (size_t i = 0; i < COUNT(fields); i++) {
		if (fields[i].kind == TEXT && *SEEN_AT(const char *, record, &fields[i]))
			size += strlen(*SEEN_AT(const char *, record, &fields[i])) + 1;
	}
	copy = malloc(size);
	if (!copy)
		return NULL;
	*copy = *record;
	at = (char *)(copy + 1);
	for (size_t i = 0; i < COUNT(fields); i++) {
		const char **text = AT(const char *, copy, &fields[i]);

		if (fields[i].kind != TEXT || !*text)
			continue;
		size = strlen(*text) + 1;
		*text = memcpy(at, *text, size);
		at += size;
	}
	return copy;
}
