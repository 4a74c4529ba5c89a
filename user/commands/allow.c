// SPDX-License-Identifier: MIT
/* ohguard allow: what it allows is in force before it returns, and again after a reboot. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "commands/cmd.h"
#include "guard/change.h"
#include "guard/refresh.h"
#include "policy/address.h"
#include "policy/suffix.h"

#define FOR_MAX (365 * 86400)

/* The configuration wins over a grant: a grant that says otherwise would do nothing. */
static int check_plain(const char *text, const struct target *t, const struct config *c, struct error *e)
{
	for (size_t i = 0; i < c->target_count; i++) {
		if (!c->targets[i].plain && !target_compare(&c->targets[i], t))
			return error_set(e, EPERM, "%s: is in the configuration: add sni=off to it there, and run "
					 "`ohguard load`", text);
	}
	return 0;
}

static int parse_targets(const struct cmd_options *o, bool plain, bool wide, const struct config *c, struct target *ret,
			 struct error *e)
{
	for (int i = 0; i < o->argc; i++) {
		int r = target_parse(o->argv[i], &ret[i], e);

		if (!r && plain)
			r = target_set_plain(&ret[i], o->argv[i], e);
		if (!r && plain)
			r = check_plain(o->argv[i], &ret[i], c, e);
		if (!r && wide)
			r = target_set_wide(&ret[i], o->argv[i], e);
		if (r)
			return r;
		if (ret[i].kind == TARGET_SUFFIX && !c->inspect)
			return error_set(e, EOPNOTSUPP, "%s: a suffix cannot be resolved, and answers are read only "
					 "with [dns] inspect = on: allow the names one by one", o->argv[i]);
		r = suffix_check(&ret[i], false, e);
		if (r)
			return r;
		if (ret[i].kind == TARGET_ADDRESS && !c->metadata &&
		    address_is_metadata(&ret[i].range.address, &c->nat64))
			return error_set(e, EINVAL, "%s: the metadata service has its own key: set "
					 "[imds] access = allow", o->argv[i]);
	}
	return 0;
}

/* What listens on these ports hardly speaks TLS. */
static void warn_plain(const struct target *targets, size_t count, const struct config *c)
{
	char text[OH_TARGET_TEXT_MAX];

	for (size_t i = 0; c->inspect && i < count; i++) {
		if (target_is_named(&targets[i]) && (targets[i].port == 80 || targets[i].port == 22))
			error_warn("%s: only TLS passes there, as to every name: --sni off lifts that",
				 target_identity(&targets[i], text));
	}
}

/* What is to be allowed, for how long, and what DNS says of it. */
struct allow {
	struct target *targets;
	size_t count;
	uint64_t seconds;	/* 0: for good */
	struct refresh answers;
	struct refresh_report report;
};

static int add_grants(struct guard *g, int64_t now, void *context, struct error *e)
{
	const struct allow *a = context;
	int r = 0;

	for (size_t i = 0; !r && i < a->count; i++)
		r = grants_add(&g->grants, &a->targets[i], a->seconds ? now + (int64_t)a->seconds : 0, e);
	return r;
}

static int add_answers(struct guard *g, int64_t now, void *context, struct error *e)
{
	struct allow *a = context;

	return refresh_merge(&a->answers, &g->records, &g->config, now, &a->report, e);
}

/* While no policy is in force, a grant would have no effect, and `allow` could not keep its promise. */
static int check_ready(const struct guard *g, struct error *e)
{
	struct oh_control control;
	int r = engine_read_control(&g->engine, &control, e);

	if (r || control.ready)
		return r;
	return error_set(e, EPERM, "locked down: nothing can be allowed until `ohguard load` succeeds");
}

static int allow(const struct cmd_options *o, uint64_t seconds, bool plain, bool wide)
{
	struct allow a = { .targets = calloc((size_t)o->argc, sizeof(*a.targets)), .count = (size_t)o->argc,
			   .seconds = seconds };
	struct change change = { .edit = add_grants, .learn = add_answers, .context = &a, .widens = true };
	struct guard g;
	struct error e;
	int r = guard_open_to_change(&o->guard, &g, &e);

	if (r) {
		free(a.targets);
		return cmd_open_failed(r, &e);
	}
	r = a.targets ? check_ready(&g, &e) : error_set(&e, ENOMEM, "out of memory");
	if (!r)
		r = parse_targets(o, plain, wide, &g.config, a.targets, &e);
	if (!r)
		r = refresh_ask_new(&a.answers, &g, a.targets, a.count, &e);
	if (!r)
		r = change_policy(&g, &change, &e);
	if (!r)
		warn_plain(a.targets, a.count, &g.config);
	refresh_free(&a.answers);
	guard_close(&g);
	free(a.targets);
	if (r)
		return cmd_fail(&e);
	if (a.report.failed)
		error_warn("%s: allowed, and tried again until it resolves", a.report.first);
	return a.report.failed ? CMD_DEGRADED : CMD_OK;
}

int cmd_allow(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	const char *lapse = NULL, *sni = NULL;
	int wide = 0;
	uint64_t seconds = 0;
	struct poptOption options[] = {
		{ "for", 0, POPT_ARG_STRING, &lapse, 0, "Lapse by itself after 30s, 5m, 2h, 1d", "TIME" },
		{ "sni", 0, POPT_ARG_STRING, &sni, 0, "Connections need not begin with TLS for an allowed name",
		  "off" },
		{ "wide", 0, POPT_ARG_NONE, &wide, 0, "Accept a suffix below which anyone can have a name", NULL },
		POPT_TABLEEND
	};
	int r = cmd_parse(argc, argv, options, "TARGET...", &common);

	if (r != CMD_GO_ON)
		return r;
	if (!common.argc)
		return cmd_usage("allow: nothing to allow: give NAME, *.SUFFIX, ADDRESS or ADDRESS/BITS, each with an "
				 "optional :PORT");
	if (lapse && (text_parse_seconds(lapse, FOR_MAX, &seconds) || !seconds))
		return cmd_usage("--for %s: expected a time like 30s, 5m, 2h or 1d, at most 365d", lapse);
	if (sni && strcmp(sni, "off"))
		return cmd_usage("--sni %s: expected off", sni);
	return allow(&common, seconds, sni, wide);
}
