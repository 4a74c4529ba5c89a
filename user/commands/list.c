// SPDX-License-Identifier: MIT
/* ohguard list: what is allowed, as the kernel holds it. */
#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/list.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "engine/publish.h"
#include "guard/guard.h"
#include "policy/address.h"
#include "policy/suffix.h"

/* One address of one target. */
struct held {
	uint32_t target, generation;
	struct oh_address address;
	uint32_t expires;
	uint8_t learned;
};

struct held_list {
	struct held *list;
	size_t count;
};

static const char *const sources[] = { "config", "runtime", "grant" };
static const char *const learned_names[OH_LEARNED_MAX] = { "literal", "refresh", "answer" };

static int compare_held(const void *a, const void *b)
{
	const struct held *left = a, *right = b;

	if (left->target != right->target)
		return left->target < right->target ? -1 : 1;
	return memcmp(&left->address, &right->address, sizeof(left->address));
}

static int add_held(struct held_list *held, const struct oh_address *address, const struct oh_grant *g, struct error *e)
{
	struct held *grown = list_grow(held->list, held->count, sizeof(*grown));

	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	held->list = grown;
	held->list[held->count++] = (struct held){
		.target = g->target, .generation = g->generation, .address = *address, .expires = g->expires,
		.learned = g->learned,
	};
	return 0;
}

static int read_table(const struct engine *engine, enum engine_map map, struct held_list *ret, struct error *e)
{
	struct oh_address key, *previous = NULL;
	int r = 0;

	while (!r && !bpf_map_get_next_key(engine->map[map], previous, &key)) {
		struct oh_entry entry;

		previous = &key;
		if (bpf_map_lookup_elem(engine->map[map], &key, &entry))
			continue;	/* removed in the meantime */
		for (int i = 0; !r && i < OH_GRANTS_MAX; i++) {
			if (entry.grant[i].service != OH_SERVICE_NONE)
				r = add_held(ret, &key, &entry.grant[i], e);
		}
	}
	return r;
}

/* All addresses of both sources, by target. A range is shown by its target itself. */
static int read_held(const struct engine *engine, struct held_list *ret, struct error *e)
{
	int r = read_table(engine, ENGINE_ADDRESSES, ret, e);

	if (!r)
		r = read_table(engine, ENGINE_LEARNED, ret, e);
	if (ret->count)
		qsort(ret->list, ret->count, sizeof(*ret->list), compare_held);
	return r;
}

struct view {
	const struct guard *guard;
	const struct held_list *held;
	int64_t now, boot;
};

static size_t first_held(const struct held_list *held, uint32_t target)
{
	size_t low = 0, high = held->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (held->list[middle].target < target)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The later time of the two families, and a failure of either. */
static void last_resolution(const struct guard *g, const struct target *t, int64_t *ret_time, const char **ret_error)
{
	*ret_time = 0;
	*ret_error = NULL;
	for (int family = 4; t->kind == TARGET_NAME && family <= 6; family += 2) {
		const struct record *r = records_find(&g->records, t->name, family);

		if (r && r->answered > *ret_time)
			*ret_time = r->answered;
		if (r && r->why)
			*ret_error = r->why;
	}
}

static void time_or_null(struct json *j, const char *key, int64_t seconds)
{
	char text[TEXT_TIME_MAX];

	json_string(j, key, seconds ? text_time(seconds, text) : NULL);
}

static int64_t seconds_left(const struct view *v, const struct held *h)
{
	return h->expires > v->boot ? (int64_t)h->expires - v->boot : 0;
}

/* Left over from a target that had the id before, or from an answer that has ended: the next sweep removes it. */
static bool is_over(const struct view *v, const struct policy_target *t, const struct held *h)
{
	return h->generation != t->generation || (h->learned == OH_LEARNED_ANSWER && !seconds_left(v, h));
}

static void print_json(struct json *j, const struct view *v, const struct policy_target *t, const struct oh_use *use)
{
	char text[OH_TARGET_TEXT_MAX], address[ADDRESS_TEXT_MAX], open[SUFFIX_RULE_MAX];
	const char *error;
	int64_t resolved;

	json_object(j, NULL);
	json_string(j, "target", target_format(t->target, text));
	json_number(j, "port", t->target->port);
	json_number(j, "last_port", t->target->port + t->target->more);
	json_string(j, "service", target_service_name(t->target->service));
	json_string(j, "source", sources[t->source]);
	json_bool(j, "wide", suffix_is_wide(t->target, open));
	json_bool(j, "sni", target_is_named(t->target));
	time_or_null(j, "lapses", t->lapses);
	json_array(j, "addresses");
	for (size_t i = first_held(v->held, t->id); i < v->held->count && v->held->list[i].target == t->id; i++) {
		const struct held *h = &v->held->list[i];

		if (is_over(v, t, h))
			continue;
		json_object(j, NULL);
		json_string(j, "address", address_format(&h->address, address));
		if (h->expires == OH_FOREVER)
			json_null(j, "seconds_left");
		else
			json_number(j, "seconds_left", seconds_left(v, h));
		json_string(j, "learned", h->learned < OH_LEARNED_MAX ? learned_names[h->learned] : NULL);
		json_object_end(j);
	}
	json_array_end(j);
	last_resolution(v->guard, t->target, &resolved, &error);
	time_or_null(j, "last_resolved", resolved);
	json_string(j, "last_error", error);
	json_number(j, "hits", (int64_t)use->hits);
	json_object_end(j);
}

/* One line for each address, whichever source taught it, with the longer of its times. */
static void print_addresses(const struct view *v, const struct policy_target *t)
{
	const struct held *end = v->held->list + v->held->count, *next;
	char address[ADDRESS_TEXT_MAX], span[24];

	for (const struct held *h = v->held->list + first_held(v->held, t->id); h < end && h->target == t->id;
	     h = next) {
		bool taught[OH_LEARNED_MAX] = { false };
		int64_t left = 0;

		for (next = h; next < end && !compare_held(h, next); next++) {
			if (is_over(v, t, next))
				continue;
			taught[next->learned % OH_LEARNED_MAX] = true;
			if (seconds_left(v, next) > left)
				left = seconds_left(v, next);
		}
		if (taught[OH_LEARNED_REFRESH] || taught[OH_LEARNED_ANSWER])
			printf("    %-40s %s left%s\n", address_format(&h->address, address),
			       text_seconds((uint64_t)left, span, sizeof(span)), !taught[OH_LEARNED_ANSWER] ? "" :
			       taught[OH_LEARNED_REFRESH] ? ", from refresh and an answer" : ", from an answer");
	}
}

static void print_text(const struct view *v, const struct policy_target *t, const struct oh_use *use)
{
	char text[OH_TARGET_TEXT_MAX], span[24], open[SUFFIX_RULE_MAX];
	const char *error;
	int64_t resolved;

	printf("%s%s  (%s", target_identity(t->target, text), t->target->plain ? " sni=off" : "", sources[t->source]);
	if (suffix_is_wide(t->target, open))
		printf(", wide: anyone can have a name below %s", open);
	if (t->lapses)
		printf(", lapses in %s", text_seconds((uint64_t)(t->lapses > v->now ? t->lapses - v->now : 0), span,
						      sizeof(span)));
	printf(")  %llu hit%s", (unsigned long long)use->hits, TEXT_PLURAL(use->hits));
	last_resolution(v->guard, t->target, &resolved, &error);
	if (resolved)
		printf("  resolved %s ago", text_seconds((uint64_t)(v->now > resolved ? v->now - resolved : 0), span,
							 sizeof(span)));
	if (error)
		printf("  ! %s", error);
	putchar('\n');
	if (t->target->kind != TARGET_NAME && t->target->kind != TARGET_SUFFIX)
		return;
	print_addresses(v, t);
}

/* Whoever configured no time server is shown the default ones in a line. */
static bool is_default(const struct view *v, const struct policy_target *t)
{
	return v->guard->config.ntp_default && t->target->service == OH_SERVICE_NTP;
}

static void print_defaults(const struct view *v)
{
	const struct policy *p = &v->guard->policy;
	char text[OH_TARGET_TEXT_MAX];
	size_t count = 0;

	for (size_t i = 0; i < p->count; i++) {
		if (is_default(v, &p->list[i]) && !count++)
			printf("%s", target_identity(p->list[i].target, text));
	}
	if (count > 1)
		printf(" and %zu more time servers", count - 1);
	if (count)
		puts("  (default)");
}

/* A grant that is over explains what no longer works. */
static void print_lapsed(const struct view *v, struct json *j)
{
	const struct grants *grants = &v->guard->grants;
	char text[OH_TARGET_TEXT_MAX], span[24], time[TEXT_TIME_MAX];

	for (size_t i = 0; i < grants->count; i++) {
		const struct grant *g = &grants->list[i];

		if (!g->lapses || g->lapses > v->now || policy_find(&v->guard->policy, &g->target))
			continue;
		if (!j) {
			printf("%s%s  (lapsed %s ago)\n", target_identity(&g->target, text), target_options(&g->target),
			       text_seconds((uint64_t)(v->now - g->lapses), span, sizeof(span)));
			continue;
		}
		json_object(j, NULL);
		json_string(j, "target", target_format(&g->target, text));
		json_number(j, "port", g->target.port);
		json_string(j, "lapsed", text_time(g->lapses, time));
		json_object_end(j);
	}
}

static int print_all(const struct cmd_options *o, struct view *v, struct error *e)
{
	const struct policy *p = &v->guard->policy;
	struct json j;
	int r = 0;

	json_start(&j, stdout);
	if (o->json) {
		json_object(&j, NULL);
		json_string(&j, "instance", o->guard.instance);
		json_array(&j, "targets");
	}
	for (size_t i = 0; !r && i < p->count; i++) {
		struct oh_use use = { 0 };

		if (p->list[i].id)
			r = engine_read_use(&v->guard->engine, p->list[i].id, &use, e);
		if (r)
			break;
		if (o->json)
			print_json(&j, v, &p->list[i], &use);
		else if (!is_default(v, &p->list[i]))
			print_text(v, &p->list[i], &use);
	}
	if (!o->json && !r) {
		print_defaults(v);
		print_lapsed(v, NULL);
	}
	if (o->json) {
		json_array_end(&j);
		json_array(&j, "lapsed");
		print_lapsed(v, &j);
		json_array_end(&j);
		json_object_end(&j);
		json_end(&j);
	}
	return r;
}

static int list(const struct cmd_options *o)
{
	struct held_list held = { 0 };
	struct guard g;
	struct error e;
	struct view v = { .guard = &g, .held = &held, .now = time(NULL), .boot = clock_boot() };
	int r = guard_open(&o->guard, &g, &e);

	if (r)
		return cmd_open_failed(r, &e);
	r = guard_lock(&g, &e);
	if (!r)		/* by the kernel's clock: what is no longer shown must have lapsed there */
		r = guard_read(&g, clock_boot_at() + v.boot, &e);
	if (!r)
		r = publish_read_ids(&g.policy, &g.engine, &e);
	if (!r)
		r = read_held(&g.engine, &held, &e);
	guard_unlock(&g);
	if (!r)
		r = print_all(o, &v, &e);
	free(held.list);
	guard_close(&g);
	return r ? cmd_fail(&e) : CMD_OK;
}

int cmd_list(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	int r = cmd_parse(argc, argv, NULL, NULL, &common);

	return r == CMD_GO_ON ? list(&common) : r;
}
