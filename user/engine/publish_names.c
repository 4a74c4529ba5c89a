// SPDX-License-Identifier: MIT
#include "engine/publish_names.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fingerprint.h"
#include "parse/name_key.h"

/* One target's claim on a name. */
struct claim {
	struct oh_name_key key;
	struct oh_name_rule rule;
};

struct claims {
	struct claim *list;
	size_t count;
};

static int map_error(struct error *e)
{
	if (errno == ENOSPC)
		return error_set(e, E2BIG, "%s is full: allow fewer names", engine_map_names[ENGINE_NAMES]);
	return error_set(e, errno, "%s: %s", engine_map_names[ENGINE_NAMES], strerror(errno));
}

static int add_claim(struct claims *claims, const struct target *t, const struct oh_name_rule *rule, struct error *e)
{
	struct claim *claim = &claims->list[claims->count];
	char text[OH_TARGET_TEXT_MAX];

	if (t->kind != TARGET_NAME && t->kind != TARGET_SUFFIX)
		return 0;
	if (oh_key_from_text(&claim->key, target_format(t, text)))
		return error_set(e, EINVAL, "%s: cannot be a name in a query", text);
	claim->rule = *rule;
	claims->count++;
	return 0;
}

static int add_asks(struct claims *claims, const struct policy_asks *asks, struct error *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < asks->count; i++) {
		struct oh_name_rule rule = { .service = OH_SERVICE_DNS, .ask = 1 };

		r = add_claim(claims, &asks->list[i], &rule, e);
	}
	return r;
}

/* Names with private ranges: each needs an entry to hold them, but no rule of its own. */
static int add_private(struct claims *claims, const struct policy *p, struct error *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < p->private_count; i++)
		r = add_claim(claims, &p->private[i].names, &(struct oh_name_rule){ 0 }, e);
	return r;
}

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct oh_name_key));
}

static int compare_claims(const void *a, const void *b)
{
	const struct claim *left = a, *right = b;
	int r = compare_keys(&left->key, &right->key);

	return r ? r : memcmp(&left->rule, &right->rule, sizeof(left->rule));
}

static bool is_suffix(const struct oh_name_key *key)
{
	return key->data[key->prefixlen / 8 - 1] == '.';
}

static bool adds(const struct oh_name_entry *entry, size_t filled, const struct oh_name_rule *rule, bool new_port)
{
	if (rule->service == OH_SERVICE_NONE)
		return false;
	for (size_t i = 0; i < filled; i++) {
		if (!memcmp(&entry->rule[i], rule, sizeof(*rule)) ||
		    (new_port && entry->rule[i].port == rule->port && entry->rule[i].service == rule->service))
			return false;
	}
	return filled < OH_GRANTS_MAX;
}

/* First one rule for each port, then others while there is room: the claims' own and those of suffixes around them. */
static void fill_entry(const struct claims *claims, const struct claims *suffixes, size_t from, size_t to,
		       struct oh_name_entry *entry)
{
	const struct oh_name_key *key = &claims->list[from].key;
	size_t filled = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = from; i < to; i++) {
			if (adds(entry, filled, &claims->list[i].rule, !pass))
				entry->rule[filled++] = claims->list[i].rule;
		}
		for (size_t i = 0; i < suffixes->count; i++) {
			const struct claim *outer = &suffixes->list[i];

			if (oh_key_covers(&outer->key, key) && adds(entry, filled, &outer->rule, !pass))
				entry->rule[filled++] = outer->rule;
		}
	}
}

/* The private ranges of everything that covers the name or suffix: config_read() makes sure that they fit. */
static void fill_private(const struct policy *p, const struct oh_name_key *key, struct oh_name_entry *entry)
{
	size_t filled = 0;

	for (size_t i = 0; i < p->private_count && filled < OH_PRIVATE_MAX; i++) {
		char text[OH_TARGET_TEXT_MAX];
		struct oh_name_key outer;

		if (!oh_key_from_text(&outer, target_format(&p->private[i].names, text)) && oh_key_covers(&outer, key))
			entry->private[filled++] = p->private[i].range;
	}
}

static bool not_claimed(const void *key, const void *context)
{
	const struct claims *claims = context;

	return !claims->count || !bsearch(key, claims->list, claims->count, sizeof(*claims->list), compare_keys);
}

static int write_entries(const struct policy *p, const struct claims *claims, const struct claims *suffixes,
			 const struct engine *engine, struct error *e)
{
	int r = 0;

	for (size_t from = 0, to; !r && from < claims->count; from = to) {
		const struct oh_name_key *key = &claims->list[from].key;
		struct oh_name_entry entry = { 0 }, old;

		for (to = from + 1; to < claims->count && !compare_keys(&claims->list[to].key, key);)
			to++;
		fill_entry(claims, suffixes, from, to, &entry);
		fill_private(p, key, &entry);
		/* This may find an entry around it: if that says the same, it is as good. */
		if (!bpf_map_lookup_elem(engine->map[ENGINE_NAMES], key, &old) && !memcmp(&old, &entry, sizeof(entry)))
			continue;
		if (bpf_map_update_elem(engine->map[ENGINE_NAMES], key, &entry, BPF_ANY))
			r = map_error(e);
	}
	return r;
}

/* The fingerprint of claims, in the order of the policy. Never 0. */
static uint64_t fingerprint(const struct claims *claims, const struct policy *p)
{
	uint64_t print = FINGERPRINT_START;

	for (size_t i = 0; i < claims->count; i++) {
		const struct claim *c = &claims->list[i];

		print = fingerprint_add(print, &c->key, sizeof(c->key.prefixlen) + c->key.prefixlen / 8);
		print = fingerprint_add(print, &c->rule, sizeof(c->rule));
	}
	for (size_t i = 0; i < p->private_count; i++)
		print = fingerprint_add(print, &p->private[i].range, sizeof(p->private[i].range));
	return print ? print : 1;
}

static int write_fingerprint(const struct engine *engine, uint64_t print, struct error *e)
{
	struct oh_control control;
	int r = engine_read_control(engine, &control, e);

	control.names = print;
	return r ? r : engine_write_control(engine, &control, e);
}

/* Makes the map hold what the claims say. */
static int publish(const struct policy *p, struct claims *claims, struct claims *suffixes, const struct engine *engine,
		   struct error *e)
{
	int r;

	qsort(claims->list, claims->count, sizeof(*claims->list), compare_claims);
	for (size_t i = 0; i < claims->count; i++) {
		if (is_suffix(&claims->list[i].key))
			suffixes->list[suffixes->count++] = claims->list[i];
	}
	r = engine_remove_keys(engine, ENGINE_NAMES, not_claimed, claims, e);
	return r ? r : write_entries(p, claims, suffixes, engine, e);
}

int publish_names(const struct policy *p, const struct engine *engine, struct error *e)
{
	size_t room = p->count + p->asks.count + p->asks_now.count + p->private_count + 1;
	struct claims claims = { .list = calloc(room, sizeof(*claims.list)) };
	struct claims suffixes = { .list = calloc(room, sizeof(*suffixes.list)) };
	struct oh_control control;
	uint64_t print;
	int r = claims.list && suffixes.list ? 0 : error_set(e, ENOMEM, "out of memory");

	for (size_t i = 0; !r && i < p->count; i++) {
		const struct policy_target *t = &p->list[i];
		struct oh_name_rule rule = { .target = t->id, .generation = t->generation, .port = t->target->port,
					     .service = t->target->service };

		r = t->id ? add_claim(&claims, t->target, &rule, e) : 0;
	}
	if (!r)
		r = add_asks(&claims, &p->asks, e);
	if (!r)
		r = add_asks(&claims, &p->asks_now, e);
	if (!r)
		r = add_private(&claims, p, e);
	if (!r)
		r = engine_read_control(engine, &control, e);
	if (!r && control.names != (print = fingerprint(&claims, p))) {
		r = write_fingerprint(engine, 0, e);	/* if this is killed half way, the next one does all of it */
		if (!r)
			r = publish(p, &claims, &suffixes, engine, e);
		if (!r)
			r = write_fingerprint(engine, print, e);
	}
	free(claims.list);
	free(suffixes.list);
	return r;
}
