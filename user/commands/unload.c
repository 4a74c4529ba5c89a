// SPDX-License-Identifier: MIT
/* ohguard unload: detach and remove the pins. Grants stay in the state folder. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "commands/cmd.h"
#include "engine/attach.h"
#include "guard/guard.h"

static bool confirmed(const char *instance)
{
	char answer[16] = "";

	fprintf(stderr, "%s: nothing will be guarded any more. Unload it? [y/N] ", instance);
	fflush(stderr);
	return fgets(answer, sizeof(answer), stdin) && (!strcmp(answer, "y\n") || !strcmp(answer, "yes\n"));
}

static int report(const struct cmd_options *o, bool changed, const struct error *not_loaded)
{
	struct json j;

	if (!o->json && changed)
		printf("%s: unloaded: nothing is guarded any more\n", o->guard.instance);
	else if (!o->json)	/* without the advice to load it */
		printf("%s: nothing to unload: %.*s\n", o->guard.instance, (int)strcspn(not_loaded->text, ":"),
		       not_loaded->text);
	if (!o->json)
		return CMD_OK;
	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", o->guard.instance);
	json_bool(&j, "changed", changed);
	json_object_end(&j);
	json_end(&j);
	return CMD_OK;
}

static int unload(const struct cmd_options *o, bool yes)
{
	struct guard g;
	struct error e;
	int r = guard_open(&o->guard, &g, &e);

	if (r == -EPROTO)	/* another version loaded it: its links can still be removed */
		r = guard_open_for_load(&o->guard, &g, &e);
	if (r == -ENOENT)
		return report(o, false, &e);
	if (r)
		return cmd_open_failed(r, &e);
	r = guard_authorize(&g, &o->guard, &e);
	if (r) {
		guard_close(&g);
		return cmd_fail(&e);
	}
	if (!yes && !isatty(STDIN_FILENO)) {
		guard_close(&g);
		return cmd_usage("unload stops all enforcement: give --yes to confirm");
	}
	if (!yes && !confirmed(o->guard.instance)) {
		guard_close(&g);
		error_warn("not unloaded");
		return CMD_FAILED;
	}
	if (g.lock < 0)
		r = guard_lock(&g, &e);
	if (!r && g.locked)
		r = lock_release(g.pins, &e);
	if (!r)
		r = engine_detach(g.pins, &e);
	if (!r)
		guard_forget(&g);
	guard_close(&g);
	return r ? cmd_fail(&e) : report(o, true, NULL);
}

int cmd_unload(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	int yes = 0, r;
	struct poptOption options[] = {
		{ "yes", 0, POPT_ARG_NONE, &yes, 0, "Do not ask", NULL },
		POPT_TABLEEND
	};

	r = cmd_parse(argc, argv, options, NULL, &common);
	return r == CMD_GO_ON ? unload(&common, yes) : r;
}
