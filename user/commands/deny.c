// SPDX-License-Identifier: MIT
/* ohguard deny: answers a question of `load --ask` with no. `allow` is the other answer. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "engine/questions.h"

#define FOR_MAX 86400

/* Each target must be about a question: all are checked before the first is answered. */
static int find(const struct cmd_options *o, const struct questions *questions, struct target *ret, struct error *e)
{
	for (int i = 0; i < o->argc; i++) {
		bool found = false;
		int r = target_parse(o->argv[i], &ret[i], e);

		if (r)
			return r;
		for (size_t k = 0; !found && k < questions->count; k++)
			found = question_is_about(&questions->list[k], &ret[i]);
		if (!found)
			return error_set(e, ENOENT, "%s: nothing waits for it, see `ohguard asks`: what is not "
					 "allowed is refused anyway, and `ohguard revoke` takes back what is",
					 o->argv[i]);
	}
	return 0;
}

static int deny_all(const struct guard *g, const struct cmd_options *o, uint64_t seconds, bool *ret_changed,
		    struct error *e)
{
	struct target *targets = calloc((size_t)o->argc, sizeof(*targets));
	struct questions questions;
	int r = questions_read(&g->engine, &questions, e);

	if (!r)
		r = targets ? find(o, &questions, targets, e) : error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; !r && i < questions.count; i++) {
		for (int k = 0; !r && k < o->argc; k++) {
			bool changed = false;

			if (question_is_about(&questions.list[i], &targets[k]))
				r = question_deny(&g->engine, &questions.list[i], seconds, &changed, e);
			*ret_changed |= changed;
		}
	}
	questions_free(&questions);
	free(targets);
	return r;
}

static void report(const struct cmd_options *o, uint64_t seconds, bool changed)
{
	char text[32];
	struct json j;

	if (!o->json) {
		for (int i = 0; i < o->argc; i++) {
			text_print(stdout, o->argv[i]);
			printf(": denied, and not asked again for %s\n", text_seconds(seconds, text, sizeof(text)));
		}
		return;
	}
	json_start(&j, stdout);
	json_object(&j, NULL);
	json_array(&j, "denied");
	for (int i = 0; i < o->argc; i++)
		json_string(&j, NULL, o->argv[i]);
	json_array_end(&j);
	json_number(&j, "seconds", (int64_t)seconds);
	json_bool(&j, "changed", changed);
	json_object_end(&j);
	json_end(&j);
}

int cmd_deny(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	uint64_t seconds = OH_ASK_KEPT;
	const char *lapse = NULL;
	bool changed = false;
	struct guard g;
	struct error e;
	struct poptOption options[] = {
		{ "for", 0, POPT_ARG_STRING, &lapse, 0, "Ask again after 30s, 5m, 2h (default 10m, at most 1d)",
		  "TIME" },
		POPT_TABLEEND
	};
	int r = cmd_parse(argc, argv, options, "TARGET...", &common);

	if (r != CMD_GO_ON)
		return r;
	if (!common.argc)
		return cmd_usage("deny: nothing to deny: give a target as `ohguard asks` shows it");
	if (lapse && (text_parse_seconds(lapse, FOR_MAX, &seconds) || !seconds))
		return cmd_usage("--for %s: expected a time like 30s, 5m or 2h, at most 1d", lapse);
	r = guard_open_to_change(&common.guard, &g, &e);
	if (r)
		return cmd_open_failed(r, &e);
	r = g.engine.settings.ask ? deny_all(&g, &common, seconds, &changed, &e) :
	    error_set(&e, EPERM, "nothing waits: what is not allowed is refused at once, unless it is loaded with "
		      "`ohguard load --ask 60s`");
	guard_close(&g);
	if (r)
		return cmd_fail(&e);
	report(&common, seconds, changed);
	return CMD_OK;
}
