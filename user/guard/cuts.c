// SPDX-License-Identifier: MIT
#include "guard/cuts.h"

#include <stdio.h>
#include <string.h>

#include "engine/hooks.h"
#include "engine/inside.h"
#include "engine/sessions.h"
#include "parse/inbound.h"

struct looking {
	struct cuts *cuts;
	struct inside inside;	/* networks on this machine, to which everything passes */
};

static bool inbound_takes(const struct oh_settings *s, const struct session *at)
{
	for (__u32 i = 0; i < s->inbound_count && i < OH_INBOUND_MAX; i++) {
		if (oh_inbound_takes(&s->inbound[i], &at->remote, at->local_port))
			return true;
	}
	return false;
}

/* Its replies are also let out if they go to an allowed port of an allowed range. */
static bool target_takes(const struct policy *p, const struct session *at)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct target *t = p->list[i].target;

		if ((t->kind == TARGET_ADDRESS || t->kind == TARGET_RANGE) && t->service == OH_SERVICE_TCP &&
		    (unsigned int)at->remote_port - t->port <= t->more && range_contains(&t->range, &at->remote))
			return true;
	}
	return false;
}

static bool stays_inside(const struct inside *in, const struct oh_address *a)
{
	for (size_t i = 0; i < in->count; i++) {
		if (range_contains(&in->list[i].range, a))
			return true;
	}
	return false;
}

static bool is_judged(const struct cuts *c, const struct session *s)
{
	size_t length = strlen(c->cgroup);
	char path[PATH_MAX];

	if (c->whole || !s->cgroup)
		return true;
	engine_cgroup_path(s->cgroup, path);
	return !*path || (!strncmp(path, c->cgroup, length) && (!path[length] || path[length] == '/'));
}

static void visit(const struct session *s, void *context)
{
	struct looking *l = context;
	struct cuts *c = l->cuts;
	char text[ADDRESS_TEXT_MAX];

	if (!is_judged(c, s) || inbound_takes(c->settings, s) || target_takes(c->policy, s) ||
	    stays_inside(&l->inside, &s->remote))
		return;
	/* what is refused already only looks alive */
	if (!c->before->observe && !inbound_takes(c->before, s))
		return;
	if (!session_is_ssh(s))
		return;
	if (!c->count++)
		snprintf(c->first, sizeof(c->first), "%s to port %u", address_format(&s->remote, text), s->local_port);
}

int cuts_find(struct cuts *c, const struct engine *engine, struct error *e)
{
	struct looking l = { .cuts = c };
	int r = 0;

	c->count = 0;
	if (c->settings->observe)
		return 0;
	if (c->settings->inside)
		r = inside_find(engine, c->policy->local, c->policy->local_count, &l.inside, e);
	if (!r) {
		r = sessions_walk(visit, &l, e);
		if (r == -ENOENT)	/* the kernel shows nobody's sessions: no reason to leave it without a guard */
			r = 0;
	}
	inside_free(&l.inside);
	return r;
}
