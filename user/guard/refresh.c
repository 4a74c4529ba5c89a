// SPDX-License-Identifier: MIT
#include "guard/refresh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/publish.h"
#include "policy/address.h"

static int add_query(struct refresh *f, const char *name, int family, struct error *e)
{
	char *copy = strdup(name);

	if (copy && f->count == f->room) {
		size_t room = f->room ? f->room * 2 : 16;
		struct resolve_query *grown = realloc(f->queries, room * sizeof(*grown));

		if (!grown) {
			free(copy);
			return error_set(e, ENOMEM, "out of memory");
		}
		f->queries = grown;
		f->room = room;
	}
	if (!copy)
		return error_set(e, ENOMEM, "out of memory");
	f->queries[f->count++] = (struct resolve_query){ .name = copy, .family = family };
	return 0;
}

int refresh_add(struct refresh *f, const char *name, struct error *e)
{
	int r = add_query(f, name, 4, e);

	return r ? r : add_query(f, name, 6, e);
}

/* Both families are asked when one is due: which of them has no address decides whether that is a failure. */
int refresh_add_due(struct refresh *f, const struct records *records, int64_t now, struct error *e)
{
	int r = 0;

	for (size_t i = 0; !r && i + 1 < records->count; i += 2) {
		if (records->list[i].due <= now || records->list[i + 1].due <= now)
			r = refresh_add(f, records->list[i].name, e);
	}
	return r;
}

int refresh_ask(struct refresh *f, const struct config *c, struct error *e)
{
	return resolve_all(c->resolvers, c->resolver_count, f->queries, f->count, e);
}

static bool may_be_private(const struct config *c, const char *name, const struct oh_address *a)
{
	struct target asked = { .kind = TARGET_NAME };

	snprintf(asked.name, sizeof(asked.name), "%s", name);
	if (address_is_metadata(a, &c->nat64))
		return false;
	for (size_t i = 0; i < c->private_count; i++) {
		if (target_covers(&c->private[i].names, &asked) && range_contains(&c->private[i].range, a))
			return true;
	}
	return false;
}

/* Drops addresses that are no public host's; tells of the first. */
static bool drop_special(struct answer *answer, const struct config *c, const char *name, char *why, size_t size)
{
	size_t kept = 0;

	for (size_t i = 0; i < answer->count; i++) {
		const struct oh_address *a = &answer->list[i].address;
		const char *special = address_special(a, &c->nat64);

		if (!special || may_be_private(c, name, a)) {
			answer->list[kept++] = answer->list[i];
		} else if (!*why) {
			snprintf(why, size, "a %s address", special);
		}
	}
	answer->count = kept;
	return *why;
}

static void report_failure(struct refresh_report *report, const char *name, const char *why)
{
	if (!*report->first)
		snprintf(report->first, sizeof(report->first), "%.100s: %s", name, why);
	report->failed++;
}

static int merge_one(struct resolve_query *q, const char *why, struct records *records, size_t *at, const struct config *c,
		     int64_t now, struct refresh_report *report, struct error *e)
{
	struct record *r = records_find_from(records, q->name, q->family, at);

	report->asked++;
	if (!r)		/* revoked or lapsed meanwhile, when its queries may be refused: nobody's failure */
		return 0;
	if (!why)
		return record_answered(r, &q->answer, now, c, e);
	report_failure(report, q->name, why);
	record_failed(r, why, now, c);
	return 0;
}

int refresh_merge(const struct refresh *f, struct records *records, const struct config *c, int64_t now,
		  struct refresh_report *report, struct error *e)
{
	size_t at = 0;
	int r = 0;

	*report = (struct refresh_report){ 0 };
	for (size_t i = 0; !r && i + 1 < f->count; i += 2) {
		struct resolve_query *pair = &f->queries[i];
		char special[2][80] = { "", "" };
		const char *why[2];

		for (int k = 0; k < 2; k++) {
			why[k] = pair[k].failure;
			if (!why[k] && drop_special(&pair[k].answer, c, pair[k].name, special[k], sizeof(special[k])) &&
			    !pair[k].answer.count)
				why[k] = special[k];
		}
		/* no IPv6 address is nothing unusual; no address at all is */
		if (!why[0] && !why[1] && !pair[0].answer.count && !pair[1].answer.count)
			why[0] = why[1] = "answer without an address";
		for (int k = 0; !r && k < 2; k++)
			r = merge_one(&pair[k], why[k], records, &at, c, now, report, e);
	}
	return r;
}

void refresh_free(struct refresh *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free((char *)f->queries[i].name);
		answer_free(&f->queries[i].answer);
	}
	free(f->queries);
	*f = (struct refresh){ 0 };
}

void refresh_warn(const struct refresh_report *report)
{
	char more[40] = "";

	if (!report->failed)
		return;
	if (report->failed > 1)
		snprintf(more, sizeof(more), " (and %zu more)", report->failed - 1);
	error_warn("%s%s: what is known is kept, and it is tried again", report->first, more);
}

static int merge_and_publish(struct guard *g, const struct refresh *f, struct refresh_report *report, struct error *e)
{
	int64_t now = time(NULL);
	struct error e_write;
	int r, r_write;

	r = guard_read(g, now, e);
	if (!r)
		r = refresh_merge(f, &g->records, &g->config, now, report, e);
	if (r)
		return r;
	/* the kernel first: with a full disk the list must still be fresh */
	r = policy_publish(&g->policy, &g->records, &g->engine, now, e);
	report->in_force = !r || r == -E2BIG;
	r_write = guard_write_records(g, &e_write);
	if (!r && r_write) {
		*e = e_write;
		r = r_write;
	}
	return r;
}

static bool any_lapsed(const struct guard *g, int64_t now)
{
	for (size_t i = 0; i < g->grants.count; i++) {
		if (g->grants.list[i].lapses && g->grants.list[i].lapses <= now)
			return true;
	}
	return false;
}

int refresh_round(struct guard *g, struct refresh_report *report, struct error *e)
{
	struct refresh f = { 0 };
	bool lapsed, in_force = false;
	int64_t now;
	int r;

	*report = (struct refresh_report){ 0 };
	r = guard_lock(g, e);
	now = time(NULL);
	if (!r)
		r = guard_read(g, 0, e);	/* a time of 0 drops nothing: what has lapsed is seen */
	lapsed = any_lapsed(g, now);
	if (!r && lapsed)
		r = guard_build(g, now, e);	/* and not asked for */
	if (!r)
		r = refresh_add_due(&f, &g->records, now, e);
	if (!r && !f.count && !lapsed)
		r = policy_in_force(&g->policy, &g->engine, &in_force, e);
	guard_unlock(g);
	if (r || in_force)
		goto out;
	r = refresh_ask(&f, &g->config, e);
	if (!r)
		r = guard_lock(g, e);
	if (r)
		goto out;
	r = merge_and_publish(g, &f, report, e);
	if (!r && lapsed)
		r = guard_write_grants(g, e);
	guard_unlock(g);
out:
	refresh_free(&f);
	return r;
}
