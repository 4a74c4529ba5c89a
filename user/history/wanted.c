// SPDX-License-Identifier: MIT
#include "history/wanted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/reason.h"
#include "base/text.h"
#include "history/advice.h"
#include "policy/address.h"

#define TCP 6

static bool is_same(const struct wanted_item *a, const struct wanted_item *b)
{
	if (a->kind != b->kind || target_compare(&a->target, &b->target))
		return false;
	return a->kind != WANTED_OTHER || (a->reason == b->reason && a->protocol == b->protocol);
}

static struct wanted_item *find(const struct wanted *w, const struct wanted_item *item)
{
	for (size_t i = 0; i < w->count; i++) {
		if (is_same(&w->list[i], item))
			return &w->list[i];
	}
	return NULL;
}

static int add(struct wanted *w, const struct wanted_item *item, struct error *e)
{
	struct wanted_item *known = find(w, item), *grown;

	if (known) {
		known->count += item->count;
		known->target.plain |= item->target.plain;
		if (history_address_is_set(&item->at))
			known->at = item->at;
		return 0;
	}
	if (w->count == WANTED_MAX) {
		w->left_out += item->count;
		return 0;
	}
	grown = list_grow(w->list, w->count, sizeof(*grown));
	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	w->list = grown;
	w->list[w->count++] = *item;
	return 0;
}

/* Another port of a name that is allowed. */
static bool is_of_name(const struct history_record *record, struct target *t)
{
	return record->reason == OH_PORT_NOT_ALLOWED && !record->name && record->target &&
	       !target_parse_identity(record->target, t) && t->kind == TARGET_NAME;
}

/* By its name, or else by its address. A name from outside that is none is not taken. */
static bool set_target(struct wanted_item *item, const struct history_record *record)
{
	struct target *t = &item->target, held;
	const char *name = is_of_name(record, &held) ? held.name : record->name;
	struct error ignored;

	if (name && (target_parse(name, t, &ignored) || t->kind != TARGET_NAME || strchr(name, ':')))
		return false;
	if (!name) {
		*t = (struct target){ .kind = TARGET_ADDRESS,
				      .range = { .prefix = 128, .address = record->destination } };
		if (!history_address_is_set(&record->destination))
			return false;
	}
	t->service = OH_SERVICE_TCP;
	t->port = item->kind == WANTED_NAME ? TARGET_PORT_DEFAULT : record->destination_port;
	t->plain = target_is_named(t) && advice_is_plain(t->port);
	return true;
}

/* Connections that do not open with a hello for a name. Those to an address that is written as such need none. */
static void set_plain(struct wanted_item *item, const struct history_record *record)
{
	/* the address may belong to a target that is there already */
	if (!record->name && record->target)
		target_parse_identity(record->target, &item->target);
	item->target.plain = item->target.kind == TARGET_NAME || item->target.kind == TARGET_SUFFIX;
}

int wanted_add(struct wanted *w, const struct history_record *record, struct error *e)
{
	struct wanted_item item = { .kind = WANTED_TARGET, .reason = record->reason, .protocol = record->protocol,
				    .count = record->count };

	if (record->command && !strcmp(record->command, HISTORY_OF_VERIFY))	/* what must fail */
		return 0;
	switch (record->reason) {
	case OH_DNS_NAME_NOT_ALLOWED:
		item.kind = WANTED_NAME;
		break;
	case OH_ADDRESS_NOT_ALLOWED:
	case OH_ADDRESS_EXPIRED:
	case OH_PORT_NOT_ALLOWED:
	case OH_FORWARDED:
		if (record->protocol == 17 && record->hook != OH_HOOK_EGRESS && record->hook != OH_HOOK_UPLINK_EGRESS)
			return 0;	/* a datagram socket that was connected, to sort addresses, and sent nothing */
		if (record->protocol != TCP)
			item.kind = WANTED_OTHER;
		break;
	case OH_TLS_NAME_NOT_ALLOWED:
		item.at = record->destination;
		break;
	case OH_TLS_NOT_TLS:
	case OH_TLS_NO_NAME:
	case OH_TLS_ENCRYPTED_HELLO:
		break;
	case OH_DNS_RESOLVER_NOT_ALLOWED:
	case OH_NTP_SERVER_NOT_ALLOWED:
	case OH_METADATA_SERVICE:
	case OH_PROTOCOL_NOT_ALLOWED:
	case OH_RAW_SOCKET:
		item.kind = WANTED_OTHER;
		break;
	default:	/* what enforcing mends by itself, or nothing allows */
		return 0;
	}
	if (!set_target(&item, record) && item.kind != WANTED_OTHER)
		return 0;
	if (record->reason == OH_TLS_NOT_TLS || record->reason == OH_TLS_NO_NAME ||
	    record->reason == OH_TLS_ENCRYPTED_HELLO)
		set_plain(&item, record);
	return add(w, &item, e);
}

static void make_suffix(struct wanted_item *item, const char *const *suffixes)
{
	size_t size = strlen(item->target.name);

	for (; suffixes && *suffixes; suffixes++) {
		const char *suffix = !strncmp(*suffixes, "*.", 2) ? *suffixes + 2 : *suffixes;
		size_t n = strlen(suffix);

		if (n >= size || item->target.name[size - n - 1] != '.' ||
		    strcasecmp(item->target.name + size - n, suffix))
			continue;
		item->target.kind = TARGET_SUFFIX;
		memmove(item->target.name, item->target.name + size - n, n + 1);
		return;
	}
}

/* Whether one line of the list, or of the policy, makes that one superfluous. */
static bool is_covered(const struct target *by, const struct wanted_item *item)
{
	const struct target *t = &item->target;

	if (by->service != OH_SERVICE_TCP || t->kind == TARGET_ADDRESS || t->kind == TARGET_RANGE)
		return false;
	if (item->kind == WANTED_TARGET && (by->port != t->port || (t->plain && !by->plain)))
		return false;
	return (by->kind == TARGET_NAME || by->kind == TARGET_SUFFIX) && target_covers(by, t);
}

/* The machine's search suffixes. */
struct searches {
	char suffix[CONFIG_SEARCH_MAX][TARGET_NAME_MAX + 1];
	size_t count;
};

/* A lookup with a search suffix is tried on the way to the name itself. */
static bool is_search(const struct wanted *w, const struct wanted_item *item, const struct searches *s)
{
	size_t size = strlen(item->target.name);

	for (size_t i = 0; i < s->count; i++) {
		size_t len = strlen(s->suffix[i]);

		if (len + 1 >= size || strcmp(item->target.name + size - len, s->suffix[i]) ||
		    item->target.name[size - len - 1] != '.')
			continue;
		for (size_t k = 0; k < w->count; k++) {
			if (strlen(w->list[k].target.name) == size - len - 1 &&
			    !strncmp(w->list[k].target.name, item->target.name, size - len - 1))
				return true;
		}
	}
	return false;
}

static bool is_superfluous(const struct wanted *w, size_t at, const struct policy *policy,
			   const struct searches *searches)
{
	const struct wanted_item *item = &w->list[at];

	if (item->kind == WANTED_OTHER)
		return false;
	for (size_t i = 0; policy && i < policy->count; i++) {
		if (is_covered(policy->list[i].target, item))
			return true;
	}
	for (size_t i = 0; policy && item->kind == WANTED_NAME && i < policy->asks.count; i++) {
		if (target_covers(&policy->asks.list[i], &item->target))
			return true;
	}
	for (size_t i = 0; i < w->count; i++) {
		const struct wanted_item *by = &w->list[i];

		if (i == at || by->kind != WANTED_TARGET)
			continue;
		if (is_covered(&by->target, item))
			return true;
		/* the name that was given there says more */
		if (item->target.kind == TARGET_ADDRESS && item->target.port == by->target.port &&
		    !memcmp(&item->target.range.address, &by->at, sizeof(by->at)))
			return true;
	}
	return item->kind == WANTED_NAME && is_search(w, item, searches);
}

static int compare(const void *a, const void *b)
{
	const struct wanted_item *x = a, *y = b;

	return x->kind != y->kind ? (int)x->kind - (int)y->kind : target_compare(&x->target, &y->target);
}

int wanted_finish(struct wanted *w, const struct policy *policy, const char *const *suffixes, struct error *e)
{
	struct wanted all = *w, merged = { .left_out = w->left_out };
	struct searches searches;
	int r = 0;

	for (size_t i = 0; !r && i < all.count; i++) {
		if (all.list[i].kind != WANTED_OTHER && all.list[i].target.kind == TARGET_NAME)
			make_suffix(&all.list[i], suffixes);
		r = add(&merged, &all.list[i], e);
	}
	free(all.list);
	*w = merged;
	if (r)
		return r;
	searches.count = resolv_conf_search("/etc/resolv.conf", searches.suffix);
	/* One by one, and away at once: of two that cover each other one stays. */
	for (size_t i = 0; i < w->count;) {
		if (is_superfluous(w, i, policy, &searches))
			memmove(&w->list[i], &w->list[i + 1], (--w->count - i) * sizeof(*w->list));
		else
			i++;
	}
	if (w->count)
		qsort(w->list, w->count, sizeof(*w->list), compare);
	return 0;
}

void wanted_free(struct wanted *w)
{
	free(w->list);
	*w = (struct wanted){ 0 };
}

const char *wanted_text(const struct wanted_item *item, char buffer[WANTED_TEXT_MAX])
{
	char text[OH_TARGET_TEXT_MAX];
	bool bare = item->kind == WANTED_NAME || (item->target.port == TARGET_PORT_DEFAULT &&
						  item->target.kind != TARGET_ADDRESS);

	snprintf(buffer, WANTED_TEXT_MAX, "%s%s", bare ? target_format(&item->target, text) :
		 target_identity(&item->target, text), target_options(&item->target));
	return buffer;
}

static const char *where_instead(const struct wanted_item *item)
{
	switch (item->reason) {
	case OH_DNS_RESOLVER_NOT_ALLOWED:
		return "a resolver: [dns] resolver";
	case OH_NTP_SERVER_NOT_ALLOWED:
		return "a time server: [ntp] server";
	case OH_METADATA_SERVICE:
		return address_is_imds(&item->target.range.address) ? "the metadata service: [imds] access = allow" :
			"of the metadata service, and nothing opens it";
	}
	return "nothing allows it";
}

static void print_other(FILE *out, const struct wanted_item *item)
{
	char protocol[HISTORY_PROTOCOL_MAX], text[OH_TARGET_TEXT_MAX];

	fprintf(out, "; %s %s", reason_name(item->reason), history_protocol(item->protocol, protocol));
	if (*item->target.name || history_address_is_set(&item->target.range.address))
		fprintf(out, " to %s", target_identity(&item->target, text));
	fprintf(out, ": %s\n", where_instead(item));
}

static const char *const headings[] = {
	[WANTED_TARGET] = "[allow]",
	[WANTED_NAME] = "[dns]\n; asked for, and never connected to",
	[WANTED_OTHER] = "; not to be had by [allow]",
};

void wanted_print(FILE *out, const struct wanted *w)
{
	char text[WANTED_TEXT_MAX];

	for (size_t i = 0; i < w->count; i++) {
		const struct wanted_item *item = &w->list[i];

		if (!i || item->kind != w->list[i - 1].kind)
			fprintf(out, "%s%s\n", i ? "\n" : "", headings[item->kind]);
		if (item->kind == WANTED_OTHER)
			print_other(out, item);
		else
			fprintf(out, "%s = %s\n", item->kind == WANTED_NAME ? "name" : "target",
				wanted_text(item, text));
	}
	if (w->left_out)
		fprintf(out, "; and more, of %llu attempts: too many to list\n", (unsigned long long)w->left_out);
}
