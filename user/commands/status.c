// SPDX-License-Identifier: MIT
/* ohguard status: what is attached where, and whether it is healthy. The kernel tells, not the pins. */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "engine/answerer.h"
#include "engine/device.h"
#include "engine/hooks.h"
#include "engine/inside.h"
#include "engine/object.h"
#include "engine/packet.h"
#include "engine/questions.h"
#include "engine/uplink_hooks.h"
#include "guard/back.h"
#include "guard/guard.h"
#include "guard/refresh.h"
#include "guard/ways_out.h"
#include "policy/address.h"

/* Seconds without a run of the timer, which runs every 15: */
#define OVERDUE_LEAST 60
#define OVERDUE_MOST 300

struct status {
	const char *instance;
	struct engine_hook hooks[OH_HOOK_MAX];
	struct uplinks uplinks;
	struct engine_hook uplink_hooks[UPLINKS_MAX * 3];
	size_t uplink_hook_count;
	struct oh_settings settings;
	struct oh_control control;
	bool enforcing;
	bool locked;
	bool packet;	/* packet sockets and unknown families are refused */
	bool answering;	/* refused names are answered */
	uint32_t waiting;	/* questions that nobody has answered yet */
	struct remarks problems;
	struct inside inside;
	struct remarks notes;	/* gaps that no setting of ours closes here, or that the configuration wants */
};

/* The hooks of uplinks follow those of the cgroup, interface by interface. */
static bool is_listed(const struct status *s, int hook)
{
	return engine_wants(&s->settings, (enum oh_hook)hook) && !engine_hooks[hook].uplink;
}

static void read_uplinks(struct status *s, const char *pins)
{
	struct error e;

	if (uplink_find(s->settings.uplink, &s->uplinks, &e))
		remark(&s->problems, "%s", e.text);
	for (size_t i = 0; i < s->uplinks.count; i++) {
		for (int hook = 0; hook < OH_HOOK_MAX; hook++) {
			if (engine_hooks[hook].uplink && engine_wants(&s->settings, (enum oh_hook)hook))
				engine_read_uplink_hook(pins, (enum oh_hook)hook, &s->uplinks.list[i],
							&s->uplink_hooks[s->uplink_hook_count++]);
		}
	}
}

static void check_ways_out(struct status *s)
{
	struct uplinks ways;
	struct error e;

	if (uplink_ways_out(&ways, &e)) {
		remark(&s->problems, "%s", e.text);
		return;
	}
	for (size_t i = 0; i < ways.count; i++) {
		if (ways.list[i].up && !uplink_is_in(&s->uplinks, ways.list[i].index))
			remark(&s->problems, "frames can leave by %s, which is not guarded: run "
				"`ohguard load --uplink auto`", ways.list[i].name);
	}
	for (size_t i = 0; i < ways.other_count; i++)
		remark(&s->problems, "frames can leave by %s, which is not Ethernet and cannot be guarded",
			ways.other[i]);
}

/* Another's XDP program comes before all hooks of ours. What it passes on is judged; what it sends by itself is not. */
static void check_driver(struct status *s, const struct uplink *uplink)
{
	struct device_first first;

	device_first(&engine_hooks[OH_HOOK_INBOUND], uplink->index, false, &first);
	if (!first.program)
		return;
	for (size_t i = 0; i < s->uplink_hook_count; i++) {
		if (s->uplink_hooks[i].program == first.program)
			return;
	}
	remark(&s->notes, "XDP: %s is attached to %s and runs before the hooks of this guard, which do not see what "
		"it sends by itself (XDP_TX, XDP_REDIRECT)", first.name, uplink->name);
}

static void check_uplinks(struct status *s)
{
	if (!*s->settings.uplink[0])
		return;
	if (!s->packet)
		remark(&s->notes,
			"AF_XDP and packet sockets that skip the queueing layer (PACKET_QDISC_BYPASS) bypass the "
			"uplink's hook: give the workload no CAP_NET_RAW");
	for (size_t i = 0; i < s->uplink_hook_count; i++) {
		const struct engine_hook *h = &s->uplink_hooks[i];

		if (*h->before)
			remark(&s->problems, "%s is not in force at %s: %s runs before it: run "
				"`ohguard refresh`", h->name, h->where, h->before);
		else if (!h->attached && !strcmp(h->name, engine_hook_names[OH_HOOK_INBOUND]))
			remark(&s->problems, "%s is not attached to %s, whose driver takes no XDP program, or has "
				"another's (see `bpftool net`): what comes in is judged at tc ingress", h->name,
				h->where);
		else if (!h->attached)
			remark(&s->problems, "%s is not attached to %s: run `ohguard refresh`", h->name, h->where);
	}
	for (size_t i = 0; i < s->uplinks.count; i++)
		check_driver(s, &s->uplinks.list[i]);
	for (int i = 0; i < OH_UPLINKS_MAX && *s->uplinks.missing[i]; i++) {
		if (strcmp(s->uplinks.missing[i], UPLINK_AUTO))
			remark(&s->problems, "uplink %s: there is no such interface", s->uplinks.missing[i]);
	}
	check_ways_out(s);
}

static void check_hooks(struct status *s)
{
	const struct engine_hook *egress = &s->hooks[OH_HOOK_EGRESS];

	if (s->settings.inspect && !s->settings.shared_mask)
		remark(&s->notes,
			"this kernel does not show which pages a sender can still write (lockdown=confidentiality, or "
			"no BTF): a TLS hello sent by MSG_ZEROCOPY or sendfile can be changed after the check");
	if (!s->settings.own.known)
		remark(&s->notes,
			"this kernel does not show which addresses a container has (lockdown=confidentiality, or no "
			"BTF): one that may choose its source (IPV6_FREEBIND, IP_TRANSPARENT) can have an allowed "
			"server's answer sent elsewhere");
	for (int i = 0; i < OH_HOOK_MAX; i++) {
		const struct engine_hook *h = &s->hooks[i];

		if (!is_listed(s, i))
			continue;
		if (!h->attached && i == OH_HOOK_SOCK_OPS)
			remark(&s->problems, "%s is not attached: a connection refused for its TLS name hangs until "
				"its own time-out: run `ohguard load`", h->name);
		else if (!h->attached)
			remark(&s->problems, "%s is not attached: run `ohguard load`", h->name);
		else if (h->cgroup != egress->cgroup)
			remark(&s->problems, "%s is attached to another cgroup than %s: run `ohguard load`", h->name,
				egress->name);
		else if (!*h->where)
			remark(&s->problems, "the cgroup of %s is removed or cannot be seen from here", h->name);
	}
}

/* Addresses end after their grace. A guard that comes near that is not healthy. */
static int64_t overdue_max(const struct config *c)
{
	return c->grace < OVERDUE_LEAST ? OVERDUE_LEAST : c->grace > OVERDUE_MOST ? OVERDUE_MOST : c->grace;
}

static void check_records(struct status *s, const struct guard *g, int64_t now)
{
	size_t failing = 0;
	const struct record *worst = NULL;
	int64_t overdue = 0, due;
	char outage[128], span[24];

	for (size_t i = 0; i < g->records.count; i++) {
		const struct record *r = &g->records.list[i];

		if (r->failures) {
			failing++;
			if (!worst || r->failures > worst->failures)
				worst = r;
		}
		/* a name that was never asked for is due since the load */
		due = r->due ? r->due : (int64_t)g->mark.changed.tv_sec;
		if (now - due > overdue)
			overdue = now - due;
	}
	if (refresh_outage(&g->records, &g->config, outage, sizeof(outage)))
		remark(&s->problems, "%s", outage);
	else if (worst)
		remark(&s->problems, "%zu lookup%s, for example %.100s (IPv%d): %s", failing,
		       failing == 1 ? " fails" : "s fail", worst->name, worst->family, record_why(worst));
	if (overdue > overdue_max(&g->config))
		remark(&s->problems, "names are overdue for %s: is ohguard-refresh.timer running?",
		       text_seconds((uint64_t)overdue, span, sizeof(span)));
}

/* What found no room is a problem for as long as addresses that did may live. */
#define NO_ROOM_TOLD 3600

/* The last one that a table had no room for: a target, or the interface behind which the sender is. */
static int name_payer(const struct guard *g, enum oh_shared table, __u32 who, char ret[static OH_TARGET_TEXT_MAX])
{
	struct oh_target target = { 0 };
	struct error e;

	if (table == OH_SHARED_OPENINGS || table == OH_SHARED_QUESTIONS) {
		if (!who || !if_indextoname(who, ret))
			snprintf(ret, OH_TARGET_TEXT_MAX, who ? "interface %u" : "this machine", who);
		return 0;
	}
	if (engine_read_target(&g->engine, who, &target, &e))
		return -EIO;
	snprintf(ret, OH_TARGET_TEXT_MAX, "%s", *target.text ? target.text : "the host's own needs");
	return 0;
}

static void check_shares(struct status *s, const struct guard *g)
{
	static const char *const texts[OH_SHARED_MAX] = {
		[OH_SHARED_LEARNED] = "answers for %s say more addresses than its share: %llu were not learned",
		[OH_SHARED_PENDING] = "more queries for %s at once than its share: %llu answers teach nothing",
		[OH_SHARED_OPENED] = "answers for %s lead to more names than its share: %llu may not be asked for",
		[OH_SHARED_PAID] = "more time servers of %s at once than its share: %llu requests were refused",
		[OH_SHARED_OPENINGS] = "more unanswered connections from %s at once than a sender's share: %llu "
				       "packets were held back",
		[OH_SHARED_QUESTIONS] = "more questions from %s at once than an asker's share: %llu attempts were "
					"refused unasked",
	};
	struct oh_shares shares;
	struct error e;

	if (engine_read_shares(&g->engine, OH_SHARES_OF_ALL, &shares, &e))
		return;
	for (uint32_t i = 0; i < OH_SHARED_MAX; i++) {
		int64_t when = (int64_t)(shares.of[i].own >> 32);
		char who[OH_TARGET_TEXT_MAX];
		struct oh_count count;

		if (!when || clock_boot() - when >= NO_ROOM_TOLD ||
		    engine_read_count(&g->engine, OH_COUNT_NO_ROOM + i, &count, &e) ||
		    name_payer(g, (enum oh_shared)i, (__u32)shares.of[i].own, who))
			continue;
		remark(&s->problems, texts[i], who, (unsigned long long)count.packets);
	}
}

/* The tables keep what has expired for a while: it was in an answer, and is refused now. */
static void check_expired(struct status *s, const struct guard *g)
{
	struct oh_count count;
	struct error e;

	if (!engine_read_count(&g->engine, OH_ADDRESS_EXPIRED, &count, &e) && count.packets)
		remark(&s->notes, "%llu packets or attempts were refused to addresses that an answer for an allowed "
		       "name held, since the answer's time was over: if a cache on this machine hands out addresses "
		       "for longer than their TTL, set [dns] min-ttl to its shortest time",
		       (unsigned long long)count.packets);
}

/* `serve` leaves word of it. The guard is as whole as ever. */
static void check_history(struct status *s, const struct guard *g)
{
	char path[PATH_MAX + 32], problem[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/" GUARD_HISTORY_PROBLEM, g->run);
	f = s->answering ? fopen(path, "re") : NULL;
	if (!f)
		return;
	if (fgets(problem, sizeof(problem), f))
		remark(&s->notes, "the history of refusals is not written: %s", problem);
	fclose(f);
}

static int read_questions(struct status *s, const struct guard *g, struct error *e)
{
	struct questions questions;
	int r = questions_read(&g->engine, &questions, e);

	for (size_t i = 0; !r && i < questions.count; i++)
		s->waiting += questions.list[i].waits;
	questions_free(&questions);
	return r;
}

static int read_status(struct guard *g, struct status *s, struct error *e)
{
	struct error e_state;
	struct back back;
	char span[24];
	int r;

	engine_read_hooks(g->pins, s->hooks);
	s->packet = packet_in_force(g->pins);
	s->answering = answerer_is_alive(&g->engine);
	if (!s->packet)
		remark(&s->notes,
			"sockets of families that no hook sees (AF_VSOCK to the hypervisor, RDS, TIPC, Bluetooth) "
			"are not refused without BPF LSM: keep them from the workload with RestrictAddressFamilies= "
			"or seccomp");
	s->settings = g->engine.settings;
	if (s->settings.observe)	/* first of all problems */
		remark(&s->problems, "it only observes: nothing is refused: `ohguard suggest` shows what to allow, and "
		       "`ohguard load` enforces");
	if (s->settings.build != object_build())
		remark(&s->notes, "the programs in force are of another build than this command: `ohguard load` puts "
		       "its own in force");
	check_hooks(s);
	read_uplinks(s, g->pins);
	check_uplinks(s);
	r = engine_read_control(&g->engine, &s->control, e);
	if (r)
		return r;
	check_shares(s, g);
	r = s->settings.ask ? read_questions(s, g, e) : 0;
	if (r)
		return r;
	check_expired(s, g);
	check_history(s, g);
	s->locked = g->locked;
	s->enforcing = s->hooks[OH_HOOK_EGRESS].attached && !s->settings.observe;
	r = inside_read(&g->engine, &s->inside, e);
	if (r)
		return r;
	if (s->settings.inside && !s->settings.links.known)
		remark(&s->notes,
			"networks on this machine are judged as any other: this kernel does not show by what a packet "
			"leaves (lockdown=confidentiality, or no BTF)");
	if (!s->control.ready)
		remark(&s->problems, "locked down: no policy is loaded: run `ohguard load`");
	r = guard_lock(g, e);
	if (r)
		return r;
	if (guard_read(g, time(NULL), &e_state))
		remark(&s->problems, "%s", e_state.text);
	else
		check_records(s, g, time(NULL));
	guard_unlock(g);
	if (!back_read(g, &back, &e_state))
		remark(&s->notes, "unconfirmed: what was in force before is back in %s unless `ohguard confirm` "
		       "comes first", text_seconds(back.deadline > clock_boot() ?
						   (uint64_t)(back.deadline - clock_boot()) : 0, span, sizeof(span)));
	ways_out_suffixes(&g->policy, &s->notes);
	ways_out_sockets(s->hooks[OH_HOOK_EGRESS].where, &s->notes);
	ways_out_resolver(&s->settings, s->hooks[OH_HOOK_EGRESS].where, &s->problems);
	if (!guard_config_changed(g))
		return 0;
	if (guard_check_source(g, &e_state))
		remark(&s->problems, "the configuration was edited, and `ohguard load` would refuse it: %s",
			e_state.text);
	else
		remark(&s->problems, "the configuration was edited: `ohguard load` puts it in force");
	return 0;
}

static void print_json_hook(struct json *j, const struct engine_hook *h)
{
	char when[TEXT_TIME_MAX];

	json_object(j, NULL);
	json_string(j, "hook", h->name);
	json_bool(j, "attached", h->attached);
	json_string(j, "where", *h->where ? h->where : NULL);
	json_string(j, "since", h->attached ? text_time(h->since, when) : NULL);
	json_string(j, "before", *h->before ? h->before : NULL);
	json_object_end(j);
}

static void json_remarks(struct json *j, const char *key, const struct remarks *r)
{
	json_array(j, key);
	for (size_t i = 0; i < r->count; i++)
		json_string(j, NULL, r->list[i]);
	json_array_end(j);
}

/* Of what is inside, the networks: false for an own address. */
static bool network_names(const struct inside_network *n, char range[ADDRESS_TEXT_MAX], char bridge[OH_INTERFACE_MAX])
{
	if (!n->index)
		return false;
	range_format(&n->range, range);
	if (!if_indextoname(n->index, bridge))
		snprintf(bridge, OH_INTERFACE_MAX, "?");
	return true;
}

static void json_networks(struct json *j, const struct inside *in)
{
	char range[ADDRESS_TEXT_MAX], bridge[OH_INTERFACE_MAX];

	json_array(j, "local");
	for (size_t i = 0; i < in->count; i++) {
		if (!network_names(&in->list[i], range, bridge))
			continue;
		json_object(j, NULL);
		json_string(j, "network", range);
		json_string(j, "bridge", bridge);
		json_object_end(j);
	}
	json_array_end(j);
}

static void print_networks(const struct inside *in)
{
	char range[ADDRESS_TEXT_MAX], bridge[OH_INTERFACE_MAX];
	bool any = false;

	for (size_t i = 0; i < in->count; i++) {
		if (!network_names(&in->list[i], range, bridge))
			continue;
		printf("%s%s (%s)", any ? ", " : "  on this machine: ", range, bridge);
		any = true;
	}
	if (any)
		putchar('\n');
}

static void print_json(const struct status *s)
{
	struct json j;

	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", s->instance);
	json_bool(&j, "enforcing", s->enforcing);
	json_string(&j, "mode", engine_mode(&s->settings));
	if (s->settings.ask) {
		json_number(&j, "ask", (int64_t)(s->settings.ask / 1000000000));
		json_number(&j, "asks", s->waiting);
	}
	json_string(&j, "cgroup", s->hooks[OH_HOOK_EGRESS].where);
	json_bool(&j, "locked", s->locked);
	if (*s->settings.uplink[0])
		json_string(&j, "inbound", s->settings.xdp ? "xdp" : "tc");
	json_string(&j, "packet_sockets", s->packet ? "refused" : "not refused");
	json_string(&j, "refused_names", s->answering ? "answered" : "error");
	json_networks(&j, &s->inside);
	json_bool(&j, "healthy", !s->problems.count);
	json_remarks(&j, "problems", &s->problems);
	json_remarks(&j, "notes", &s->notes);
	json_array(&j, "hooks");
	for (int i = 0; i < OH_HOOK_MAX; i++) {
		if (is_listed(s, i))
			print_json_hook(&j, &s->hooks[i]);
	}
	for (size_t i = 0; i < s->uplink_hook_count; i++)
		print_json_hook(&j, &s->uplink_hooks[i]);
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
}

static void print_hook(const struct engine_hook *h, const char *where)
{
	char when[TEXT_TIME_MAX];

	printf("  %-14s %s%s%s%s%s\n", h->name, h->attached ? "since " : "not attached",
	       h->attached ? text_time(h->since, when) : "", *where ? " (" : "", where, *where ? ")" : "");
}

static void print_remarks(const char *mark, const struct remarks *r)
{
	for (size_t i = 0; i < r->count; i++) {
		fputs(mark, stdout);
		text_print(stdout, r->list[i]);
		putchar('\n');
	}
}

static void print_text(const struct status *s)
{
	printf("%s: %s %s, %s\n", s->instance, s->enforcing ? "guarding" : s->settings.observe ? "observing" :
	       "NOT guarding", s->hooks[OH_HOOK_EGRESS].where, s->problems.count ? "not healthy:" : "healthy");
	print_remarks("  ! ", &s->problems);
	print_remarks("  - ", &s->notes);
	for (int i = 0; i < OH_HOOK_MAX; i++) {
		if (is_listed(s, i))
			print_hook(&s->hooks[i], "");
	}
	for (size_t i = 0; i < s->uplink_hook_count; i++)
		print_hook(&s->uplink_hooks[i], s->uplink_hooks[i].where);
	if (*s->settings.uplink[0])
		printf("  inbound: at tc ingress%s\n", s->settings.xdp ? ", and before it by XDP in the driver" : "");
	print_networks(&s->inside);
	if (s->settings.ask)
		printf("  asks: %u wait%s, each for at most %u s before it is refused: see `ohguard asks`\n",
		       s->waiting, s->waiting == 1 ? "s" : "", (unsigned int)(s->settings.ask / 1000000000));
	if (s->settings.answer)
		printf("  refused names: %s\n", s->answering ? "answered as no such name" :
		       "an error, after which some programs wait: start ohguard-events.service");
	printf("  packet sockets: %s\n", s->packet ? "refused by LSM, and families other than IP, Unix and netlink" :
	       "not refused, nor other families: no BPF LSM");
	printf("  lock: %s\n", s->locked ? "on" : "off");
}

bool cmd_is_healthy(struct guard *g)
{
	struct status *s = calloc(1, sizeof(*s));
	struct error e;
	bool healthy = s && !read_status(g, s, &e) && !s->problems.count;

	if (s)
		inside_free(&s->inside);
	free(s);
	return healthy;
}

int cmd_status(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	struct status *s;	/* large: not every command's memory */
	struct guard g;
	struct error e;
	int r = cmd_parse(argc, argv, NULL, NULL, &common), exit;

	if (r != CMD_GO_ON)
		return r;
	r = guard_open(&common.guard, &g, &e);
	if (r)
		return cmd_open_failed(r, &e);
	s = calloc(1, sizeof(*s));
	r = s ? 0 : error_set(&e, ENOMEM, "out of memory");
	if (!r) {
		s->instance = common.guard.instance;
		r = read_status(&g, s, &e);
	}
	guard_close(&g);
	if (!r && common.json)
		print_json(s);
	else if (!r)
		print_text(s);
	exit = r ? cmd_fail(&e) : s->problems.count ? CMD_DEGRADED : CMD_OK;
	if (s)
		inside_free(&s->inside);
	free(s);
	return exit;
}
