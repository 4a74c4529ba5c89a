// SPDX-License-Identifier: MIT
#include "history/summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fingerprint.h"

static uint64_t add_text(uint64_t hash, const char *text)
{
	return fingerprint_add(hash, text ? text : "", text ? strlen(text) + 1 : 1);
}

static const char *where(const struct history_record *r)
{
	return r->container ? r->container : r->cgroup;
}

/* A name says what was wanted, whatever its resolver or address. To a reader so does a target, which may have many
 * addresses; what is written down keeps them apart. */
static bool says_target(const struct history_record *r)
{
	return !r->name && r->target && !r->reply;
}

static uint64_t hash_of(const struct history_record *r, bool by_target)
{
	const uint8_t what[] = { r->reason, r->observed, r->protocol, r->reply, r->others };
	uint64_t hash = fingerprint_add(FINGERPRINT_START, what, sizeof(what));

	hash = fingerprint_add(hash, r->reply ? &r->source_port : &r->destination_port, sizeof(uint16_t));
	if (r->name)
		hash = add_text(hash, r->name);
	else if (by_target && says_target(r))
		hash = add_text(hash, r->target);
	else
		hash = fingerprint_add(hash, &r->destination, sizeof(r->destination));
	hash = add_text(hash, r->command);
	return add_text(hash, where(r));
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool is_same(const struct history_record *a, const struct history_record *b, bool by_target)
{
	by_target = by_target && says_target(a) && says_target(b);
	if (a->reason != b->reason || a->observed != b->observed || a->protocol != b->protocol ||
	    a->reply != b->reply || a->others != b->others || !same_text(a->name, b->name))
		return false;
	if (a->reply ? a->source_port != b->source_port : a->destination_port != b->destination_port)
		return false;
	if (by_target && strcmp(a->target, b->target))
		return false;
	if (!by_target && !a->name && memcmp(&a->destination, &b->destination, sizeof(a->destination)))
		return false;
	return same_text(a->command, b->command) && same_text(where(a), where(b));
}

uint64_t history_hash(const struct history_record *r)
{
	return hash_of(r, false);
}

bool history_is_same(const struct history_record *a, const struct history_record *b)
{
	return is_same(a, b, false);
}

static struct history_group *find(struct history_group *group, size_t room, const struct history_record *r,
				  uint64_t hash)
{
	size_t at = hash & (room - 1);

	while (group[at].record && !(group[at].hash == hash && is_same(group[at].record, r, true)))
		at = (at + 1) & (room - 1);
	return &group[at];
}

static int grow(struct history_summary *s)
{
	size_t room = s->room ? 2 * s->room : 256;
	struct history_group *group = calloc(room, sizeof(*group));

	if (!group)
		return -ENOMEM;
	for (size_t i = 0; i < s->room; i++) {
		if (s->group[i].record)
			*find(group, room, s->group[i].record, s->group[i].hash) = s->group[i];
	}
	free(s->group);
	s->group = group;
	s->room = room;
	return 0;
}

int history_add(struct history_summary *s, const struct history_record *record)
{
	uint64_t hash = hash_of(record, true);
	struct history_group *g;

	if (2 * s->count >= s->room && s->count < HISTORY_GROUPS_MAX && grow(s))
		return -ENOMEM;
	g = find(s->group, s->room, record, hash);
	if (g->record) {
		g->record->count += record->count;
		if (record->first < g->record->first)
			g->record->first = record->first;
		if (record->last > g->record->last)
			g->record->last = record->last;
		return 0;
	}
	if (s->count == HISTORY_GROUPS_MAX) {
		s->left_out += record->count;
		return 0;
	}
	g->record = history_copy(record);
	if (!g->record)
		return -ENOMEM;
	g->hash = hash;
	s->count++;
	return 0;
}

static int by_count(const void *a, const void *b)
{
	const struct history_record *x = ((const struct history_group *)a)->record;
	const struct history_record *y = ((const struct history_group *)b)->record;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->last < y->last ? 1 : x->last > y->last ? -1 : 0;
}

void history_rank(struct history_summary *s)
{
	size_t count = 0;

	for (size_t i = 0; i < s->room; i++) {
		if (s->group[i].record)
			s->group[count++] = s->group[i];
	}
	if (!count)
		return;
	memset(s->group + count, 0, (s->room - count) * sizeof(*s->group));
	qsort(s->group, count, sizeof(*s->group), by_count);
}

void history_summary_free(struct history_summary *s)
{
	for (size_t i = 0; i < s->room; i++)
		free(s->group[i].record);
	free(s->group);
	*s = (struct history_summary){ 0 };
}
