// SPDX-License-Identifier: MIT
#include "engine/publish_names.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fingerprint.h"
#include "base/list.h"
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

/* Claims of zones and search suffixes end before they take the place of what is allowed. */
#define EXTRAS_MAX (OH_NAMES_MAX - 4 * OH_TARGETS_MAX)

static int map_error(struct error *e)
{
	if (errno == ENOSPC)
		return error_set(e, E2BIG, "%s is full: allow fewer names", engine_map_names[ENGINE_NAMES]);
	return error_set(e, errno, "%s: %s", engine_map_names[ENGINE_NAMES], strerror(errno));
}

static int add_claim(struct claims *claims, const struct oh_name_key *key, const struct oh_name_rule *rule,
		     struct error *e)
{
	struct claim *grown = list_grow(claims->list, claims->count, sizeof(*grown));

	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	claims->list = grown;
	claims->list[claims->count++] = (struct claim){ .key = *key, .rule = *rule };
	return 0;
}

/* A name with a search suffix behind it, as a stub resolver makes it: one that gets an error for it asks no further,
 * and the name itself is never asked for. One that is too long nobody asks for. */
static int add_searched(struct claims *claims, const struct policy *p, const char *name, struct error *e)
{
	const struct oh_name_rule rule = { .service = OH_SERVICE_DNS, .ask = OH_ASK_SEARCH };
	char text[2 * (TARGET_NAME_MAX + 1)];
	struct oh_name_key key;
	int r = 0;

	for (size_t i = 0; !r && i < p->search_count && claims->count < EXTRAS_MAX; i++) {
		snprintf(text, sizeof(text), "%s.%s", name, p->search[i]);
		if (!oh_key_from_text(&key, text))
			r = add_claim(claims, &key, &rule, e);
	}
	return r;
}

/* asked: by programs, and so with search suffixes too. */
static int add_target(struct claims *claims, const struct policy *p, const struct target *t,
		      const struct oh_name_rule *rule, bool asked, struct error *e)
{
	char text[OH_TARGET_TEXT_MAX];
	struct oh_name_key key;
	int r;

	if (t->kind != TARGET_NAME && t->kind != TARGET_SUFFIX)
		return 0;
	if (oh_key_from_text(&key, target_format(t, text)))
		return error_set(e, EINVAL, "%s: cannot be a name in a query", text);
	r = add_claim(claims, &key, rule, e);
	return r || !asked || t->kind != TARGET_NAME ? r : add_searched(claims, p, t->name, e);
}

static int add_asks(struct claims *claims, const struct policy *p, const struct policy_asks *asks, struct error *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < asks->count; i++) {
		struct oh_name_rule rule = { .service = OH_SERVICE_DNS, .ask = OH_ASK_ALL };

		r = add_target(claims, p, &asks->list[i], &rule, true, e);
	}
	return r;
}

/* Names with private ranges: each needs an entry to hold them, but no rule of its own. */
static int add_private(struct claims *claims, const struct policy *p, struct error *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < p->private_count; i++)
		r = add_target(claims, p, &p->private[i].names, &(struct oh_name_rule){ 0 }, false, e);
	return r;
}

static int compare_keys(const void *a, const void *b)
{
	const struct oh_name_key *left = a, *right = b;
	int r = memcmp(left->data, right->data, sizeof(left->data));	/* what lies in one zone stands together */

	return r ? r : (left->prefixlen > right->prefixlen) - (left->prefixlen < right->prefixlen);
}

static int compare_claims(const void *a, const void *b)
{
	const struct claim *left = a, *right = b;
	int r = compare_keys(&left->key, &right->key);

	return r ? r : memcmp(&left->rule, &right->rule, sizeof(left->rule));
}

/* The zones above the names, each once, whose keys validating resolvers ask for: up to each dot of a name's key, and
 * the root. The claims are sorted, so that one before it has claimed what the two have in common. */
static int add_zones(struct claims *claims, struct error *e)
{
	const struct oh_name_rule rule = { .service = OH_SERVICE_DNS, .ask = OH_ASK_KEYS };
	const struct oh_name_key root = { .prefixlen = 8 };
	size_t names = claims->count, before = 0;
	bool any = false;
	int r = 0;

	for (size_t i = 0; !r && i < names && claims->count < EXTRAS_MAX; i++) {
		struct oh_name_key key = claims->list[i].key, zone = { 0 };
		const struct oh_name_key *last = &claims->list[before].key;
		bool same = any;

		if (claims->list[i].rule.ask == OH_ASK_SEARCH || claims->list[i].rule.service == OH_SERVICE_NONE)
			continue;
		for (size_t k = 0; !r && k < key.prefixlen / 8; k++) {
			same &= key.data[k] == last->data[k];
			if (key.data[k] == '.' && !same) {
				zone.prefixlen = (__u32)(k + 1) * 8;
				r = add_claim(claims, &zone, &rule, e);
				last = &claims->list[before].key;
			}
			zone.data[k] = key.data[k];
		}
		before = i;
		any = true;
	}
	return r || !any ? r : add_claim(claims, &root, &rule, e);
}

static bool is_suffix(const struct oh_name_key *key)
{
	return key->data[key->prefixlen / 8 - 1] == '.';
}

/* What goes into an entry first. */
enum pass { PASS_PORTS, PASS_TARGETS, PASS_EXTRAS, PASS_MAX };

static bool adds(const struct oh_name_entry *entry, size_t filled, const struct oh_name_rule *rule, enum pass pass)
{
	bool extra = rule->ask == OH_ASK_KEYS || rule->ask == OH_ASK_SEARCH;

	if (rule->service == OH_SERVICE_NONE || extra != (pass == PASS_EXTRAS))
		return false;
	for (size_t i = 0; i < filled; i++) {
		if (!memcmp(&entry->rule[i], rule, sizeof(*rule)) ||
		    (pass == PASS_PORTS && entry->rule[i].port == rule->port &&
		     entry->rule[i].service == rule->service))
			return false;
	}
	return filled < OH_GRANTS_MAX;
}

/* First one rule for each port, then others while there is room: the claims' own and those of suffixes around them.
 * What any other rule lets be asked for as well comes last. */
static void fill_entry(const struct claims *claims, const struct claims *suffixes, size_t from, size_t to,
		       struct oh_name_entry *entry)
{
	const struct oh_name_key *key = &claims->list[from].key;
	size_t filled = 0;

	for (enum pass pass = PASS_PORTS; pass < PASS_MAX; pass++) {
		for (size_t i = from; i < to; i++) {
			if (adds(entry, filled, &claims->list[i].rule, pass))
				entry->rule[filled++] = claims->list[i].rule;
		}
		for (size_t i = 0; i < suffixes->count; i++) {
			const struct claim *outer = &suffixes->list[i];

			if (oh_key_covers(&outer->key, key) && adds(entry, filled, &outer->rule, pass))
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

static void sort(struct claims *claims)
{
	if (claims->count)
		qsort(claims->list, claims->count, sizeof(*claims->list), compare_claims);
}

/* Makes the map hold what the claims say. */
static int publish(const struct policy *p, struct claims *claims, const struct engine *engine, struct error *e)
{
	struct claims suffixes = { 0 };
	int r;

	sort(claims);
	r = add_zones(claims, e);
	sort(claims);
	for (size_t i = 0; !r && i < claims->count; i++) {
		if (is_suffix(&claims->list[i].key))
			r = add_claim(&suffixes, &claims->list[i].key, &claims->list[i].rule, e);
	}
	if (!r)
		r = engine_remove_keys(engine, ENGINE_NAMES, not_claimed, claims, e);
	if (!r)
		r = write_entries(p, claims, &suffixes, engine, e);
	free(suffixes.list);
	return r;
}

int publish_names(const struct policy *p, const struct engine *engine, struct error *e)
{
	struct claims claims = { 0 };
	struct oh_control control;
	uint64_t print;
	int r = 0;

	for (size_t i = 0; !r && i < p->count; i++) {
		const struct policy_target *t = &p->list[i];
		struct oh_name_rule rule = { .target = t->id, .generation = t->generation, .port = t->target->port,
					     .service = t->target->service };

		r = t->id ? add_target(&claims, p, t->target, &rule, true, e) : 0;
	}
	if (!r)
		r = add_asks(&claims, p, &p->asks, e);
	if (!r)
		r = add_asks(&claims, p, &p->asks_now, e);
	if (!r)
		r = add_private(&claims, p, e);
	if (!r)
		r = engine_read_control(engine, &control, e);
	if (!r && control.names != (print = fingerprint(&claims, p))) {
		r = write_fingerprint(engine, 0, e);	/* if this is killed half way, the next one does all of it */
		if (!r)
			r = publish(p, &claims, engine, e);
		if (!r)
			r = write_fingerprint(engine, print, e);
	}
	free(claims.list);
	return r;
}
