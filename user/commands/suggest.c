// SPDX-License-Identifier: MIT
/* ohguard suggest: the smallest list that would have let pass what was observed, or refused. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/reason.h"
#include "commands/cmd.h"
#include "engine/answerer.h"
#include "guard/change.h"
#include "guard/refresh.h"
#include "history/buffer.h"
#include "history/reader.h"
#include "history/wanted.h"
#include "policy/suffix.h"

struct suggest {
	struct cmd_options common;
	const char *since, **suffixes;
	int apply, refused;
	struct history_filter filter;
	struct wanted wanted;
	struct error e;			/* of the visit */
};

static int take(void *context, const struct history_record *record)
{
	struct suggest *o = context;

	/* what was refused is the guard at work, and asked for on purpose */
	return record->observed || o->refused ? wanted_add(&o->wanted, record, &o->e) : 0;
}

static int find_wanted(struct suggest *o, struct guard *g, struct error *e)
{
	int r = history_read_all(g->history, &g->engine, &o->filter, take, o, e);

	if (r == -ENOMEM)
		*e = o->e;
	if (!r)
		r = guard_look(g, time(NULL), e);
	return r ? r : wanted_finish(&o->wanted, &g->policy, o->suffixes, e);
}

static void json_items(struct json *j, const char *key, const struct wanted *w, enum wanted_kind kind)
{
	char text[OH_TARGET_TEXT_MAX];

	json_array(j, key);
	for (size_t i = 0; i < w->count; i++) {
		const struct wanted_item *item = &w->list[i];

		if (item->kind != kind)
			continue;
		json_object(j, NULL);
		json_string(j, kind == WANTED_NAME ? "name" : "target", target_format(&item->target, text));
		if (kind != WANTED_NAME)
			json_number(j, "port", item->target.port);
		if (kind == WANTED_TARGET)
			json_string(j, "sni", item->target.plain ? "off" : "on");
		if (kind == WANTED_OTHER)
			json_string(j, "reason", reason_name(item->reason));
		json_number(j, "count", (int64_t)item->count);
		json_object_end(j);
	}
	json_array_end(j);
}

static void print(const struct suggest *o, bool changed)
{
	struct json j;

	if (!o->common.json) {
		if (changed)
			puts("; [allow] is in force from now on, and after a reboot");
		wanted_print(stdout, &o->wanted);
		if (!o->wanted.count)
			puts("; nothing was observed that is not allowed");
		return;
	}
	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", o->common.guard.instance);
	json_bool(&j, "changed", changed);
	json_items(&j, "targets", &o->wanted, WANTED_TARGET);
	json_items(&j, "names", &o->wanted, WANTED_NAME);
	json_items(&j, "other", &o->wanted, WANTED_OTHER);
	json_object_end(&j);
	json_end(&j);
}

/* What --apply adds. */
struct apply {
	struct target *targets;
	size_t count;
};

static int add_grants(struct guard *g, int64_t now, void *context, struct error *e)
{
	const struct apply *a = context;
	int r = 0;

	(void)now;
	for (size_t i = 0; !r && i < a->count; i++)
		r = grants_add(&g->grants, &a->targets[i], 0, e);
	return r;
}

/* As `allow` does, all or nothing. */
static int apply(const struct wanted *w, struct guard *g, bool *ret_changed, struct error *e)
{
	struct apply a = { .targets = calloc(w->count + 1, sizeof(*a.targets)) };
	struct refresh_report report = { 0 };
	int r = a.targets ? 0 : error_set(e, ENOMEM, "out of memory");

	for (size_t i = 0; !r && i < w->count; i++) {
		if (w->list[i].kind != WANTED_TARGET)
			continue;
		a.targets[a.count] = w->list[i].target;
		r = suffix_check(&a.targets[a.count++], false, e);
	}
	if (!r && a.count)
		r = refresh_allow(g, a.targets, a.count, add_grants, &a, &report, e);
	*ret_changed = !r && a.count;
	refresh_warn(&report);
	free(a.targets);
	return r;
}

static int suggest(struct suggest *o)
{
	bool changed = false;
	struct guard g;
	struct error e;
	int r = o->apply ? guard_open_to_change(&o->common.guard, &g, &e) : guard_open(&o->common.guard, &g, &e);

	if (r)
		return cmd_open_failed(r, &e);
	r = find_wanted(o, &g, &e);
	if (!r && o->apply)
		r = apply(&o->wanted, &g, &changed, &e);
	guard_close(&g);
	if (!r)
		print(o, changed);
	wanted_free(&o->wanted);
	return r ? cmd_fail(&e) : CMD_OK;
}

int cmd_suggest(int argc, char **argv)
{
	struct suggest o = { 0 };
	struct error e;
	struct poptOption options[] = {
		{ "apply", 0, POPT_ARG_NONE, &o.apply, 0, "Allow it, as `ohguard allow` does", NULL },
		{ "since", 0, POPT_ARG_STRING, &o.since, 0, "From this time on: 2h (ago), 14:30, 2026-11-28", "TIME" },
		{ "suffix", 0, POPT_ARG_ARGV, &o.suffixes, 0,
		  "Put *.SUFFIX in place of the names below it; may be repeated", "SUFFIX" },
		{ "refused", 0, POPT_ARG_NONE, &o.refused, 0, "Count what was refused as well", NULL },
		POPT_TABLEEND
	};
	int r = cmd_parse(argc, argv, options, NULL, &o.common);

	if (r != CMD_GO_ON)
		return r;
	if (o.since && history_parse_time(o.since, time(NULL), &o.filter.since, &e))
		return cmd_usage("--since: %s", e.text);
	return suggest(&o);
}
