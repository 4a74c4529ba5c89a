// SPDX-License-Identifier: MIT
/* ohguard allow: what it allows is in force before it returns, and again after a reboot. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "engine/questions.h"
#include "guard/change.h"
#include "guard/refresh.h"
#include "history/advice.h"
#include "policy/config_file.h"
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

/* What listens on these ports hardly speaks TLS, and would be refused after its first bytes. */
static int check_tls(const struct target *t, const char *text, const struct config *c, struct error *e)
{
	if (!c->inspect || !target_is_named(t) || !advice_is_plain(t->port))
		return 0;
	return error_set(e, EINVAL, "%s: only TLS passes to a name, and port %u hardly speaks it: give --sni off, or "
			 "--tls if it does", text, t->port);
}

struct allow_options {
	struct cmd_options common;
	uint64_t seconds;	/* 0: for good */
	bool plain;
	int wide, tls, replace;
};

static int parse_targets(const struct allow_options *options, const struct config *c, struct target *ret,
			 struct error *e)
{
	const struct cmd_options *o = &options->common;

	for (int i = 0; i < o->argc; i++) {
		int r = target_parse(o->argv[i], &ret[i], e);
		const char *why;

		if (!r && options->plain)
			r = target_set_plain(&ret[i], o->argv[i], e);
		if (!r && options->plain)
			r = check_plain(o->argv[i], &ret[i], c, e);
		if (!r && !options->tls)
			r = check_tls(&ret[i], o->argv[i], c, e);
		if (!r && options->wide)
			r = target_set_wide(&ret[i], o->argv[i], e);
		if (r)
			return r;
		if (ret[i].kind == TARGET_SUFFIX && !c->inspect)
			return error_set(e, EOPNOTSUPP, "%s: a suffix cannot be resolved, and answers are read only "
					 "with [dns] inspect = on: allow the names one by one", o->argv[i]);
		r = suffix_check(&ret[i], false, e);
		if (r)
			return r;
		why = config_bars(c, &ret[i]);
		if (why)
			return error_set(e, EINVAL, "%s: %s", o->argv[i], why);
	}
	return 0;
}

/* What came of one target. */
enum outcome { ADDED, CHANGED, SAME, CONFIGURED };

/* What is to be allowed, and what DNS says of it. */
struct allow {
	const struct allow_options *options;
	struct target *targets;
	enum outcome *outcomes;
	size_t count;
	struct refresh_report report;
};

/* A grant that lasts is not cut short by the way. */
static int check_time(const struct grant *old, const char *text, int64_t lapses, int64_t now, struct error *e)
{
	char left[24], time[24];

	if (!lapses || (old->lapses && old->lapses <= lapses))
		return 0;
	text_seconds((uint64_t)(lapses - now), time, sizeof(time));
	if (!old->lapses)
		return error_set(e, EEXIST, "%s: is allowed for good: --replace cuts that to %s", text, time);
	text_seconds((uint64_t)(old->lapses - now), left, sizeof(left));
	return error_set(e, EEXIST, "%s: is allowed for %s more: --replace cuts that to %s", text, left, time);
}

static int add_grant(struct guard *g, struct allow *a, size_t i, int64_t now, struct error *e)
{
	int64_t lapses = a->options->seconds ? now + (int64_t)a->options->seconds : 0;
	const struct target *t = &a->targets[i];
	const struct grant *old = grants_find(&g->grants, t);
	const struct policy_target *held = policy_find(&g->policy, t);
	int r = 0;

	a->outcomes[i] = ADDED;
	if (held && held->source == POLICY_CONFIG)
		a->outcomes[i] = CONFIGURED;
	if (old && old->lapses && old->lapses <= now)	/* what lapsed is no more */
		old = NULL;
	if (!old)
		return a->outcomes[i] == CONFIGURED ? 0 : grants_add(&g->grants, t, lapses, e);
	if (!a->options->replace)
		r = check_time(old, a->options->common.argv[i], lapses, now, e);
	if (a->outcomes[i] != CONFIGURED)
		a->outcomes[i] = old->lapses == lapses && old->target.plain == t->plain &&
				 old->target.wide == t->wide ? SAME : CHANGED;
	return r ? r : grants_add(&g->grants, t, lapses, e);
}

static int add_grants(struct guard *g, int64_t now, void *context, struct error *e)
{
	struct allow *a = context;
	int r = 0;

	for (size_t i = 0; !r && i < a->count; i++)
		r = add_grant(g, a, i, now, e);
	return r;
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

/* "for 2h", "for good" */
static const char *how_long(const struct policy_target *t, int64_t now, char buffer[32])
{
	char span[24];

	if (!t->lapses)
		return "for good";
	snprintf(buffer, 32, "for %s", text_seconds((uint64_t)(t->lapses > now ? t->lapses - now : 0), span,
						    sizeof(span)));
	return buffer;
}

/* The addresses of a name, both families. */
static const struct record *record_of(const struct guard *g, const struct target *t, int family)
{
	return t->kind == TARGET_NAME ? records_find(&g->records, t->name, family) : NULL;
}

static void report_text(const struct guard *g, const struct allow *a, int64_t now)
{
	static const char *const verbs[] = { "allowed", "allowed from now on", "already allowed",
					     "allowed by the configuration already," };

	for (size_t i = 0; i < a->count; i++) {
		const struct policy_target *held = policy_find(&g->policy, &a->targets[i]);
		char text[OH_TARGET_TEXT_MAX], span[32], address[ADDRESS_TEXT_MAX];
		size_t count = 0;

		if (!held)
			continue;
		printf("%s%s %s %s", target_identity(held->target, text), target_options(held->target),
		       verbs[a->outcomes[i]], how_long(held, now, span));
		for (int family = 4; family <= 6; family += 2) {
			const struct record *r = record_of(g, held->target, family);

			if (r && r->count && !count)
				printf(": %s", address_format(&r->addresses[0].address, address));
			count += r ? r->count : 0;
		}
		if (count > 1)
			printf(" and %zu more", count - 1);
		putchar('\n');
	}
}

static void report_json(const struct guard *g, const struct allow *a)
{
	char text[OH_TARGET_TEXT_MAX], time[TEXT_TIME_MAX], address[ADDRESS_TEXT_MAX];
	bool changed = false;
	struct json j;

	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", a->options->common.guard.instance);
	json_array(&j, "targets");
	for (size_t i = 0; i < a->count; i++) {
		const struct policy_target *held = policy_find(&g->policy, &a->targets[i]);
		bool mine = a->outcomes[i] == ADDED || a->outcomes[i] == CHANGED;

		changed |= mine;
		json_object(&j, NULL);
		json_string(&j, "target", target_format(&a->targets[i], text));
		json_number(&j, "port", a->targets[i].port);
		json_bool(&j, "changed", mine);
		json_string(&j, "lapses", held && held->lapses ? text_time(held->lapses, time) : NULL);
		json_array(&j, "addresses");
		for (int family = 4; family <= 6; family += 2) {
			const struct record *r = record_of(g, &a->targets[i], family);

			for (size_t k = 0; r && k < r->count; k++)
				json_string(&j, NULL, address_format(&r->addresses[k].address, address));
		}
		json_array_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_bool(&j, "changed", changed);
	json_object_end(&j);
	json_end(&j);
}

static int allow(const struct allow_options *o)
{
	size_t count = (size_t)o->common.argc;
	struct allow a = { .options = o, .targets = calloc(count, sizeof(*a.targets)),
			   .outcomes = calloc(count, sizeof(*a.outcomes)), .count = count };
	struct error e, e_questions;
	struct guard g;
	int r = guard_open_to_change(&o->common.guard, &g, &e);

	if (r) {
		free(a.targets);
		free(a.outcomes);
		return cmd_open_failed(r, &e);
	}
	r = a.targets && a.outcomes ? check_ready(&g, &e) : error_set(&e, ENOMEM, "out of memory");
	if (!r)
		r = parse_targets(o, &g.config, a.targets, &e);
	if (!r)
		r = refresh_allow(&g, a.targets, a.count, add_grants, &a, &a.report, &e);
	if (!r && o->common.json)
		report_json(&g, &a);
	else if (!r)
		report_text(&g, &a, time(NULL));
	if (!r && questions_settle(&g.engine, a.targets, a.count, &e_questions))
		error_warn("it still counts as a question: %s", e_questions.text);
	guard_close(&g);
	free(a.targets);
	free(a.outcomes);
	if (r)
		return cmd_fail(&e);
	if (a.report.failed)
		error_warn("%s: allowed, and tried again until it resolves", a.report.first);
	return a.report.failed ? CMD_DEGRADED : CMD_OK;
}

int cmd_allow(int argc, char **argv)
{
	struct allow_options o = { 0 };
	const char *lapse = NULL, *sni = NULL;
	struct poptOption options[] = {
		{ "for", 0, POPT_ARG_STRING, &lapse, 0, "Lapse by itself after 30s, 5m, 2h, 1d", "TIME" },
		{ "replace", 0, POPT_ARG_NONE, &o.replace, 0, "With --for: even if it is allowed for longer now",
		  NULL },
		{ "sni", 0, POPT_ARG_STRING, &sni, 0, "Connections need not begin with TLS for an allowed name",
		  "off" },
		{ "tls", 0, POPT_ARG_NONE, &o.tls, 0, "The name speaks TLS on port 80 or 22", NULL },
		{ "wide", 0, POPT_ARG_NONE, &o.wide, 0, "Accept a suffix below which anyone can have a name", NULL },
		POPT_TABLEEND
	};
	int r = cmd_parse(argc, argv, options, "TARGET...", &o.common);

	if (r != CMD_GO_ON)
		return r;
	if (!o.common.argc)
		return cmd_usage("allow: nothing to allow: give NAME, *.SUFFIX, ADDRESS or ADDRESS/BITS, each with an "
				 "optional :PORT");
	if (lapse && (text_parse_seconds(lapse, FOR_MAX, &o.seconds) || !o.seconds))
		return cmd_usage("--for %s: expected a time like 30s, 5m, 2h or 1d, at most 365d", lapse);
	if (sni && strcmp(sni, "off"))
		return cmd_usage("--sni %s: expected off", sni);
	o.plain = sni;
	return allow(&o);
}
