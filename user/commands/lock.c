// SPDX-License-Identifier: MIT
/* ohguard lock, unlock: BPF LSM keeps the guard's links, maps, pins, files and binary from all but its own
 * processes. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands/cmd.h"
#include "guard/guard.h"
#include "base/json.h"
#include "lock/key.h"
#include "lock/place.h"

static void report(const struct cmd_options *o, bool locked, bool changed, const char *key)
{
	struct json j;

	if (!o->json) {
		if (locked)
			printf("%s: locked; the key is %s\n", o->guard.instance, key);
		else
			printf("%s: not locked\n", o->guard.instance);
		return;
	}
	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", o->guard.instance);
	json_bool(&j, "locked", locked);
	json_string(&j, "key", locked ? key : NULL);
	json_bool(&j, "changed", changed);
	json_object_end(&j);
	json_end(&j);
}

/* A locked key is read by trusted processes only. So a copy is made now, or the lock is given up. */
static int copy_key(const struct guard *g, const char *key, const char *copy, struct error *e)
{
	struct error e_release;
	int r = lock_key_copy(key, copy, e);

	if (r && lock_release(g->pins, &e_release))
		error_warn("%s", e_release.text);
	return r ? error_prefix(e, -r, "not locked: the key's copy") : 0;
}

static int lock(const struct cmd_options *o, const char *copy)
{
	const char *key = o->guard.key ? o->guard.key : LOCK_KEY_FILE;
	struct guard g;
	struct error e;
	bool locked;
	int r;

	place_enter();	/* a lock that is taken inside a unit's own mounts would let in nobody else */
	r = guard_open(&o->guard, &g, &e);
	if (r)
		return cmd_open_failed(r, &e);
	r = guard_lock(&g, &e);
	if (!r && g.locked && copy)
		r = error_set(&e, EBUSY, "--copy-key: already locked: `ohguard unlock` first");
	else if (!r && g.locked)
		r = guard_authorize(&g, &o->guard, &e);
	else if (!r)
		r = lock_check_system(&e);
	if (!r && !g.locked && !copy && access(key, F_OK))
		error_warn("once locked, no other program can copy the key %s: --copy-key FILE makes a copy", key);
	if (!r && !g.locked)
		r = guard_subject(&g, &o->guard, lock_take, &e);
	if (!r && !g.locked && copy)
		r = copy_key(&g, key, copy, &e);
	if (!r && !g.config.resolver_set)
		error_warn("[dns] resolver = auto: whoever can write resolv.conf chooses the resolver: name it in "
			   "the configuration");
	locked = g.locked;
	guard_close(&g);
	if (r)
		return cmd_fail(&e);
	report(o, true, !locked, key);
	return CMD_OK;
}

static int unlock(const struct cmd_options *o)
{
	struct guard g;
	struct error e;
	bool locked;
	int r = guard_open(&o->guard, &g, &e);

	if (r)
		return cmd_open_failed(r, &e);
	r = guard_lock(&g, &e);
	if (!r)
		r = guard_authorize(&g, &o->guard, &e);
	if (!r && g.locked)
		r = lock_release(g.pins, &e);
	locked = g.locked;
	guard_close(&g);
	if (r)
		return cmd_fail(&e);
	report(o, false, locked, NULL);
	return CMD_OK;
}

int cmd_lock(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	const char *copy = NULL;
	struct poptOption options[] = {
		{ "copy-key", 0, POPT_ARG_STRING, &copy, 0,
		  "Also write the key to this file; once locked, no other program can", "FILE" },
		POPT_TABLEEND
	};
	int r = cmd_parse(argc, argv, options, NULL, &common);

	return r == CMD_GO_ON ? lock(&common, copy) : r;
}

int cmd_unlock(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	int r = cmd_parse(argc, argv, NULL, NULL, &common);

	return r == CMD_GO_ON ? unlock(&common) : r;
}
