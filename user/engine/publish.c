// SPDX-License-Identifier: MIT
#include "engine/publish.h"

#include <bpf/bpf.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "policy/address.h"
#include "base/clock.h"
#include "base/fingerprint.h"
#include "engine/connections.h"
#include "engine/inside.h"
#include "engine/publish_answers.h"
#include "engine/publish_names.h"

/* One target's claim on a range; an address is a range of 128 bits. */
struct claim {
	struct oh_range range;
	struct oh_grant grant;
	uint32_t rank;	/* its number among the addresses of its target, from 0 */
};

struct claims {
	struct claim *list;
	size_t count;
	size_t at;	/* the record after the last name's: names mostly come in this order */
};

/* From seconds of CLOCK_REALTIME to the kernel's clock. 0 stands for never. */
static __u32 to_boot(int64_t wall, int64_t now)
{
	int64_t boot;

	if (!wall)
		return OH_FOREVER;
	boot = wall - now + clock_boot();
	return boot <= 0 ? 0 : boot >= OH_FOREVER ? OH_FOREVER - 1 : (__u32)boot;
}

static int map_error(enum engine_map map, struct error *e)
{
	if (errno == E2BIG || errno == ENOSPC)
		return error_set(e, E2BIG, "%s is full: raise [guard] max-addresses, or allow less",
				 engine_map_names[map]);
	return error_set(e, errno, "%s: %s", engine_map_names[map], strerror(errno));
}

/* ---- targets ---- */

static int write_target(const struct engine *engine, __u32 id, const struct oh_target *t, struct error *e)
{
	return bpf_map_update_elem(engine->map[ENGINE_TARGETS], &id, t, BPF_ANY) ?
	       map_error(ENGINE_TARGETS, e) : 0;
}

/* What the kernel should hold for a target, with the generation that it has there. */
static struct oh_target live_target(const struct policy_target *t, int64_t now)
{
	struct oh_target live = { .generation = t->generation, .lapses = to_boot(t->lapses, now),
				  .state = OH_TARGET_LIVE, .named = target_is_named(t->target) };

	target_identity(t->target, live.text);
	return live;
}

static struct policy_target *find_from(const struct policy *p, const struct target *target, size_t at)
{
	return at < p->count && !target_compare(p->list[at].target, target) ? &p->list[at] : policy_find(p, target);
}

/* A walk over the targets that the kernel holds. */
struct walk {
	struct policy *policy;
	const struct engine *engine;
	size_t at;		/* ids mostly come in the policy's order */
	size_t others;		/* that the policy does not hold, or twice in the kernel */
	int64_t now;
	bool write;		/* makes them what the policy says */
};

/* If the policy does not hold the target, one write ends all its grants and connections. */
static int retire_or_renew(const struct walk *w, __u32 id, const struct oh_target *in_kernel,
			   const struct policy_target *known, struct error *e)
{
	const struct oh_target retired = { .generation = in_kernel->generation + 1, .state = OH_TARGET_FREE };
	struct oh_target live;

	if (!known)
		return write_target(w->engine, id, &retired, e);
	live = live_target(known, w->now);
	return memcmp(in_kernel, &live, sizeof(live)) ? write_target(w->engine, id, &live, e) : 0;
}

static int match(uint32_t id, const struct oh_target *in_kernel, void *context, struct error *e)
{
	struct walk *w = context;
	struct policy_target *known;
	struct target target;

	known = target_parse_identity(in_kernel->text, &target) ? NULL : find_from(w->policy, &target, w->at);
	if (known && known->id)
		known = NULL;
	if (known) {
		w->at = (size_t)(known - w->policy->list) + 1;
		known->id = id;
		known->generation = in_kernel->generation;
	}
	w->others += !known;
	return w->write ? retire_or_renew(w, id, in_kernel, known, e) : 0;
}

/* Fills in the ids of the policy's targets. */
static int walk_targets(struct walk *w, struct error *e)
{
	for (size_t i = 0; i < w->policy->count; i++)
		w->policy->list[i].id = 0;
	return engine_walk_targets(w->engine, match, w, e);
}

int publish_read_ids(struct policy *p, const struct engine *engine, struct error *e)
{
	struct walk walk = { .policy = p, .engine = engine };

	return walk_targets(&walk, e);
}

int publish_is_current(struct policy *p, const struct engine *engine, bool *ret, struct error *e)
{
	struct walk walk = { .policy = p, .engine = engine };
	int r = walk_targets(&walk, e);

	*ret = !r && !walk.others;
	for (size_t i = 0; i < p->count; i++)
		*ret &= p->list[i].id != 0;
	return r;
}

/* Puts a target into a free place. */
static int write_new(const struct engine *engine, struct policy_target *t, int64_t now, struct error *e)
{
	struct oh_target old, live;
	int r = engine_read_target(engine, t->id, &old, e);

	if (!r)
		r = engine_clear_use(engine, t->id, e);
	if (r)
		return r;
	t->generation = old.generation;
	live = live_target(t, now);
	return write_target(engine, t->id, &live, e);
}

/* *ret_retired: some that the kernel held were taken back. */
static int publish_targets(struct policy *p, const struct engine *engine, int64_t now, bool *ret_retired,
			   struct error *e)
{
	struct walk walk = { .policy = p, .engine = engine, .now = now, .write = true };
	struct oh_control control;
	bool *used = calloc(OH_TARGETS_MAX, sizeof(*used));
	__u32 id = 1;
	int r = used ? walk_targets(&walk, e) : error_set(e, ENOMEM, "out of memory");

	if (!r)
		r = engine_read_control(engine, &control, e);
	for (size_t i = 0; !r && i < p->count; i++)
		used[p->list[i].id] = true;
	for (size_t i = 0; !r && i < p->count; i++) {
		struct policy_target *t = &p->list[i];

		if (t->id)
			continue;
		while (used[id])	/* policy_build() keeps the count below the ids */
			id++;
		used[id] = true;
		t->id = id;
		if (id >= control.targets) {	/* before the target, so that a crash in between hides none */
			control.targets = id + 1;
			r = engine_write_control(engine, &control, e);
		}
		if (!r)
			r = write_new(engine, t, now, e);
	}
	*ret_retired = walk.others;
	free(used);
	return r;
}

/* ---- addresses and ranges ---- */

static int add_claim(struct claims *claims, const struct oh_range *range, const struct policy_target *t, uint32_t rank,
		     int64_t expires, enum oh_learned learned, int64_t now, struct error *e)
{
	struct claim *grown = list_grow(claims->list, claims->count, sizeof(*grown));

	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	claims->list = grown;
	claims->list[claims->count++] = (struct claim){
		.range = *range,
		.rank = rank,
		.grant = { .expires = to_boot(expires, now), .target = (__u16)t->id, .more = t->target->more,
			   .generation = t->generation, .port = t->target->port, .service = t->target->service,
			   .learned = learned },
	};
	return 0;
}

static int add_name(struct claims *claims, const struct policy_target *t, const struct records *records, int64_t now,
		    struct error *e)
{
	const struct record *pair = records_find_from(records, t->target->name, 4, &claims->at);
	uint32_t rank = 0;
	int r = 0;

	claims->at += !!pair;	/* the second of a pair belongs to the same name */
	for (int k = 0; pair && k < 2; k++) {
		const struct record *rec = &pair[k];

		for (size_t i = 0; !r && i < rec->count; i++) {
			struct oh_range range = { .prefix = 128, .address = rec->addresses[i].address };

			if (rec->addresses[i].expires > now)
				r = add_claim(claims, &range, t, rank++, rec->addresses[i].expires, OH_LEARNED_REFRESH,
					      now, e);
		}
	}
	return r;
}

/* By range; then what an entry should hold first: different ports before more targets on one, long before short. */
static int compare_claims(const void *a, const void *b)
{
	const struct claim *left = a, *right = b;
	int r = memcmp(&left->range.address, &right->range.address, sizeof(left->range.address));

	if (!r)
		r = (left->range.prefix > right->range.prefix) - (left->range.prefix < right->range.prefix);
	if (!r)
		r = (left->grant.expires < right->grant.expires) - (left->grant.expires > right->grant.expires);
	if (!r)
		r = (left->grant.target > right->grant.target) - (left->grant.target < right->grant.target);
	return r;
}

static bool has_port(const struct oh_entry *entry, size_t count, const struct oh_grant *g)
{
	for (size_t i = 0; i < count; i++) {
		if (entry->grant[i].port == g->port && entry->grant[i].more == g->more &&
		    entry->grant[i].service == g->service)
			return true;
	}
	return false;
}

/* Adds grants to an entry while there is room. new_ports: only for ports that it does not hold yet. */
static size_t add_grants(const struct claim *claims, size_t count, bool new_ports, struct oh_entry *entry,
			 size_t filled)
{
	for (size_t i = 0; i < count && filled < OH_GRANTS_MAX; i++) {
		const struct oh_grant *g = &claims[i].grant;
		bool there = false;

		for (size_t j = 0; j < filled; j++)
			there |= !memcmp(&entry->grant[j], g, sizeof(*g));
		if (!there && !(new_ports && has_port(entry, filled, g)))
			entry->grant[filled++] = *g;
	}
	return filled;
}

static size_t same_range(const struct claims *claims, size_t from)
{
	size_t to = from + 1;

	while (to < claims->count &&
	       !memcmp(&claims->list[to].range, &claims->list[from].range, sizeof(struct oh_range)))
		to++;
	return to;
}

/* Repeats what the ranges around this one grant, since the trie finds only the longest match. */
static size_t add_outer_grants(const struct claims *claims, const struct oh_range *range, bool new_ports,
			       struct oh_entry *entry, size_t filled)
{
	for (size_t i = 0; i < claims->count && filled < OH_GRANTS_MAX; i++) {
		const struct claim *outer = &claims->list[i];

		if (outer->range.prefix < range->prefix && range_covers(&outer->range, range))
			filled = add_grants(outer, 1, new_ports, entry, filled);
	}
	return filled;
}

/* The entry of the range whose claims are from..to: first one grant for each port, then others while there is room. */
static void fill_entry(const struct claims *claims, size_t from, size_t to, bool ranges, struct oh_entry *entry)
{
	size_t filled = 0;

	for (int new_ports = 1; new_ports >= 0; new_ports--) {
		filled = add_grants(&claims->list[from], to - from, new_ports, entry, filled);
		if (ranges)
			filled = add_outer_grants(claims, &claims->list[from].range, new_ports, entry, filled);
	}
}

static int find_claim(const void *key, const void *element)
{
	const struct oh_range *range = key;
	const struct claim *claim = element;
	int r = memcmp(&range->address, &claim->range.address, sizeof(range->address));

	return r ? r : (range->prefix > claim->range.prefix) - (range->prefix < claim->range.prefix);
}

static bool not_claimed(const void *key, const void *context)
{
	const struct claims *claims = context;

	return !claims->count || !bsearch(key, claims->list, claims->count, sizeof(*claims->list), find_claim);
}

static bool address_not_claimed(const void *key, const void *context)
{
	struct oh_range range = { .prefix = 128 };

	memcpy(&range.address, key, sizeof(range.address));
	return not_claimed(&range, context);
}

/* The claims on one range: from..to. */
struct group {
	uint32_t rank;		/* the least of its claims */
	size_t from, to;
};

/* Sorts the groups by rank. There are few ranks. */
static int sort_groups(struct group **groups, size_t count, struct error *e)
{
	struct group *sorted = calloc(count + 1, sizeof(*sorted));
	size_t most = 0, *next;

	for (size_t i = 0; i < count; i++) {
		if ((*groups)[i].rank > most)
			most = (*groups)[i].rank;
	}
	next = calloc(most + 2, sizeof(*next));
	if (!sorted || !next) {
		free(sorted);
		free(next);
		return error_set(e, ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < count; i++)
		next[(*groups)[i].rank + 1]++;
	for (size_t i = 1; i <= most; i++)
		next[i] += next[i - 1];
	for (size_t i = 0; i < count; i++)
		sorted[next[(*groups)[i].rank]++] = (*groups)[i];
	free(next);
	free(*groups);
	*groups = sorted;
	return 0;
}

/* Sorts the claims and groups them by range: first the first address of each target, then the second, and so on. If a
 * map has no room for all, every target has some. */
static int group_claims(struct claims *claims, struct group **ret, size_t *ret_count, struct error *e)
{
	struct group *groups = calloc(claims->count ? claims->count : 1, sizeof(*groups));
	size_t n = 0;

	if (!groups)
		return error_set(e, ENOMEM, "out of memory");
	if (claims->count)
		qsort(claims->list, claims->count, sizeof(*claims->list), compare_claims);
	for (size_t i = 0; i < claims->count; i = groups[n++].to) {
		groups[n] = (struct group){ .rank = UINT32_MAX, .from = i, .to = same_range(claims, i) };
		for (size_t j = i; j < groups[n].to; j++) {
			if (claims->list[j].rank < groups[n].rank)
				groups[n].rank = claims->list[j].rank;
		}
	}
	*ret = groups;
	*ret_count = n;
	return sort_groups(ret, n, e);
}

/* Removes the addresses that nobody claims. Mostly they are the same as last time, which is noticed first: a walk over
 * the map's buckets would take longer than all the writing. */
static int keep_addresses(const struct claims *claims, const struct engine *engine, struct error *e)
{
	uint64_t print = FINGERPRINT_START;
	struct oh_control control;
	int r = engine_read_control(engine, &control, e);

	for (size_t i = 0; i < claims->count; i++)
		print = fingerprint_add(print, &claims->list[i].range.address, sizeof(struct oh_address));
	if (!r && control.addresses == print)
		return 0;
	if (!r)
		r = engine_remove_keys(engine, ENGINE_ADDRESSES, address_not_claimed, claims, e);
	control.addresses = print;
	return r ? r : engine_write_control(engine, &control, e);
}

#define BATCH 512

/* Entries to write into a map: one call for many, since a refresh writes thousands. */
struct batch {
	struct oh_address key[BATCH];
	struct oh_entry entry[BATCH];
	__u32 count;
};

/* Writes the batch. 0, -E2BIG (not all of it fitted), or another negative errno. */
static int write_batch(struct batch *batch, const struct engine *engine, struct error *e)
{
	int full = 0;
	__u32 at = 0;

	while (at < batch->count) {
		__u32 count = batch->count - at;

		if (!bpf_map_update_batch(engine->map[ENGINE_ADDRESSES], &batch->key[at], &batch->entry[at], &count,
					  NULL))
			break;
		if (errno != E2BIG && errno != ENOSPC)
			return map_error(ENGINE_ADDRESSES, e);
		full = map_error(ENGINE_ADDRESSES, e);
		at += count + 1;	/* later entries may exist already, and then they have their place */
	}
	batch->count = 0;
	return full;
}

static int publish_entries(struct claims *claims, const struct engine *engine, enum engine_map map, struct error *e)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	struct group *groups = NULL;
	size_t count = 0;
	int full = 0, r = batch ? group_claims(claims, &groups, &count, e) : error_set(e, ENOMEM, "out of memory");

	if (!r)
		r = map == ENGINE_RANGES ? engine_remove_keys(engine, map, not_claimed, claims, e) :
		    keep_addresses(claims, engine, e);
	for (size_t i = 0; !r && i < count; i++) {
		const struct oh_range *range = &claims->list[groups[i].from].range;
		struct oh_entry entry = { 0 };

		fill_entry(claims, groups[i].from, groups[i].to, map == ENGINE_RANGES, &entry);
		if (map == ENGINE_RANGES) {	/* tries have no batches before 5.13, and ranges are few */
			r = bpf_map_update_elem(engine->map[map], range, &entry, BPF_ANY) ? map_error(map, e) : 0;
		} else {
			batch->key[batch->count] = range->address;
			batch->entry[batch->count++] = entry;
			if (batch->count == BATCH || i + 1 == count)
				r = write_batch(batch, engine, e);
		}
		if (r == -E2BIG) {
			full = r;
			r = 0;
		}
	}
	free(groups);
	free(batch);
	return r ? r : full;
}

/* Writes this machine's own addresses for the connect hooks: see oh_local in bpf/maps.h. An address that has gone may
 * stay there: the packet itself is judged by its interface. */
int publish_local(const struct engine *engine, struct error *e)
{
	struct ifaddrs *list;
	const __u8 one = 1;

	if (getifaddrs(&list))
		return error_set(e, errno, "this machine's addresses cannot be read: %s", strerror(errno));
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		struct oh_address a;

		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET)
			a = address_from_ip4(&((const struct sockaddr_in *)i->ifa_addr)->sin_addr);
		else if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET6)
			memcpy(&a, &((const struct sockaddr_in6 *)i->ifa_addr)->sin6_addr, sizeof(a));
		else
			continue;
		/* full: a connect to it is refused */
		bpf_map_update_elem(engine->map[ENGINE_LOCAL], &a, &one, BPF_ANY);
	}
	freeifaddrs(list);
	return 0;
}

int publish_policy(struct policy *p, const struct records *records, const struct engine *engine, int64_t now,
		   struct error *e)
{
	struct claims addresses = { 0 }, ranges = { 0 };
	bool retired = false;
	int r = publish_targets(p, engine, now, &retired, e), r_ranges;

	if (!r)
		r = publish_local(engine, e);
	if (!r)
		r = inside_publish(engine, p->local, p->local_count, e);
	if (!r && engine->settings.inspect)
		r = publish_names(p, engine, e);
	if (!r)
		r = publish_sweep_answers(engine, (__u32)clock_boot(), e);
	for (size_t i = 0; !r && i < p->count; i++) {
		const struct policy_target *t = &p->list[i];

		if (t->target->kind == TARGET_NAME)
			r = add_name(&addresses, t, records, now, e);
		else if (t->target->kind == TARGET_ADDRESS)
			r = add_claim(&addresses, &t->target->range, t, 0, t->lapses, OH_LEARNED_LITERAL, now, e);
		else if (t->target->kind == TARGET_RANGE)
			r = add_claim(&ranges, &t->target->range, t, 0, t->lapses, OH_LEARNED_LITERAL, now, e);
	}
	if (!r) {
		r_ranges = publish_entries(&ranges, engine, ENGINE_RANGES, e);
		r = publish_entries(&addresses, engine, ENGINE_ADDRESSES, e);
		if (!r)
			r = r_ranges;
	}
	if (!r && retired && !engine->settings.observe)
		connections_end(engine);
	free(addresses.list);
	free(ranges.list);
	return r;
}
