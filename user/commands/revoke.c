// SPDX-License-Identifier: MIT
/* ohguard revoke: takes back what `allow` gave, and ends its open connections. */
#include <stdlib.h>

#include "commands/cmd.h"
#include "engine/publish.h"
#include "guard/change.h"

static bool in_config(const struct config *c, const struct target *t)
{
	for (size_t i = 0; i < c->target_count; i++) {
		if (!target_compare(&c->targets[i], t))
			return true;
	}
	return false;
}

/* Reads the targets. Each must be a grant: all are checked before the first is removed. */
static int find_targets(const struct guard *g, const struct cmd_options *o, struct target *ret, struct error *e)
{
	for (int i = 0; i < o->argc; i++) {
		int r = target_parse(o->argv[i], &ret[i], e);

		if (r)
			return r;
		if (in_config(&g->config, &ret[i]))
			return error_set(e, EPERM, "%s: is in the configuration: remove it there and run "
					 "`ohguard load`", o->argv[i]);
		if (!grants_find(&g->grants, &ret[i]))
			return error_set(e, ENOENT, "%s: is not allowed: see `ohguard list`", o->argv[i]);
	}
	return 0;
}

static int remove_grants(struct guard *g, int64_t now, void *context, struct error *e)
{
	const struct cmd_options *o = context;
	struct target *targets = calloc((size_t)o->argc, sizeof(*targets));
	int r = targets ? find_targets(g, o, targets, e) : error_set(e, ENOMEM, "out of memory");
	struct error e_ignored;

	if (r == -ENOENT)	/* an earlier revoke may have been killed after it wrote the file: finish it */
		publish_policy(&g->policy, &g->records, &g->engine, now, &e_ignored);
	for (int i = 0; !r && i < o->argc; i++) {
		struct grant *grant = grants_find(&g->grants, &targets[i]);

		if (grant)	/* one that was named twice is gone the second time */
			grants_remove(&g->grants, grant);
	}
	free(targets);
	return r;
}

static int revoke(struct cmd_options *o)
{
	struct change change = { .edit = remove_grants, .context = o };
	struct guard g;
	struct error e;
	int r = guard_open_to_change(&o->guard, &g, &e);

	if (r)
		return cmd_open_failed(r, &e);
	r = change_policy(&g, &change, &e);
	guard_close(&g);
	return r ? cmd_fail(&e) : CMD_OK;
}

int cmd_revoke(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	int r = cmd_parse(argc, argv, NULL, "TARGET...", &common);

	if (r != CMD_GO_ON)
		return r;
	if (!common.argc)
		return cmd_usage("revoke: nothing to revoke: give a target as `ohguard list` shows it");
	return revoke(&common);
}
