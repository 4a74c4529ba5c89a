// SPDX-License-Identifier: MIT
#include "names/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "policy/address.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/text.h"

#define PAUSE_FIRST 10		/* seconds after a first failure */
#define PAUSE_LONGEST 300

static int compare(const void *a, const void *b)
{
	const struct record *left = a, *right = b;
	int r = strcmp(left->name, right->name);

	return r ? r : left->family - right->family;
}

struct record *records_find(const struct records *records, const char *name, int family)
{
	struct record key = { .name = (char *)name, .family = family };

	return records->count ? bsearch(&key, records->list, records->count, sizeof(key), compare) : NULL;
}

struct record *records_find_from(const struct records *records, const char *name, int family, size_t *at)
{
	const struct record key = { .name = (char *)name, .family = family };
	struct record *found = *at < records->count && !compare(&records->list[*at], &key) ? &records->list[*at] :
			       records_find(records, name, family);

	if (found)
		*at = (size_t)(found - records->list) + 1;
	return found;
}

static void record_free(struct record *r)
{
	free(r->name);
	free(r->why);
	free(r->addresses);
}

const char *record_why(const struct record *r)
{
	return r->why ? r->why : "";
}

/* Without memory it is not told. */
static void set_why(struct record *r, const char *why)
{
	free(r->why);
	r->why = why && *why ? strndup(why, RECORD_WHY_MAX - 1) : NULL;
}

void records_free(struct records *records)
{
	for (size_t i = 0; i < records->count; i++)
		record_free(&records->list[i]);
	free(records->list);
	*records = (struct records){ 0 };
}

int records_keep(struct records *records, const char *const *names, size_t count, struct error *e)
{
	struct records kept = { .list = calloc(count ? count * 2 : 1, sizeof(*kept.list)) };
	size_t at = 0;	/* both lists are sorted: one walk covers both */
	int r = 0;

	if (!kept.list)
		return error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < count * 2; i++) {
		const struct record wanted = { .name = (char *)names[i / 2], .family = i % 2 ? 6 : 4 };
		struct record *new = &kept.list[kept.count];

		while (at < records->count && compare(&records->list[at], &wanted) < 0)
			record_free(&records->list[at++]);
		if (at < records->count && !compare(&records->list[at], &wanted)) {
			*new = records->list[at++];
		} else {
			*new = wanted;
			new->name = strdup(wanted.name);
		}
		if (!new->name) {
			r = error_set(e, ENOMEM, "out of memory");
			break;
		}
		kept.count++;
	}
	while (at < records->count)
		record_free(&records->list[at++]);
	free(records->list);
	*records = kept;
	return r;
}

/* How long an address is held: as long as a program may get it from a cache, where max-ttl says nothing. */
static uint32_t held_for(uint32_t ttl, const struct config *c)
{
	uint32_t longest = c->max_ttl > OH_TTL_LONGEST ? c->max_ttl : OH_TTL_LONGEST;

	return ttl < c->min_ttl ? c->min_ttl : ttl > longest ? longest : ttl;
}

static struct record_address *find_address(struct record *r, const struct oh_address *a)
{
	for (size_t i = 0; i < r->count; i++) {
		if (!memcmp(&r->addresses[i].address, a, sizeof(*a)))
			return &r->addresses[i];
	}
	return NULL;
}

/* Drops what has expired and is not in the last good answer. */
static void forget_expired(struct record *r, int64_t now)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->count; i++) {
		if (r->addresses[i].current || r->addresses[i].expires > now)
			r->addresses[kept++] = r->addresses[i];
	}
	r->count = kept;
}

int record_answered(struct record *r, const struct answer *answer, int64_t now, const struct config *c, struct error *e)
{
	uint32_t shortest = c->max_ttl;

	for (size_t i = 0; i < r->count; i++)
		r->addresses[i].current = false;
	forget_expired(r, now);
	if (answer->count) {	/* room for both lists, so that nothing fails half way */
		struct record_address *grown = realloc(r->addresses, (r->count + answer->count) * sizeof(*grown));

		if (!grown)
			return error_set(e, ENOMEM, "out of memory");
		r->addresses = grown;
	}
	for (size_t i = 0; i < answer->count; i++) {
		uint32_t ttl = held_for(answer->list[i].ttl, c);
		struct record_address *a = find_address(r, &answer->list[i].address);

		if (!a) {
			a = &r->addresses[r->count++];
			*a = (struct record_address){ .address = answer->list[i].address };
		}
		a->current = true;
		if (a->expires < now + ttl + c->grace)
			a->expires = now + ttl + c->grace;
		if (ttl < shortest)
			shortest = ttl;
	}
	r->answered = r->tried = now;
	r->due = now + shortest;
	r->failures = 0;
	set_why(r, NULL);
	return 0;
}

/* Where the addresses of the last good answer end if nothing better comes before the next try. */
void record_extend(struct record *r, int64_t now, const struct config *c)
{
	int64_t stale = r->answered + c->max_stale;
	int64_t until = (r->due > now ? r->due : now) + c->grace;

	if (until > stale)
		until = stale;
	for (size_t i = 0; i < r->count; i++) {
		if (r->addresses[i].current && r->addresses[i].expires < until)
			r->addresses[i].expires = until;
	}
}

void record_failed(struct record *r, const char *why, int64_t now, const struct config *c)
{
	int64_t pause = PAUSE_FIRST;

	for (uint32_t i = 0; i < r->failures && pause < PAUSE_LONGEST; i++)
		pause *= 2;
	if (pause > PAUSE_LONGEST)
		pause = PAUSE_LONGEST;
	if (r->failures < UINT32_MAX)
		r->failures++;
	r->tried = now;
	r->due = now + pause;
	set_why(r, why);
	record_extend(r, now, c);
	forget_expired(r, now);
}

/* The file, in INI: a line `record = NAME FAMILY ANSWERED TRIED DUE FAILURES WHY`, followed by a line for each address,
 * `address = ADDRESS EXPIRES CURRENT`. */

static int read_record(struct records *records, const char *value, struct error *e)
{
	char name[TARGET_NAME_MAX + 1];
	struct record r = { 0 }, *grown;
	int why = 0;

	if (sscanf(value, "%253s %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNu32 " %n", name, &r.family,
		   &r.answered, &r.tried, &r.due, &r.failures, &why) != 6 || !why ||
	    (r.family != 4 && r.family != 6) || r.answered < 0 || r.tried < 0 || r.due < 0)
		return error_set(e, EINVAL, "not a record");
	grown = list_grow(records->list, records->count, sizeof(*grown));
	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	records->list = grown;
	r.name = strdup(name);
	if (!r.name)
		return error_set(e, ENOMEM, "out of memory");
	set_why(&r, strcmp(value + why, "-") ? value + why : NULL);
	records->list[records->count++] = r;
	return 0;
}

static int read_address(struct records *records, const char *value, struct error *e)
{
	struct record *r = records->count ? &records->list[records->count - 1] : NULL;
	char text[ADDRESS_TEXT_MAX];
	struct record_address a = { 0 }, *grown;
	int current;

	if (!r || sscanf(value, "%51s %" SCNd64 " %d", text, &a.expires, &current) != 3 ||
	    address_parse(text, &a.address) || a.expires < 0 || (current & ~1))
		return error_set(e, EINVAL, "not an address of a record");
	a.current = current;
	grown = list_grow(r->addresses, r->count, sizeof(*grown));
	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	r->addresses = grown;
	r->addresses[r->count++] = a;
	return 0;
}

static int visit(void *context, const char *section, const char *key, const char *value, struct error *e)
{
	bool known = !strcmp(section, "resolved");

	if (known && (!key || !strcmp(key, "record")))
		return key ? read_record(context, value, e) : 0;
	if (known && !strcmp(key, "address"))
		return read_address(context, value, e);
	return error_set(e, EINVAL, "[%s] %s: no such key", section, key ? key : "");
}

int records_read(const char *path, struct records *ret, struct error *e)
{
	int r;

	*ret = (struct records){ 0 };
	r = ini_read(path, visit, ret, e);
	if (r && r != -ENOENT) {
		records_free(ret);
		return r;
	}
	if (ret->count)
		qsort(ret->list, ret->count, sizeof(*ret->list), compare);
	return 0;
}

/* One line that is written: its longest word is a name or an address, the others are numbers. */
#define RECORD_LINE_MAX (TARGET_NAME_MAX + 160)

/* A word and a space. */
static char *put_text(char *at, const char *text)
{
	at = stpcpy(at, text);
	*at++ = ' ';
	return at;
}

/* No number of a record is negative: read_record() and read_address() make sure of that. */
static char *put_number(char *at, int64_t number)
{
	at = text_put_number(at, (uint64_t)number);
	*at++ = ' ';
	return at;
}

static void write_record(FILE *out, const struct record *r)
{
	char line[RECORD_LINE_MAX], *at = put_text(line, "record =");

	at = put_text(at, r->name);
	at = put_number(at, r->family);
	at = put_number(at, r->answered);
	at = put_number(at, r->tried);
	at = put_number(at, r->due);
	at = put_number(at, r->failures);
	fwrite(line, 1, (size_t)(at - line), out);
	fputs(r->why ? r->why : "-", out);
	putc('\n', out);
}

static void write_address(FILE *out, const struct record_address *a)
{
	char line[RECORD_LINE_MAX], text[ADDRESS_TEXT_MAX], *at = put_text(line, "address =");

	at = put_text(at, address_format(&a->address, text));
	at = put_number(at, a->expires);
	*at++ = a->current ? '1' : '0';
	*at++ = '\n';
	fwrite(line, 1, (size_t)(at - line), out);
}

int records_write(const char *path, const struct records *records, struct error *e)
{
	struct file_out out;
	int r = file_begin(&out, path, 0600, e);

	if (r)
		return r;
	fputs("; Kept by ohguard: what DNS said. Without it, nothing bridges the time when a resolver fails.\n"
	      "[resolved]\n", out.stream);
	for (size_t i = 0; i < records->count; i++) {
		const struct record *rec = &records->list[i];

		write_record(out.stream, rec);
		for (size_t j = 0; j < rec->count; j++)
			write_address(out.stream, &rec->addresses[j]);
	}
	return file_commit(&out, e);
}
