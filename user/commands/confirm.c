// SPDX-License-Identifier: MIT
/* ohguard confirm: keeps what `load --confirm` put in force. */
#include <stdio.h>

#include "base/json.h"
#include "commands/cmd.h"
#include "guard/back.h"

static int confirm(const struct cmd_options *o, bool *ret_changed, struct error *e)
{
	struct back b;
	struct guard g;
	int r = guard_open_to_change(&o->guard, &g, e);

	if (r)
		return r;
	r = guard_lock(&g, e);
	if (!r) {
		*ret_changed = !back_read(&g, &b, e);
		if (*ret_changed)
			r = back_forget(&g, e);
	}
	guard_close(&g);
	return r;
}

int cmd_confirm(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	bool changed = false;
	struct error e;
	struct json j;
	int r = cmd_parse(argc, argv, NULL, NULL, &common);

	if (r != CMD_GO_ON)
		return r;
	r = confirm(&common, &changed, &e);
	if (r)
		return cmd_open_failed(r, &e);
	if (!common.json) {
		printf("%s: %s\n", common.guard.instance, changed ? "confirmed: what is in force stays" :
		       "nothing waits to be confirmed");
		return CMD_OK;
	}
	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", common.guard.instance);
	json_bool(&j, "changed", changed);
	json_object_end(&j);
	json_end(&j);
	return CMD_OK;
}
