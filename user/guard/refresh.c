// SPDX-License-Identifier: MIT
#include "guard/refresh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/list.h"
#include "engine/publish.h"
#include "engine/publish_names.h"
#include "engine/questions.h"
#include "guard/change.h"
#include "policy/address.h"

static int add_query(struct refresh *f, const char *name, int family, struct error *e)
{
	struct resolve_query *grown = list_grow(f->queries, f->count, sizeof(*grown));
	char *copy;

	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	f->queries = grown;
	copy = strdup(name);
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

#define PROBE_PAUSE 10		/* seconds */
#define WATCH_OUTAGE 15		/* while the resolver is away */

static bool is_unanswered(const struct record *r)
{
	return r->failures && resolve_was_silent(record_why(r));
}

/* The name that waits longest of those that nobody answered, unless one was tried just now. */
static const struct record *find_probe(const struct records *records, int64_t now)
{
	const struct record *found = NULL;

	for (size_t i = 0; i < records->count; i++) {
		const struct record *r = &records->list[i];

		if (!is_unanswered(r))
			continue;
		if (r->tried <= now && now - r->tried < PROBE_PAUSE)
			return NULL;
		if (!found || r->tried < found->tried)
			found = r;
	}
	return found;
}

/* When one family is due both are asked: only both answers show whether a missing address is a failure. */
int refresh_add_due(struct refresh *f, const struct records *records, int64_t now, struct error *e)
{
	const struct record *probe;
	int r = 0;

	for (size_t i = 0; !r && i + 1 < records->count; i += 2) {
		if (records->list[i].due <= now || records->list[i + 1].due <= now)
			r = refresh_add(f, records->list[i].name, e);
	}
	probe = f->count ? NULL : find_probe(records, now);
	return !r && probe ? refresh_add(f, probe->name, e) : r;
}

int64_t refresh_next(const struct records *records, int64_t now)
{
	int64_t next = now + REFRESH_LONGEST;

	for (size_t i = 0; i < records->count; i++) {
		const struct record *r = &records->list[i];

		if (r->due < next)
			next = r->due;
		if (is_unanswered(r) && now + WATCH_OUTAGE < next)
			next = now + WATCH_OUTAGE;
	}
	return next;
}

static int add_all(struct refresh *f, const struct records *records, struct error *e)
{
	int r = 0;

	for (size_t i = 0; !r && i + 1 < records->count; i += 2)
		r = refresh_add(f, records->list[i].name, e);
	return r;
}

bool refresh_outage(const struct records *records, const struct config *c, char *line, size_t size)
{
	char text[ADDRESS_TEXT_MAX], more[48] = "";

	for (size_t i = 0; i < records->count; i++) {
		if (!is_unanswered(&records->list[i]))
			return false;
	}
	if (!records->count)
		return false;
	if (c->resolver_count > 1)
		snprintf(more, sizeof(more), " (nor any of %zu more)", c->resolver_count - 1);
	snprintf(line, size, "resolver %s does not answer%s: all %zu lookups fail",
		 address_format(&c->resolvers[0], text), more, records->count);
	return true;
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

const char *refresh_refuses(const struct config *c, const char *name, const struct oh_address *a)
{
	const char *special = address_special(a, &c->nat64);

	return special && may_be_private(c, name, a) ? NULL : special;
}

/* Drops addresses that no public host has, and tells of the first. */
static bool drop_special(struct answer *answer, const struct config *c, const char *name, char *why, size_t size)
{
	char text[ADDRESS_TEXT_MAX];
	size_t kept = 0;

	for (size_t i = 0; i < answer->count; i++) {
		const struct oh_address *a = &answer->list[i].address;
		const char *special = refresh_refuses(c, name, a);

		if (!special) {
			answer->list[kept++] = answer->list[i];
		} else if (!*why) {
			snprintf(why, size, "%s is a %s address%s", address_format(a, text), special,
				 address_is_metadata(a, &c->nat64) ? "" : ": see [dns] private");
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

static int merge_one(struct resolve_query *q, const char *why, struct records *records, size_t *at,
		     const struct config *c, int64_t now, struct refresh_report *report, struct error *e)
{
	struct record *r = records_find_from(records, q->name, q->family, at);

	report->asked++;
	if (!r)		/* revoked or lapsed meanwhile: its queries may have been refused, which is no failure */
		return 0;
	report->recovered |= !why && is_unanswered(r);
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
		char special[2][RECORD_WHY_MAX] = { "", "" };
		const char *why[2];

		for (int k = 0; k < 2; k++) {
			why[k] = pair[k].failure;
			if (!why[k] && drop_special(&pair[k].answer, c, pair[k].name, special[k], sizeof(special[k])) &&
			    !pair[k].answer.count)
				why[k] = special[k];
		}
		/* no IPv6 address is usual, no address at all is not */
		if (!why[0] && !why[1] && !pair[0].answer.count && !pair[1].answer.count)
			why[0] = why[1] = "answer without an address";
		for (int k = 0; !r && k < 2; k++)
			r = merge_one(&pair[k], why[k], records, &at, c, now, report, e);
	}
	for (size_t i = 0; report->recovered && i < records->count; i++) {
		if (is_unanswered(&records->list[i]) && records->list[i].due > now)
			records->list[i].due = now;
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
	if (report->failed > 1 && !report->outage)
		snprintf(more, sizeof(more), " (%zu lookups fail)", report->failed);
	error_warn("%s%s: known addresses are kept, and it is tried again", report->first, more);
}

/* What a round hands to its change. */
struct merging {
	const struct refresh *f;
	struct refresh_report *report;
};

static int learn(struct guard *g, int64_t now, void *context, struct error *e)
{
	const struct merging *m = context;
	struct refresh_report *report = m->report;
	int r = refresh_merge(m->f, &g->records, &g->config, now, report, e);

	report->outage = report->failed &&
			 refresh_outage(&g->records, &g->config, report->first, sizeof(report->first));
	return r;
}

/* Adds the queries that are due. *ret_idle: there is nothing to do, and the kernel has the policy. */
static int look(struct guard *g, bool all, struct refresh *f, bool *ret_idle, struct error *e)
{
	int64_t now = time(NULL);
	int r = guard_read(g, now, e);

	*ret_idle = false;
	if (!r)
		r = all ? add_all(f, &g->records, e) : refresh_add_due(f, &g->records, now, e);
	if (!r && !f->count && !g->lapsed)
		r = publish_is_current(&g->policy, &g->engine, ret_idle, e);
	if (!r && *ret_idle)
		r = publish_local(&g->engine, e);
	return r ? r : questions_sweep(&g->engine, e);
}

static int ask_once(struct guard *g, bool all, struct refresh_report *report, struct error *e)
{
	struct refresh f = { 0 };
	struct merging merging = { &f, report };
	struct change change = { .learn = learn, .context = &merging };
	bool idle = false;
	int r = guard_lock(g, e);

	*report = (struct refresh_report){ 0 };
	if (!r)
		r = look(g, all, &f, &idle, e);
	guard_unlock(g);
	if (!r && !idle) {
		r = refresh_ask(&f, &g->config, e);
		if (!r)
			r = change_policy(g, &change, e);
	}
	report->in_force = change.in_force;
	refresh_free(&f);
	return r;
}

int refresh_round(struct guard *g, bool all, struct refresh_report *report, struct error *e)
{
	int r = ask_once(g, all, report, e);

	return !r && report->recovered ? ask_once(g, false, report, e) : r;
}

/* A guard of the root cgroup judges our own queries too: these names may be asked for until the next publish. */
static int publish_asks(struct guard *g, const struct policy_asks *asks, struct error *e)
{
	int r = guard_lock(g, e);

	if (!r)
		r = guard_read(g, time(NULL), e);
	if (!r)
		r = publish_read_ids(&g->policy, &g->engine, e);
	if (!r) {
		g->policy.asks_now = *asks;
		r = publish_names(&g->policy, &g->engine, e);
	}
	guard_unlock(g);
	return r;
}

/* A name that does not exist is a typing error and is refused. One whose query fails is recorded and tried again. */
static int refuse_unknown(const struct refresh *f, struct error *e)
{
	const char *nxdomain = answer_result_text(ANSWER_NXDOMAIN);

	for (size_t i = 0; i + 1 < f->count; i += 2) {
		if (f->queries[i].failure && f->queries[i + 1].failure && !strcmp(f->queries[i].failure, nxdomain) &&
		    !strcmp(f->queries[i + 1].failure, nxdomain))
			return error_set(e, ENOENT, "%s: %s: nothing was allowed", f->queries[i].name, nxdomain);
	}
	return 0;
}

int refresh_ask_new(struct refresh *f, struct guard *g, const struct target *targets, size_t count, struct error *e)
{
	struct policy_asks asks = { targets, count }, none = { 0 };
	struct error e_back;
	int r = 0;

	for (size_t i = 0; !r && i < count; i++) {
		if (targets[i].kind == TARGET_NAME)
			r = refresh_add(f, targets[i].name, e);
	}
	if (!f->count)
		return r;
	if (!r)
		r = publish_asks(g, &asks, e);
	if (!r)
		r = refresh_ask(f, &g->config, e);
	if (!r)
		r = refuse_unknown(f, e);
	if (r && publish_asks(g, &none, &e_back))
		error_warn("%s", e_back.text);
	return r;
}

struct allowing {
	change_step edit;
	void *context;
	struct refresh answers;
	struct refresh_report *report;
};

static int allow_grants(struct guard *g, int64_t now, void *context, struct error *e)
{
	const struct allowing *a = context;

	return a->edit(g, now, a->context, e);
}

static int allow_answers(struct guard *g, int64_t now, void *context, struct error *e)
{
	struct allowing *a = context;

	return refresh_merge(&a->answers, &g->records, &g->config, now, a->report, e);
}

int refresh_allow(struct guard *g, const struct target *targets, size_t count, change_step edit, void *context,
		  struct refresh_report *report, struct error *e)
{
	struct allowing a = { .edit = edit, .context = context, .report = report };
	struct change change = { .edit = allow_grants, .learn = allow_answers, .context = &a, .widens = true };
	int r = refresh_ask_new(&a.answers, g, targets, count, e);

	if (!r)
		r = change_policy(g, &change, e);
	refresh_free(&a.answers);
	return r;
}
