// SPDX-License-Identifier: MIT
/* ohguard load: attach and enforce, or replace programs and policy with no moment open. */
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "commands/difference.h"
#include "commands/going_back.h"
#include "engine/attach.h"
#include "engine/hooks.h"
#include "engine/packet.h"
#include "engine/publish.h"
#include "engine/uplink_hooks.h"
#include "guard/back.h"
#include "guard/caches.h"
#include "guard/change.h"
#include "guard/cuts.h"
#include "guard/refresh.h"
#include "guard/rules.h"
#include "guard/ways_out.h"
#include "policy/keys.h"

#define ASK_MIN 5	/* seconds: one that nobody can answer in time is none */
#define ASK_MAX 600
#define CGROUP2_MAGIC 0x63677270	/* linux/magic.h */
#define CONFIRM_MIN 3			/* seconds */
#define CONFIRM_MAX 86400

struct load {
	struct cmd_options common;
	const char *cgroup, **uplinks;
	int observe, dry_run, no_resolve, fail_closed, force, go_back, anew;
	uint64_t confirm;		/* seconds, 0: for good */
	uint64_t ask;			/* seconds, 0: no question */
	/* found on the way */
	char where[PATH_MAX];		/* the cgroup */
	struct uplinks found;
	struct engine_program_set *set;
	bool same;			/* they are those in force */
	struct error full;		/* a map is full: what fits is in force; "" for none */
	struct rules before, after;
	bool first;			/* nothing was in force before */
	char source[PATH_MAX];		/* where the configuration came from that is gone back to, "": from the file */
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
	return !packet_cgroup_level(cgroup);
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
	r = engine_set_ready(&g->engine, e);
	return !r && attached ? attach(o, g, e) : r;
}

/* Without BPF LSM they are not, and `status` says so. */
static void refuse_packet_sockets(const struct load *o, const struct guard *g)
{
	struct error e;
	int r = o->same && packet_in_force(g->pins) ? 0 : packet_load(g->pins, &g->engine, o->where, o->observe, &e);

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
	r = guard_remember_config(g, *o->source ? o->source : o->common.guard.config, e);
	if (!r)
		r = o->confirm ? back_keep(g, clock_boot() + (int64_t)o->confirm, e) : back_forget(g, e);
	if (!r && *former)	/* [paths] pins has changed: the new guard stands, and the old one goes */
		r = engine_detach(former, e);
	return r;
}

/* What is in force now. A cut session would be no news if the same guard refused it already. */
static int look_before(struct load *o, const struct guard *g, struct oh_settings *ret_same, struct error *e)
{
	struct engine_hook hooks[OH_HOOK_MAX];
	struct config in_force;
	bool known;
	int r;

	o->first = !g->engine.open;
	*ret_same = (struct oh_settings){ .observe = 1 };
	if (o->first)
		return 0;
	engine_read_hooks(g->pins, hooks);
	if (!strcmp(hooks[OH_HOOK_EGRESS].where, o->where) &&
	    !memcmp(g->engine.settings.uplink, g->config.uplinks, sizeof(g->config.uplinks)))
		*ret_same = g->engine.settings;
	known = !guard_read_loaded(g, &in_force, e);
	r = rules_in_force(&g->engine, hooks[OH_HOOK_EGRESS].where, known ? &in_force : NULL, &o->before, e);
	if (known)
		config_free(&in_force);
	return r;
}

/* Whoever loads over ssh would not come back. */
static int check_sessions(const struct load *o, const struct guard *g, const struct oh_settings *before,
			  struct error *e)
{
	struct cuts cuts = { .settings = &g->engine.settings, .before = before, .policy = &g->policy,
			     .cgroup = o->where, .whole = is_whole_machine(o->where) || g->config.uplink_count };
	int r = cuts_find(&cuts, &g->engine, e);
	char more[48] = "";

	if (r || !cuts.count)
		return r;
	if (cuts.count > 1)
		snprintf(more, sizeof(more), " and %zu more", cuts.count - 1);
	error_set(e, EBUSY, "this would cut the ssh session from %s%s: add its address to [inbound] accept, or give "
		  "--force (with --confirm 60s it goes back by itself)", cuts.first, more);
	if (o->force || o->dry_run || o->fail_closed || o->go_back) {
		error_print(e);
		return 0;
	}
	return -EBUSY;
}

/* Loads the programs, unless those in force are what would be loaded. Not where the cgroup is another one: packet
 * sockets are refused by its id. */
static int prepare(struct load *o, struct guard *g, struct error *e)
{
	struct engine_hook hooks[OH_HOOK_MAX];
	struct engine engine;
	int r;

	if (g->engine.open && !o->anew && !o->dry_run) {
		engine_read_hooks(g->pins, hooks);
		o->same = !strcmp(hooks[OH_HOOK_EGRESS].where, o->where) &&
			  !engine_take_programs(&g->config, o->observe, g->pins, &g->engine, &o->set);
	}
	if (o->same)
		return 0;
	r = engine_prepare(&g->config, o->observe, g->engine.open ? &g->engine : NULL, &o->set, &engine, e);
	if (r)
		return r;
	engine_close(&g->engine);
	g->engine = engine;
	return 0;
}

static int load_links(struct guard *g, void *context, struct error *e)
{
	struct load *o = context;
	struct change change = { .learn = extend_records, .put_in_force = put_in_force, .context = o };
	struct oh_settings same;
	int r = find_uplinks(o, g, e);

	g->config.ask = (uint32_t)o->ask;
	if (!r)
		r = look_before(o, g, &same, e);
	if (!r && o->confirm && !o->dry_run)
		r = going_back_begin(g, &o->common.guard, o->confirm, e);
	/* before the records are read, so that not both are in memory at their largest */
	if (!r)
		r = prepare(o, g, e);
	if (r)
		return r;
	r = guard_read(g, time(NULL), e);
	if (!r)
		r = rules_of(&g->policy, &g->engine.settings, o->where, &g->config, &o->after, e);
	if (!r)
		r = check_sessions(o, g, &same, e);
	if (!r && !o->dry_run)
		r = change_policy(g, &change, e);
	engine_free_set(o->set);
	return r;
}

/* Counts all names that fail: those that failed before and are not due yet were not asked for now. */
static void count_failing(const struct records *records, const struct config *c, struct refresh_report *names)
{
	names->failed = 0;
	for (size_t i = 0; i < records->count; i++) {
		const struct record *r = &records->list[i];

		if (!r->failures)
			continue;
		if (!names->failed++)
			snprintf(names->first, sizeof(names->first), "%.100s: %s", r->name, record_why(r));
	}
	names->outage = refresh_outage(records, c, names->first, sizeof(names->first));
}

static void report_text(const struct load *o, const struct guard *g)
{
	char span[24];

	printf("%s: %s %s, %zu target%s%s\n", o->common.guard.instance, o->dry_run ? "would guard" :
	       o->observe ? "observing" : "guarding", o->where, g->policy.count, TEXT_PLURAL(g->policy.count),
	       o->dry_run ? " (programs verified, nothing attached)" : "");
	if (!difference_print(&o->before, &o->after) && !o->first)
		printf("  nothing that is allowed changes\n");
	if (o->confirm && !o->dry_run)
		printf("  goes back in %s, unless `ohguard confirm` comes first\n",
		       text_seconds(o->confirm, span, sizeof(span)));
}

static void report(const struct load *o, const struct guard *g, const struct refresh_report *names)
{
	struct json j;

	if (!o->common.json) {
		report_text(o, g);
		return;
	}
	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", o->common.guard.instance);
	json_string(&j, "cgroup", o->where);
	json_string(&j, "mode", o->observe ? "observe" : o->ask ? "ask" : "enforce");
	json_bool(&j, "dry_run", o->dry_run);
	json_number(&j, "targets", (int64_t)g->policy.count);
	json_number(&j, "asked", (int64_t)names->asked);
	json_number(&j, "failed", (int64_t)names->failed);
	json_bool(&j, "changed", difference_json(&o->before, &o->after, &j) || o->first);
	if (o->confirm)
		json_number(&j, "confirm", (int64_t)o->confirm);
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

/* What was in force before a load that nobody confirmed takes the place of the file and the options. */
static int take_back(struct load *o, struct guard *g, struct back *b, struct error *e)
{
	static const char *uplinks[OH_UPLINKS_MAX + 1] = { "none" };
	int r = back_read_config(g, o->common.guard.instance, e);

	for (int i = 0; i < OH_UPLINKS_MAX && *b->uplinks[i]; i++)
		uplinks[i] = b->uplinks[i];
	o->uplinks = uplinks;
	o->cgroup = b->cgroup;
	o->observe = b->observe;
	o->ask = b->ask;
	snprintf(o->source, sizeof(o->source), "%s", b->source);
	return r;
}

static int unload_again(struct guard *g, struct error *e)
{
	int r = g->locked ? error_set(e, EPERM, "it is locked: unlock it, and unload") : engine_detach(g->pins, e);

	if (!r)
		guard_forget(g);
	return r ? r : back_forget(g, e);
}

/* *ret_done: there is nothing more to do. */
static int open_guard(struct load *o, struct guard *g, struct back *b, bool *ret_done, struct error *e)
{
	struct error e_none;
	int r = o->go_back ? guard_open_to_go_back(&o->common.guard, g, e) :
			     guard_open_for_load(&o->common.guard, g, e);

	*ret_done = false;
	if (r)
		return r;
	if (back_read(g, b, &e_none)) {
		*ret_done = o->go_back;		/* confirmed meanwhile */
	} else if (o->go_back && !back_is_due(b)) {
		*ret_done = true;
	} else if (o->go_back && b->nothing) {
		r = unload_again(g, e);
		*ret_done = !r;
	} else if (o->go_back || (b->other_boot && !b->nothing && !g->engine.open)) {
		if (!o->go_back)
			error_warn("the last `load --confirm` was not confirmed before this machine restarted: what "
				   "was in force before it is loaded again");
		r = take_back(o, g, b, e);
	}
	if (r || *ret_done)
		guard_close(g);
	return r;
}

static int load_open(struct load *o, struct guard *g)
{
	struct refresh_report names = { 0 };
	struct error e, unkept = { "" };
	bool missing;
	int r = find_cgroup(o, g, &e);

	if (!r)
		r = o->dry_run ? load_links(g, o, &e) :
		    change_links(g, &o->common.guard, load_links, o, &unkept, &e);
	if (*unkept.text)
		error_warn("the new links are in force but not locked: %s: run `ohguard load` again", unkept.text);
	guard_unlock(g);
	if (r)
		return cmd_fail(&e);
	if (!*o->full.text && !o->dry_run && !o->no_resolve)
		r = refresh_round(g, false, &names, &e);
	if (!o->dry_run && !o->no_resolve)
		count_failing(&g->records, &g->config, &names);
	if (access("/sys/kernel/btf/vmlinux", F_OK))
		error_warn("this kernel has no BTF (/sys/kernel/btf/vmlinux): everything is enforced without it, but "
			   "`lock` cannot work");
	missing = warn_missing(&o->found);
	missing |= warn_resolver(o, g);
	refresh_warn(&names);
	report(o, g, &names);
	if (r || *o->full.text)
		cmd_fail(r ? &e : &o->full);
	return r || *o->full.text || names.failed || missing ? CMD_DEGRADED : CMD_OK;
}

static int load(struct load *o)
{
	struct error e;
	struct guard g;
	struct back b;
	bool done;
	int r = open_guard(o, &g, &b, &done, &e);

	if (r) {
		r = cmd_fail(&e);
	} else if (!done) {
		r = load_open(o, &g);
		guard_close(&g);
	}
	rules_free(&o->before);
	rules_free(&o->after);
	return r == CMD_FAILED && o->fail_closed ? load_closed(o) : r;
}

int cmd_load(int argc, char **argv)
{
	static struct config values;	/* only to check them */
	struct load o = { 0 };
	const char *confirm = NULL;
	const char *ask = NULL;
	struct error e;
	struct poptOption options[] = {
		{ "cgroup", 0, POPT_ARG_STRING, &o.cgroup, 0,
		  "Guard this cgroup (default: the configuration's, else the one guarded now, else the root)", "DIR" },
		{ "uplink", 0, POPT_ARG_ARGV, &o.uplinks, 0, "Also judge everything that leaves by this interface; may "
		  "be repeated (default: auto if the root is guarded)", "IF|auto|none" },
		{ "observe", 0, POPT_ARG_NONE, &o.observe, 0, "Refuse nothing, report what would be refused", NULL },
		{ "ask", 0, POPT_ARG_STRING, &ask, 0, "Hold what would be refused for its name or address until "
		  "`allow` or `deny` answers, at most this long (5s to 10m)", "TIME" },
		{ "dry-run", 0, POPT_ARG_NONE, &o.dry_run, 0, "Check configuration and programs, attach nothing",
		  NULL },
		{ "confirm", 0, POPT_ARG_STRING, &confirm, 0,
		  "Go back to what was in force after 30s, 5m, 1h, unless `ohguard confirm` comes first", "TIME" },
		{ "force", 0, POPT_ARG_NONE, &o.force, 0, "Load even if that cuts open ssh sessions", NULL },
		{ "anew", 0, POPT_ARG_NONE, &o.anew, 0, "Load the programs anew even if those in force are the same",
		  NULL },
		{ "go-back", 0, POPT_ARG_NONE | POPT_ARGFLAG_DOC_HIDDEN, &o.go_back, 0, NULL, NULL },
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
	if (confirm && (text_parse_seconds(confirm, CONFIRM_MAX, &o.confirm) || o.confirm < CONFIRM_MIN))
		return cmd_usage("--confirm %s: expected a time like 60s, 5m or 1h, from %ds to 1d", confirm,
				 CONFIRM_MIN);
	if (o.go_back && !going_back_wait(&o.common.guard))
		return CMD_OK;
	if (ask && (text_parse_seconds(ask, ASK_MAX, &o.ask) || o.ask < ASK_MIN))
		return cmd_usage("--ask %s: expected a time like 30s or 2m, from 5s to 10m", ask);
	if (ask && o.observe)
		return cmd_usage("--ask: with --observe nothing is refused, so there is nothing to ask");
	return load(&o);
}
