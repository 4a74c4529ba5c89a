// SPDX-License-Identifier: MIT
/* ohguard revoke: takes back what `allow` gave, and ends its open connections. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "commands/cmd.h"
#include "guard/change.h"

struct revoke {
	const struct cmd_options *options;
	struct target *targets;
	bool *gone;		/* each: it was a grant */
	size_t count;
};

static bool in_config(const struct config *c, const struct target *t)
{
	for (size_t i = 0; i < c->target_count; i++) {
		if (!target_compare(&c->targets[i], t))
			return true;
	}
	return false;
}

/* All are checked before the first is removed. */
static int read_targets(const struct guard *g, struct revoke *v, struct error *e)
{
	for (size_t i = 0; i < v->count; i++) {
		int r = target_parse(v->options->argv[i], &v->targets[i], e);

		if (r)
			return r;
		if (in_config(&g->config, &v->targets[i]))
			return error_set(e, EPERM, "%s: is in the configuration: remove it there and run "
					 "`ohguard load`", v->options->argv[i]);
	}
	return 0;
}

/* What is not there is published all the same: an earlier revoke may have been killed after it wrote the file. */
static int remove_grants(struct guard *g, int64_t now, void *context, struct error *e)
{
	struct revoke *v = context;
	int r = read_targets(g, v, e);

	for (size_t i = 0; !r && i < v->count; i++) {
		struct grant *grant = grants_find(&g->grants, &v->targets[i]);

		v->gone[i] = grant && (!grant->lapses || grant->lapses > now);
		if (grant)	/* one that was named twice is gone the second time */
			grants_remove(&g->grants, grant);
	}
	return r;
}

/* Something else that still lets the same host be reached. */
static bool is_more_of(const struct target *held, const struct target *revoked)
{
	if (held->service != OH_SERVICE_TCP || !target_compare(held, revoked))
		return false;
	if (revoked->kind == TARGET_NAME || revoked->kind == TARGET_SUFFIX)
		return (held->kind == TARGET_NAME || held->kind == TARGET_SUFFIX) && target_covers(held, revoked);
	return (held->kind == TARGET_ADDRESS || held->kind == TARGET_RANGE) &&
	       range_covers(&held->range, &revoked->range);
}

/* Each once, though several that are revoked may be of it. */
static bool stays(const struct revoke *v, const struct target *held)
{
	for (size_t i = 0; i < v->count; i++) {
		if (is_more_of(held, &v->targets[i]))
			return true;
	}
	return false;
}

static void report_text(const struct guard *g, const struct revoke *v)
{
	char text[OH_TARGET_TEXT_MAX];

	for (size_t i = 0; i < v->count; i++)
		printf("%s %s\n", target_identity(&v->targets[i], text), v->gone[i] ? "revoked" : "was not allowed");
	for (size_t i = 0; i < g->policy.count; i++) {
		const struct policy_target *held = &g->policy.list[i];

		if (stays(v, held->target))
			printf("%s stays allowed%s\n", target_identity(held->target, text),
			       held->source == POLICY_CONFIG ? " (by the configuration)" : "");
	}
}

static void report_json(const struct guard *g, const struct revoke *v)
{
	char text[OH_TARGET_TEXT_MAX];
	bool changed = false;
	struct json j;

	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", v->options->guard.instance);
	json_array(&j, "targets");
	for (size_t i = 0; i < v->count; i++) {
		changed |= v->gone[i];
		json_object(&j, NULL);
		json_string(&j, "target", target_format(&v->targets[i], text));
		json_number(&j, "port", v->targets[i].port);
		json_bool(&j, "changed", v->gone[i]);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_array(&j, "stays");
	for (size_t i = 0; i < g->policy.count; i++) {
		if (stays(v, g->policy.list[i].target))
			json_string(&j, NULL, target_identity(g->policy.list[i].target, text));
	}
	json_array_end(&j);
	json_bool(&j, "changed", changed);
	json_object_end(&j);
	json_end(&j);
}

static int revoke(const struct cmd_options *o)
{
	size_t count = (size_t)o->argc;
	struct revoke v = { .options = o, .targets = calloc(count, sizeof(*v.targets)),
			    .gone = calloc(count, sizeof(*v.gone)), .count = count };
	struct change change = { .edit = remove_grants, .context = &v };
	struct guard g;
	struct error e;
	int r = guard_open_to_change(&o->guard, &g, &e), exit;

	if (r) {
		exit = cmd_open_failed(r, &e);
	} else {
		r = v.targets && v.gone ? change_policy(&g, &change, &e) : error_set(&e, ENOMEM, "out of memory");
		exit = r ? cmd_fail(&e) : CMD_OK;
		if (!r && o->json)
			report_json(&g, &v);
		else if (!r)
			report_text(&g, &v);
		guard_close(&g);
	}
	free(v.targets);
	free(v.gone);
	return exit;
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
