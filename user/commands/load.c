// SPDX-License-Identifier: MIT
/* ohguard load: attach and enforce, or replace programs and policy with no moment open. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "commands/cmd.h"
#include "engine/attach.h"
#include "engine/hooks.h"
#include "engine/packet.h"
#include "engine/publish.h"
#include "engine/uplink_hooks.h"
#include "guard/caches.h"
#include "guard/change.h"
#include "guard/refresh.h"
#include "guard/ways_out.h"
#include "policy/keys.h"

#define CGROUP2_MAGIC 0x63677270	/* linux/magic.h */

struct load {
	struct cmd_options common;
	const char *cgroup, **uplinks;
	int observe, dry_run, no_resolve, fail_closed;
	/* found on the way */
	char where[PATH_MAX];		/* the cgroup */
	struct uplinks found;
	struct engine_program_set *set;
	struct error full;		/* a map is full: what fits is in force; "" for none */
};

/* --cgroup, else the configuration's, else the one that is guarded now, else the root. */
static int find_cgroup(struct load *o, const struct guard *g, struct error *e)
{
	struct engine_hook hooks[OH_HOOK_MAX];
	char mount[PATH_MAX];
	struct statfs fs;

	if (file_find_mount("cgroup2", mount, e))
		return error_set(e, ENOENT, "no cgroup2 is mounted: mount -t cgroup2 none /sys/fs/cgroup (or boot with "
				 "systemd.unified_cgroup_hierarchy=1)");
	engine_read_hooks(g->pins, hooks);
	if (!o->cgroup && !*g->config.cgroup && g->engine.open && !*hooks[OH_HOOK_EGRESS].where)
		return error_set(e, ENOENT, "the guarded cgroup is gone or cannot be seen from here: name one with "
				 "--cgroup");
	snprintf(o->where, sizeof(o->where), "%s", o->cgroup ? o->cgroup : *g->config.cgroup ? g->config.cgroup :
		 *hooks[OH_HOOK_EGRESS].where ? hooks[OH_HOOK_EGRESS].where : mount);
	if (statfs(o->where, &fs))
		return error_set(e, errno, "cgroup %s: %s", o->where, strerror(errno));
	if ((unsigned long)fs.f_type != CGROUP2_MAGIC)
		return error_set(e, EINVAL, "%s: not a cgroup2 folder: name one below %s", o->where, mount);
	return 0;
}

static bool is_whole_machine(const char *cgroup)
{
	struct error ignored;
	uint32_t level;
	uint64_t id;

	return !packet_find_cgroup(cgroup, &id, &level, &ignored) && !level;
}

/* If the whole machine is guarded, so are its uplinks. */
static void choose_uplinks(struct config *c, const char *cgroup)
{
	if (is_whole_machine(cgroup))
		snprintf(c->uplinks[c->uplink_count++], OH_INTERFACE_MAX, UPLINK_AUTO);
}

/* --uplink, else the configuration's, else those that are guarded now, else as above. */
static int find_uplinks(struct load *o, struct guard *g, struct error *e)
{
	const struct oh_settings *settings = &g->engine.settings;
	int r = 0;

	if (o->uplinks) {
		r = config_set_uplinks(&g->config, o->uplinks, e);
	} else if (!g->config.uplink_set && g->engine.open) {
		memcpy(g->config.uplinks, settings->uplink, sizeof(settings->uplink));
		while (g->config.uplink_count < OH_UPLINKS_MAX && *g->config.uplinks[g->config.uplink_count])
			g->config.uplink_count++;
	} else if (!g->config.uplink_set) {
		choose_uplinks(&g->config, o->where);
	}
	/* Only then are both ends guarded of what stays on the machine. */
	if (!g->config.local_set)
		g->config.local_auto = is_whole_machine(o->where);
	return r ? r : uplink_find(g->config.uplinks, &o->found, e);
}

static void flush_caches(void)
{
	struct error e;

	if (caches_flush(&e))
		error_warn("systemd-resolved's cache is not flushed: %s: what is in it may be refused until it expires",
			   e.text);
}

static bool is_attached(const char *pins)
{
	struct engine_hook hooks[OH_HOOK_MAX];

	engine_read_hooks(pins, hooks);
	return hooks[OH_HOOK_EGRESS].attached;
}

static int set_ready(const struct guard *g, struct error *e)
{
	struct oh_control control;
	int r = engine_read_control(&g->engine, &control, e);

	if (r)
		return r;
	if (!control.since)
		control.since = (__u32)clock_boot();
	if (!control.seed && getrandom(&control.seed, sizeof(control.seed), GRND_NONBLOCK) < 0)
		control.seed = (__u32)clock_boot_ns();
	control.ready = 1;
	return engine_write_control(&g->engine, &control, e);
}

/* The last good answers count again until the names are tried: a boot without DNS goes on with them. */
static int extend_records(struct guard *g, int64_t now, void *context, struct error *e)
{
	(void)context, (void)e;
	for (size_t i = 0; i < g->records.count; i++)
		record_extend(&g->records.list[i], now, &g->config);
	return 0;
}

static int attach(const struct load *o, const struct guard *g, struct error *e)
{
	int r = engine_attach(o->set, g->pins, o->where, e);

	return r ? r : engine_attach_uplinks(o->set, g->pins, &o->found, e);
}

/* The first load attaches with empty maps: everything is refused until the policy is in them. A later load fills them
 * first: nothing allowed is refused meanwhile. A full map is no failure, since what fits is in force: o->full tells it.
 * The kernel uses the same errno for a program that is too complex and for a cgroup with too many programs, and then
 * nothing is in force. */
static int enforce(struct load *o, struct guard *g, int64_t now, struct error *e)
{
	bool attached = is_attached(g->pins);
	int r;

	r = attached ? 0 : attach(o, g, e);
	if (r)
		return r;
	r = publish_policy(&g->policy, &g->records, &g->engine, now, e);
	if (r == -E2BIG)
		o->full = *e;
	else if (r)
		return r;
	r = set_ready(g, e);
	return !r && attached ? attach(o, g, e) : r;
}

/* Without BPF LSM they are not, and `status` says so. */
static void refuse_packet_sockets(const struct load *o, const struct guard *g)
{
	struct error e;
	int r = packet_load(g->pins, &g->engine, o->where, o->observe, &e);

	if (r && r != -EOPNOTSUPP)
		error_warn("packet sockets are not refused: %s", e.text);
}

static int put_in_force(struct guard *g, int64_t now, void *context, struct error *e)
{
	char former[PATH_MAX + 64];
	struct load *o = context;
	int r = enforce(o, g, now, e);

	if (r)
		return r;
	engine_free_set(o->set);	/* for its memory */
	o->set = NULL;
	refuse_packet_sockets(o, g);
	flush_caches();
	guard_former_pins(g, o->common.guard.instance, former);
	r = guard_remember_config(g, o->common.guard.config, e);
	if (!r && *former)	/* [paths] pins has changed: the new guard stands, and the old one goes */
		r = engine_detach(former, e);
	return r;
}

static int load_links(struct guard *g, void *context, struct error *e)
{
	struct load *o = context;
	struct change change = { .learn = extend_records, .put_in_force = put_in_force, .context = o };
	struct engine engine;
	int r = find_uplinks(o, g, e);

	/* before the records are read, so that not both are in memory at their largest */
	if (!r)
		r = engine_prepare(&g->config, o->observe, g->engine.open ? &g->engine : NULL, &o->set, &engine, e);
	if (r)
		return r;
	engine_close(&g->engine);
	g->engine = engine;
	r = o->dry_run ? guard_read(g, time(NULL), e) : change_policy(g, &change, e);
	engine_free_set(o->set);
	return r;
}

/* Counts all names that fail: those that failed before and are not due yet were not asked for now. */
static void count_failing(const struct records *records, struct refresh_report *names)
{
	names->failed = 0;
	for (size_t i = 0; i < records->count; i++) {
		const struct record *r = &records->list[i];

		if (!r->failures)
			continue;
		if (!names->failed++)
			snprintf(names->first, sizeof(names->first), "%.100s: %s", r->name, r->why);
	}
}

static void report(const struct load *o, const struct guard *g, const struct refresh_report *names)
{
	struct json j;

	if (!o->common.json) {
		printf("%s: %s %s, %zu targets%s\n", o->common.guard.instance, o->dry_run ? "would guard" :
		       o->observe ? "observing" : "guarding", o->where, g->policy.count,
		       o->dry_run ? " (programs verified, nothing attached)" : "");
		return;
	}
	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", o->common.guard.instance);
	json_string(&j, "cgroup", o->where);
	json_string(&j, "mode", o->observe ? "observe" : "enforce");
	json_bool(&j, "dry_run", o->dry_run);
	json_number(&j, "targets", (int64_t)g->policy.count);
	json_number(&j, "asked", (int64_t)names->asked);
	json_number(&j, "failed", (int64_t)names->failed);
	json_object_end(&j);
	json_end(&j);
}

/* True where one is missing that was named, or cannot be guarded. That there is no way out yet is usual at boot. */
static bool warn_missing(const struct uplinks *uplinks)
{
	bool missing = uplinks->other_count;

	if (missing)
		error_warn("frames can leave by %s, which is not Ethernet and cannot be guarded: where it is the only "
			   "way out, set [guard] uplink = none", uplinks->other[0]);
	for (int i = 0; i < OH_UPLINKS_MAX && *uplinks->missing[i]; i++) {
		if (!strcmp(uplinks->missing[i], UPLINK_AUTO))
			continue;
		error_warn("uplink %s: there is no such interface yet: `ohguard refresh` guards it when it appears",
			   uplinks->missing[i]);
		missing = true;
	}
	return missing;
}

static bool warn_resolver(const struct load *o, const struct guard *g)
{
	struct remarks found = { 0 };

	ways_out_resolver(&g->engine.settings, o->where, &found);
	for (size_t i = 0; i < found.count; i++)
		error_warn("%s", found.list[i]);
	return found.count;
}

/* The configuration cannot be used and nothing is enforced: refuse everything rather than nothing. */
static int load_closed(struct load *o)
{
	struct engine engine;
	struct guard g;
	struct error e;
	int r = guard_open_closed(&o->common.guard, &g, &e);

	if (r)
		return cmd_fail(&e);
	if (is_attached(g.pins)) {
		guard_close(&g);
		return CMD_FAILED;
	}
	r = find_cgroup(o, &g, &e);
	if (!r)
		r = find_uplinks(o, &g, &e);
	if (!r)
		r = engine_prepare(&g.config, false, NULL, &o->set, &engine, &e);
	if (!r) {
		r = attach(o, &g, &e);
		if (!r)
			r = guard_remember_defaults(&g, &e);
		engine_free_set(o->set);
		engine_close(&engine);
	}
	guard_close(&g);
	if (r)
		return cmd_fail(&e);
	error_warn("%s is locked down: only loopback and the default inbound rules pass until `ohguard load` succeeds",
		   o->where);
	return CMD_DEGRADED;
}

static int load(struct load *o)
{
	struct refresh_report names = { 0 };
	struct error e, unkept = { "" };
	struct guard g;
	bool missing;
	int r = guard_open_for_load(&o->common.guard, &g, &e);

	if (r) {
		cmd_fail(&e);
		return o->fail_closed ? load_closed(o) : CMD_FAILED;
	}
	r = find_cgroup(o, &g, &e);
	if (!r)
		r = o->dry_run ? load_links(&g, o, &e) :
		    change_links(&g, &o->common.guard, load_links, o, &unkept, &e);
	if (*unkept.text)
		error_warn("the new links are in force but not locked: %s: run `ohguard load` again", unkept.text);
	guard_unlock(&g);
	if (r) {
		guard_close(&g);
		cmd_fail(&e);
		return o->fail_closed ? load_closed(o) : CMD_FAILED;
	}
	if (!*o->full.text && !o->dry_run && !o->no_resolve)
		r = refresh_round(&g, &names, &e);
	if (!o->dry_run && !o->no_resolve)
		count_failing(&g.records, &names);
	if (access("/sys/kernel/btf/vmlinux", F_OK))
		error_warn("this kernel has no BTF (/sys/kernel/btf/vmlinux): everything is enforced without it, but "
			   "`lock` cannot work");
	missing = warn_missing(&o->found);
	missing |= warn_resolver(o, &g);
	refresh_warn(&names);
	report(o, &g, &names);
	guard_close(&g);
	if (r || *o->full.text)
		cmd_fail(r ? &e : &o->full);
	return r || *o->full.text || names.failed || missing ? CMD_DEGRADED : CMD_OK;
}

int cmd_load(int argc, char **argv)
{
	static struct config values;	/* only to check them */
	struct load o = { 0 };
	struct error e;
	struct poptOption options[] = {
		{ "cgroup", 0, POPT_ARG_STRING, &o.cgroup, 0,
		  "Guard this cgroup (default: the configuration's, else the one guarded now, else the root)", "DIR" },
		{ "uplink", 0, POPT_ARG_ARGV, &o.uplinks, 0, "Also judge everything that leaves by this interface; may "
		  "be repeated (default: auto if the root is guarded)", "IF|auto|none" },
		{ "observe", 0, POPT_ARG_NONE, &o.observe, 0, "Refuse nothing, report what would be refused", NULL },
		{ "dry-run", 0, POPT_ARG_NONE, &o.dry_run, 0, "Check configuration and programs, attach nothing",
		  NULL },
		{ "no-resolve", 0, POPT_ARG_NONE, &o.no_resolve, 0, "Leave resolving to the timer", NULL },
		{ "fail-closed", 0, POPT_ARG_NONE, &o.fail_closed, 0,
		  "If this fails and nothing is loaded, refuse everything", NULL },
		POPT_TABLEEND
	};
	int r = cmd_parse(argc, argv, options, NULL, &o.common);

	if (r != CMD_GO_ON)
		return r;
	if (o.uplinks && config_set_uplinks(&values, o.uplinks, &e))
		return cmd_usage("--uplink: %s", e.text);
	return load(&o);
}
