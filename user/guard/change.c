// SPDX-License-Identifier: MIT
#include "guard/change.h"

#include "engine/publish.h"

static int put_in_force(struct guard *g, struct change *c, int64_t now, struct error *e)
{
	int r = c->put_in_force ? c->put_in_force(g, now, c->context, e) :
		publish_policy(&g->policy, &g->records, &g->engine, now, e);

	c->in_force = !r || (r == -E2BIG && !c->widens);
	return r;
}

/* What is said to have failed must not be in force. */
static void take_back(struct guard *g, struct grants *before, int64_t now)
{
	struct error e;

	policy_free(&g->policy);
	grants_free(&g->grants);
	g->grants = *before;
	*before = (struct grants){ 0 };
	if (guard_write_grants(g, &e) || guard_build(g, now, &e) ||
	    publish_policy(&g->policy, &g->records, &g->engine, now, &e))
		error_warn("taking it back failed too: %s", e.text);
}

/* The kernel goes before the records: with a full disk the list must still be fresh. */
static int write_behind_grants(struct guard *g, struct change *c, int64_t now, struct error *e)
{
	struct error e_write;
	int r = put_in_force(g, c, now, e), r_write = 0;

	if (c->in_force)
		r_write = guard_write_records(g, r ? &e_write : e);
	if (!r)
		r = r_write;
	if (!r && g->lapsed && !c->edit)
		r = guard_write_grants(g, e);
	return r;
}

static int change_locked(struct guard *g, struct change *c, struct error *e)
{
	int64_t now = time(NULL);
	struct grants before = { 0 };
	int r = guard_read(g, now, e);

	if (!r && c->widens)
		r = grants_copy(&g->grants, &before, e);
	if (!r && c->edit)
		r = c->edit(g, now, c->context, e);
	if (!r && c->edit)
		r = guard_build(g, now, e);	/* before anything is written: too many targets are refused here */
	if (!r && c->learn)
		r = c->learn(g, now, c->context, e);
	if (!r && c->edit)
		r = guard_write_grants(g, e);
	if (!r) {
		r = write_behind_grants(g, c, now, e);
		if (r && c->widens)
			take_back(g, &before, now);
	}
	grants_free(&before);
	return r;
}

int change_policy(struct guard *g, struct change *c, struct error *e)
{
	bool held = g->lock >= 0;
	int r = held ? 0 : guard_lock(g, e);

	c->in_force = false;
	if (!r)
		r = change_locked(g, c, e);
	if (!held)
		guard_unlock(g);
	return r;
}

int change_links(struct guard *g, const struct guard_options *options,
		 int (*change)(struct guard *g, void *context, struct error *e), void *context,
		 struct error *ret_unkept, struct error *e)
{
	bool held = g->lock >= 0;
	struct error e_keep;
	int r = held ? 0 : guard_lock(g, e);

	*ret_unkept = (struct error){ "" };
	if (!r) {
		if (g->locked)
			r = lock_begin_change(g->pins, e);
		if (!r)
			r = change(g, context, e);
		/* also where it failed: some of the links may be new */
		if (g->locked && guard_subject(g, options, lock_end_change, &e_keep))
			*ret_unkept = e_keep;
	}
	if (!held)
		guard_unlock(g);
	return r;
}
