// SPDX-License-Identifier: MIT
#include "guard/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"

__attribute__((format(printf, 3, 4)))
static int add(struct rules *rules, struct error *e, const char *format, ...)
{
	char **grown = list_grow(rules->list, rules->count, sizeof(*grown));
	va_list args;
	int length;

	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	rules->list = grown;
	va_start(args, format);
	length = vasprintf(&rules->list[rules->count], format, args);
	va_end(args);
	if (length < 0)
		return error_set(e, ENOMEM, "out of memory");
	rules->count++;
	return 0;
}

/* named: its connections must open with a TLS hello, as those to a name do unless it says otherwise. */
static int add_target(struct rules *rules, const struct target *t, bool named, struct error *e)
{
	char text[OH_TARGET_TEXT_MAX];
	bool plain = t->service == OH_SERVICE_TCP && (t->kind == TARGET_NAME || t->kind == TARGET_SUFFIX) && !named;

	return add(rules, e, "%s%s", target_identity(t, text), plain ? " sni=off" : "");
}

static int add_inbound(struct rules *rules, const struct oh_inbound *rule, struct error *e)
{
	struct target t = { .kind = TARGET_RANGE, .service = OH_SERVICE_TCP, .port = rule->port, .more = rule->more,
			    .range.address = rule->address };
	char text[OH_TARGET_TEXT_MAX];

	for (int w = 0; w < 4; w++)
		t.range.prefix += (__u32)__builtin_popcount(rule->mask.word[w]);
	return add(rules, e, "%s inbound", target_identity(&t, text));
}

static int add_settings(struct rules *rules, const struct oh_settings *s, const char *cgroup, struct error *e)
{
	int r = add(rules, e, "cgroup %s", cgroup);

	for (__u32 i = 0; !r && i < s->inbound_count && i < OH_INBOUND_MAX; i++)
		r = add_inbound(rules, &s->inbound[i], e);
	for (int i = 0; !r && i < OH_UPLINKS_MAX && *s->uplink[i]; i++)
		r = add(rules, e, "uplink %.*s", OH_INTERFACE_MAX, s->uplink[i]);
	if (!r && s->observe)
		r = add(rules, e, "observe: nothing is refused");
	if (!r && s->ask)
		r = add(rules, e, "ask: what is refused for its name or address waits %llu s for an answer",
			(unsigned long long)(s->ask / 1000000000));
	if (!r && !s->inspect)
		r = add(rules, e, "[dns] inspect = off");
	if (!r && s->nts)
		r = add(rules, e, "[ntp] nts = on");
	if (!r && s->metadata)
		r = add(rules, e, "[imds] access = allow");
	if (!r && s->inside)
		r = add(rules, e, "[guard] local");
	return r;
}

static int add_config(struct rules *rules, const struct config *c, struct error *e)
{
	char range[ADDRESS_TEXT_MAX], name[OH_TARGET_TEXT_MAX];
	int r = 0;

	for (size_t i = 0; !r && i < c->name_count; i++)
		r = add(rules, e, "[dns] name = %s", target_format(&c->names[i], name));
	for (size_t i = 0; !r && i < c->private_count; i++)
		r = add(rules, e, "[dns] private = %s %s", target_format(&c->private[i].names, name),
			range_format(&c->private[i].range, range));
	return r;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct rules *rules)
{
	size_t kept = 0;

	if (rules->count)
		qsort(rules->list, rules->count, sizeof(*rules->list), compare_lines);
	for (size_t i = 0; i < rules->count; i++) {
		if (kept && !strcmp(rules->list[kept - 1], rules->list[i]))
			free(rules->list[i]);
		else
			rules->list[kept++] = rules->list[i];
	}
	rules->count = kept;
}

static int add_held(uint32_t id, const struct oh_target *held, void *context, struct error *e)
{
	struct target t;

	(void)id;
	if (target_parse_identity(held->text, &t) || (held->lapses != OH_FOREVER && clock_boot() >= held->lapses))
		return 0;
	return add_target(context, &t, held->named, e);
}

static int finish(struct rules *rules, int r, struct rules *ret)
{
	if (r) {
		rules_free(rules);
		return r;
	}
	sort(rules);
	*ret = *rules;
	return 0;
}

int rules_in_force(const struct engine *engine, const char *cgroup, const struct config *in_force, struct rules *ret,
		   struct error *e)
{
	struct rules rules = { 0 };
	int r = add_settings(&rules, &engine->settings, cgroup, e);

	if (!r && in_force)
		r = add_config(&rules, in_force, e);
	if (!r)
		r = engine_walk_targets(engine, add_held, &rules, e);
	return finish(&rules, r, ret);
}

int rules_of(const struct policy *policy, const struct oh_settings *settings, const char *cgroup,
	     const struct config *c, struct rules *ret, struct error *e)
{
	struct rules rules = { 0 };
	int r = add_settings(&rules, settings, cgroup, e);

	if (!r)
		r = add_config(&rules, c, e);
	for (size_t i = 0; !r && i < policy->count; i++)
		r = add_target(&rules, policy->list[i].target, target_is_named(policy->list[i].target), e);
	return finish(&rules, r, ret);
}

void rules_free(struct rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		free(rules->list[i]);
	free(rules->list);
	*rules = (struct rules){ 0 };
}

size_t rules_compare(const struct rules *before, const struct rules *after,
		     void (*tell)(bool added, const char *line, void *context), void *context)
{
	size_t i = 0, j = 0, count = 0;

	while (i < before->count || j < after->count) {
		int order = i == before->count ? 1 : j == after->count ? -1 : strcmp(before->list[i], after->list[j]);

		if (!order) {
			i++, j++;
			continue;
		}
		if (order > 0)
			tell(true, after->list[j++], context);
		else
			tell(false, before->list[i++], context);
		count++;
	}
	return count;
}
