/* ohguard revoke: takes back what `allow` gave, and its open connections with it. */
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "guard.h"

static bool in_config(const struct config *c, const struct target *t)
{
	for (size_t i = 0; i < c->target_count; i++) {
		if (!target_compare(&c->targets[i], t))
			return true;
	}
	return false;
}

/* All of them or none. */
static int remove_grants(struct guard *g, const struct cmd_options *o, struct error *e)
{
	for (int i = 0; i < o->argc; i++) {
		struct grant *grant;
		struct target t;
		int r = target_parse(o->argv[i], &t, e);

		if (r)
			return r;
		grant = grants_find(&g->grants, &t);
		if (grant)
			grants_remove(&g->grants, grant);
		if (in_config(&g->config, &t))
			return error_set(e, EPERM, "%s: is in the configuration: remove it there and run `ohguard load`",
					 o->argv[i]);
		if (!grant)
			return error_set(e, ENOENT, "%s: is not allowed: see `ohguard list`", o->argv[i]);
	}
	return 0;
}

static int revoke(const struct cmd_options *o)
{
	int64_t now = time(NULL);
	struct guard g;
	struct error e;
	int r = guard_open(o, &g, &e);

	if (r)
		return guard_open_failed(r, &e);
	r = guard_authorize(&g, o, &e);
	if (!r)
		r = guard_lock(&g, &e);
	if (!r)
		r = guard_read(&g, now, &e);
	if (!r)
		r = remove_grants(&g, o, &e);
	if (r == -ENOENT) {	/* what an earlier revoke took out of the file before it was killed goes now */
		struct error e_ignored;

		policy_publish(&g.policy, &g.records, &g.engine, now, &e_ignored);
	}
	if (!r)
		r = guard_write_grants(&g, &e);
	if (!r)
		r = guard_build(&g, now, &e);
	if (!r)
		r = policy_publish(&g.policy, &g.records, &g.engine, now, &e);
	if (!r)
		r = guard_write_records(&g, &e);
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
		return cmd_usage("revoke: what? A target as `ohguard list` shows it");
	return revoke(&common);
}
