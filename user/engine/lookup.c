// SPDX-License-Identifier: MIT
#include "engine/lookup.h"

#include <bpf/bpf.h>

#include "base/clock.h"
#include "parse/name_key.h"

/* The target, if grants of that generation to it still hold. */
static bool read_live(const struct engine *engine, uint32_t id, uint32_t generation, struct oh_target *ret)
{
	struct error e;

	return id && !engine_read_target(engine, id, ret, &e) && ret->state == OH_TARGET_LIVE &&
	       ret->generation == generation && (ret->lapses == OH_FOREVER || clock_boot() < ret->lapses);
}

int lookup_name(const struct engine *engine, const char *name, uint16_t port, struct lookup *ret, struct error *e)
{
	struct oh_name_entry entry;
	struct oh_target target;
	struct oh_name_key key;

	*ret = (struct lookup){ .reason = OH_DNS_NAME_NOT_ALLOWED };
	if (oh_key_from_text(&key, name))
		return error_set(e, EINVAL, "%s: cannot be a name in a query", name);
	if (bpf_map_lookup_elem(engine->map[ENGINE_NAMES], &key, &entry))
		return 0;
	for (int i = 0; i < OH_GRANTS_MAX; i++) {
		const struct oh_name_rule *rule = &entry.rule[i];

		if (rule->service != OH_SERVICE_TCP || rule->ask || ret->reason == OH_TARGET ||
		    !read_live(engine, rule->target, rule->generation, &target))
			continue;
		ret->reason = rule->port == port ? OH_TARGET : OH_PORT_NOT_ALLOWED;
		ret->target = target;
	}
	return 0;
}

/* The nearest first. */
static int distance(uint8_t reason)
{
	return reason == OH_TARGET ? 0 : reason == OH_ADDRESS_EXPIRED ? 1 : reason == OH_PORT_NOT_ALLOWED ? 2 : 3;
}

static void match(const struct engine *engine, const struct oh_entry *entry, uint16_t port, struct lookup *ret)
{
	for (int i = 0; i < OH_GRANTS_MAX; i++) {
		const struct oh_grant *g = &entry->grant[i];
		struct lookup found = { .reason = OH_TARGET, .expires = g->expires, .learned = g->learned };

		if (g->service == OH_SERVICE_NONE || !read_live(engine, g->target, g->generation, &found.target))
			continue;
		if (g->service != OH_SERVICE_TCP || port < g->port || port - g->port > g->more)
			found.reason = OH_PORT_NOT_ALLOWED;
		else if (g->expires != OH_FOREVER && clock_boot() >= g->expires)
			found.reason = OH_ADDRESS_EXPIRED;
		if (distance(found.reason) < distance(ret->reason))
			*ret = found;
	}
}

int lookup_address(const struct engine *engine, const struct oh_address *address, uint16_t port, struct lookup *ret,
		   struct error *e)
{
	static const enum engine_map tables[] = { ENGINE_ADDRESSES, ENGINE_LEARNED, ENGINE_RANGES };
	struct oh_range range = { .prefix = 128, .address = *address };

	*ret = (struct lookup){ .reason = OH_ADDRESS_NOT_ALLOWED };
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		const void *key = tables[i] == ENGINE_RANGES ? (const void *)&range : address;
		struct oh_entry entry;

		if (!bpf_map_lookup_elem(engine->map[tables[i]], key, &entry))
			match(engine, &entry, port, ret);
		else if (errno != ENOENT)
			return error_set(e, errno, "%s: %s", engine_map_names[tables[i]], strerror(errno));
	}
	return 0;
}
