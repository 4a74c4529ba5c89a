// SPDX-License-Identifier: MIT
/* ohguard revoke: takes back what `allow` gave, and its open connections with it. */
#include <stdlib.h>
#include <time.h>

#include "commands/cmd.h"
#include "engine/publish.h"
#include "guard/guard.h"

static bool in_config(const struct config *c, const struct target *t)
{
	for (size_t i = 0; i < c->target_count; i++) {
		if (!target_compare(&c->targets[i], t))
			return true;
	}
	return false;
}

/* Reads the targets, each of which must be a grant: all of them are looked at before the first goes. */
static int find_targets(const struct guard *g, const struct cmd_options *o, struct target *ret, struct error *e)
{
	for (int i = 0; i < o->argc; i++) {
		int r = target_parse(o->argv[i], &ret[i], e);

		if (r)
			return r;
		if (in_config(&g->config, &ret[i]))
			return error_set(e, EPERM, "%s: is in the configuration: remove it there and run `ohguard load`",
					 o->argv[i]);
		if (!grants_find(&g->grants, &ret[i]))
			return error_set(e, ENOENT, "%s: is not allowed: see `ohguard list`", o->argv[i]);
	}
	return 0;
}

/* One that was given twice is gone the second time. */
static void remove_grants(struct grants *grants, const struct target *targets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct grant *grant = grants_find(grants, &targets[i]);

		if (grant)
			grants_remove(grants, grant);
	}
}

static int revoke(const struct cmd_options *o)
{
	struct target *targets = calloc((size_t)o->argc, sizeof(*targets));
	int64_t now = time(NULL);
	struct guard g;
	struct error e, e_ignored;
	int r = guard_open(&o->guard, &g, &e);

	if (r) {
		free(targets);
		return cmd_open_failed(r, &e);
	}
	r = targets ? guard_authorize(&g, &o->guard, &e) : error_set(&e, ENOMEM, "out of memory");
	if (!r)
		r = guard_lock(&g, &e);
	if (!r)
		r = guard_read(&g, now, &e);
	if (!r) {
		r = find_targets(&g, o, targets, &e);
		if (r == -ENOENT)	/* what an earlier revoke took out of the file before it was killed goes now */
			policy_publish(&g.policy, &g.records, &g.engine, now, &e_ignored);
	}
	if (!r) {
		remove_grants(&g.grants, targets, (size_t)o->argc);
		r = guard_write_grants(&g, &e);
	}
	if (!r)
		r = guard_build(&g, now, &e);
	if (!r)
		r = policy_publish(&g.policy, &g.records, &g.engine, now, &e);
	if (!r)
		r = guard_write_records(&g, &e);
	guard_close(&g);
	free(targets);
	return r ? cmd_fail(&e) : CMD_OK;
}

int cmd_revoke(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	int r = cmd_parse(argc, argv, NULL, "TARGET...", &common);

	if (r != CMD_GO_ON)
		return r;
	if (!common.argc)
		return cmd_usage("revoke: what? A target as `ohguard list` shows it");
	return revoke(&common);
}
