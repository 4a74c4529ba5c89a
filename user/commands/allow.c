// SPDX-License-Identifier: MIT
/* ohguard allow: in force before it returns, and after a reboot. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "commands/cmd.h"
#include "engine/publish.h"
#include "engine/publish_names.h"
#include "guard/guard.h"
#include "guard/refresh.h"
#include "policy/address.h"
#include "policy/suffix.h"

#define FOR_MAX (365 * 86400)

/* The configuration goes before what is granted: a grant that says otherwise would do nothing. */
static int check_plain(const char *text, const struct target *t, const struct config *c, struct error *e)
{
	for (size_t i = 0; i < c->target_count; i++) {
		if (!c->targets[i].plain && !target_compare(&c->targets[i], t))
			return error_set(e, EPERM, "%s: is in the configuration: write sni=off behind it there, and run "
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
			return error_set(e, EOPNOTSUPP, "%s: a suffix has no addresses to resolve, and answers are read only with "
					 "[dns] inspect = on: allow the names one by one", o->argv[i]);
		r = suffix_check(&ret[i], false, e);
		if (r)
			return r;
		if (ret[i].kind == TARGET_ADDRESS && address_is_metadata(&ret[i].range.address, &c->nat64) && !c->metadata)
			return error_set(e, EINVAL, "%s: the metadata service has a key of its own: set [imds] access = allow",
					 o->argv[i]);
	}
	return 0;
}

/* Their ports say that they hardly speak TLS. */
static void warn_plain(const struct target *targets, size_t count, const struct config *c)
{
	char text[OH_TARGET_TEXT_MAX];

	for (size_t i = 0; c->inspect && i < count; i++) {
		if (target_is_named(&targets[i]) && (targets[i].port == 80 || targets[i].port == 22))
			error_warn("%s: only TLS passes there, as to all names: --sni off lifts that",
				 target_identity(&targets[i], text));
	}
}

/* A name that does not exist is a typing error, and is not recorded. One that cannot be asked for now is. */
static int refuse_unknown(const struct refresh *f, struct error *e)
{
	for (size_t i = 0; i + 1 < f->count; i += 2) {
		const char *nxdomain = answer_result_text(ANSWER_NXDOMAIN);

		if (f->queries[i].failure && f->queries[i + 1].failure && !strcmp(f->queries[i].failure, nxdomain) &&
		    !strcmp(f->queries[i + 1].failure, nxdomain))
			return error_set(e, ENOENT, "%s: %s: nothing was allowed", f->queries[i].name, nxdomain);
	}
	return 0;
}

/* A guard of the root cgroup judges our own queries too: what is about to be asked for may be, until the next publish. */
static int publish_asks(struct guard *g, const struct policy_asks *asks, struct error *e)
{
	int r = guard_lock(g, e);

	if (!r)
		r = guard_read(g, time(NULL), e);
	if (!r)
		r = policy_read_ids(&g->policy, &g->engine, e);
	if (!r) {
		g->policy.asks_now = *asks;
		r = policy_publish_names(&g->policy, &g->engine, e);
	}
	guard_unlock(g);
	return r;
}

static int publish(struct guard *g, const struct refresh *f, int64_t now, struct refresh_report *report,
		   struct error *e)
{
	int r = guard_build(g, now, e);

	if (!r)
		r = refresh_merge(f, &g->records, &g->config, now, report, e);
	return r ? r : policy_publish(&g->policy, &g->records, &g->engine, now, e);
}

/* Puts the grants in file and maps back to what they were. */
static void take_back(struct guard *g, struct grants *before, int64_t now)
{
	struct error e;

	policy_free(&g->policy);
	grants_free(&g->grants);
	g->grants = *before;
	*before = (struct grants){ 0 };
	if (guard_write_grants(g, &e) || guard_build(g, now, &e) ||
	    policy_publish(&g->policy, &g->records, &g->engine, now, &e))
		error_warn("taking it back failed too: %s", e.text);
}

/* The grants' file first: what is in force and not in the file would be taken back by the next refresh. */
static int grant_locked(struct guard *g, const struct target *targets, size_t count, uint64_t seconds,
			const struct refresh *f, struct refresh_report *report, struct error *e)
{
	int64_t now = time(NULL);
	struct grants before = { 0 };
	int r = guard_read(g, now, e);

	if (!r)
		r = grants_copy(&g->grants, &before, e);
	for (size_t i = 0; !r && i < count; i++)
		r = grants_add(&g->grants, &targets[i], seconds ? now + (int64_t)seconds : 0, e);
	if (!r)
		r = guard_build(g, now, e);	/* before anything is written: too many targets are refused here */
	if (!r)
		r = guard_write_grants(g, e);
	if (!r) {
		r = publish(g, f, now, report, e);
		if (!r)
			r = guard_write_records(g, e);
		if (r)	/* what is said to have failed must not be in force */
			take_back(g, &before, now);
	}
	grants_free(&before);
	return r;
}

/* Where no policy is in force it would not take effect: what it promises cannot be kept. */
static int check_ready(const struct guard *g, struct error *e)
{
	struct oh_control control;
	int r = engine_read_control(&g->engine, &control, e);

	return r || control.ready ? r : error_set(e, EPERM, "locked down: nothing can be allowed until `ohguard load` succeeds");
}

static int allow(const struct cmd_options *o, uint64_t seconds, bool plain, bool wide)
{
	struct target *targets = calloc((size_t)o->argc, sizeof(*targets));
	struct policy_asks asks = { targets, (size_t)o->argc };
	struct refresh_report report = { 0 };
	struct refresh f = { 0 };
	struct guard g;
	struct error e, e_back;
	int r = guard_open(&o->guard, &g, &e);

	if (r) {
		free(targets);
		return cmd_open_failed(r, &e);
	}
	r = targets ? guard_authorize(&g, &o->guard, &e) : error_set(&e, ENOMEM, "out of memory");
	if (!r)
		r = check_ready(&g, &e);
	if (!r)
		r = parse_targets(o, plain, wide, &g.config, targets, &e);
	for (int i = 0; !r && i < o->argc; i++) {
		if (targets[i].kind == TARGET_NAME)
			r = refresh_add(&f, targets[i].name, &e);
	}
	if (!r && f.count)
		r = publish_asks(&g, &asks, &e);
	if (!r)
		r = refresh_ask(&f, &g.config, &e);
	if (!r)
		r = refuse_unknown(&f, &e);
	if (r && f.count && publish_asks(&g, &(struct policy_asks){ 0 }, &e_back))
		error_warn("%s", e_back.text);
	if (!r)
		r = guard_lock(&g, &e);
	if (!r)
		r = grant_locked(&g, targets, (size_t)o->argc, seconds, &f, &report, &e);
	if (!r)
		warn_plain(targets, (size_t)o->argc, &g.config);
	refresh_free(&f);
	guard_close(&g);
	free(targets);
	if (r)
		return cmd_fail(&e);
	if (report.failed)
		error_warn("%s: allowed, and tried again until it resolves", report.first);
	return report.failed ? CMD_DEGRADED : CMD_OK;
}

int cmd_allow(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	const char *lapse = NULL, *sni = NULL;
	int wide = 0;
	uint64_t seconds = 0;
	struct poptOption options[] = {
		{ "for", 0, POPT_ARG_STRING, &lapse, 0, "Lapse by itself after 30s, 5m, 2h, 1d", "TIME" },
		{ "sni", 0, POPT_ARG_STRING, &sni, 0, "Connections need not open with TLS for an allowed name", "off" },
		{ "wide", 0, POPT_ARG_NONE, &wide, 0, "Take a suffix below which anyone can have a name", NULL },
		POPT_TABLEEND
	};
	int r = cmd_parse(argc, argv, options, "TARGET...", &common);

	if (r != CMD_GO_ON)
		return r;
	if (!common.argc)
		return cmd_usage("allow: what? NAME, *.SUFFIX, ADDRESS or ADDRESS/BITS, each with an optional :PORT");
	if (lapse && (text_parse_seconds(lapse, FOR_MAX, &seconds) || !seconds))
		return cmd_usage("--for %s: not a time like 30s, 5m, 2h or 1d, up to 365d", lapse);
	if (sni && strcmp(sni, "off"))
		return cmd_usage("--sni %s: only off is known", sni);
	return allow(&common, seconds, sni, wide);
}
