// SPDX-License-Identifier: MIT
/* ohguard verify: tries from inside the guard what must work and what must fail. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "engine/hooks.h"
#include "engine/packet.h"
#include "guard/guard.h"
#include "guard/probe.h"

#define ALLOWED "api.openai.com"
#define DEFAULTS_MAX 8

struct verify {
	struct probe *list;
	size_t count;
};

static bool allows(const struct policy *p, const struct target *t)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct target *held = p->list[i].target;

		if (held->service == OH_SERVICE_TCP && held->port == t->port && target_covers(held, t))
			return true;
	}
	return false;
}

static void add(struct verify *v, const struct policy *p, bool works, const char *text)
{
	struct check c;
	struct error e;

	/* what somebody has allowed need not fail */
	if (!check_parse(text, works, &c, &e) && (works || c.kind == CHECK_PING || !allows(p, &c.target)))
		v->list[v->count++].check = c;
}

/* A name that must work: the usual one, or the first that is allowed. */
static const char *allowed_name(const struct policy *p)
{
	struct target usual = { .kind = TARGET_NAME, .port = TARGET_PORT_DEFAULT, .name = ALLOWED };

	if (allows(p, &usual))
		return ALLOWED;
	for (size_t i = 0; i < p->count; i++) {
		const struct target *t = p->list[i].target;

		if (t->kind == TARGET_NAME && target_is_named(t) && t->port == TARGET_PORT_DEFAULT)
			return t->name;
	}
	return NULL;
}

static int collect(struct verify *v, const struct guard *g, struct error *e)
{
	const char *name = allowed_name(&g->policy);
	char text[TARGET_NAME_MAX + 16];
	bool time = false;

	v->list = calloc(DEFAULTS_MAX + g->config.check_count, sizeof(*v->list));
	if (!v->list)
		return error_set(e, ENOMEM, "out of memory");
	for (int i = 0; name && i < 2; i++) {
		snprintf(text, sizeof(text), "%s %s", i ? "dns" : "https", name);
		add(v, &g->policy, true, text);
	}
	for (size_t i = 0; i < g->policy.count; i++)
		time |= g->policy.list[i].target->service == OH_SERVICE_NTP && !g->policy.list[i].target->on_demand;
	if (time)
		add(v, &g->policy, true, "ntp");
	add(v, &g->policy, false, "https google.com");
	add(v, &g->policy, false, "https github.com");
	add(v, &g->policy, false, "ping 8.8.8.8");
	add(v, &g->policy, false, "http example.com");
	for (size_t i = 0; i < g->config.check_count; i++)
		v->list[v->count++].check = g->config.checks[i];
	return 0;
}

/* Where this process is guarded too, its questions would be refused like anybody's. */
static bool is_outside(const char *cgroup, const struct oh_settings *settings)
{
	return packet_cgroup_level(cgroup) > 0 && !*settings->uplink[0];
}

static int try_all(struct verify *v, struct guard *g, struct error *e)
{
	struct engine_hook hooks[OH_HOOK_MAX];
	bool outside;
	int r = guard_look(g, time(NULL), e);

	if (!r)
		r = collect(v, g, e);
	if (r)
		return r;
	engine_read_hooks(g->pins, hooks);
	if (!*hooks[OH_HOOK_EGRESS].where)
		return error_set(e, ENOENT, "the guarded cgroup is gone or cannot be seen from here");
	outside = is_outside(hooks[OH_HOOK_EGRESS].where, &g->engine.settings);
	for (size_t i = 0; outside && i < v->count; i++)
		probe_resolve(&v->list[i], &g->config);
	return probe_run(v->list, v->count, hooks[OH_HOOK_EGRESS].where, &g->policy, &g->config, e);
}

static size_t report(const struct cmd_options *o, const struct verify *v)
{
	char text[CHECK_TEXT_MAX];
	size_t surprises = 0;
	struct json j;

	json_start(&j, stdout);
	if (o->json) {
		json_object(&j, NULL);
		json_string(&j, "instance", o->guard.instance);
		json_array(&j, "checks");
	}
	for (size_t i = 0; i < v->count; i++) {
		const struct probe *p = &v->list[i];
		bool surprise = p->works != p->check.works;

		surprises += surprise;
		check_format(&p->check, text);
		if (!o->json) {
			printf("%-2s  %-32s must %-5s %6d ms  %s\n", surprise ? "!!" : "ok", text,
			       p->check.works ? "work" : "fail", p->milliseconds, p->said);
			continue;
		}
		json_object(&j, NULL);
		json_string(&j, "check", text);
		json_string(&j, "expected", p->check.works ? "works" : "fails");
		json_bool(&j, "works", p->works);
		json_string(&j, "outcome", p->said);
		json_number(&j, "milliseconds", p->milliseconds);
		json_bool(&j, "surprise", surprise);
		json_object_end(&j);
	}
	if (o->json) {
		json_array_end(&j);
		json_number(&j, "surprises", (int64_t)surprises);
		json_object_end(&j);
		json_end(&j);
	} else {
		printf("%s: %zu of %zu as they must be\n", o->guard.instance, v->count - surprises, v->count);
	}
	return surprises;
}

int cmd_verify(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	struct verify v = { 0 };
	size_t surprises = 0;
	struct guard g;
	struct error e;
	int r = cmd_parse(argc, argv, NULL, NULL, &common);

	if (r != CMD_GO_ON)
		return r;
	r = guard_open(&common.guard, &g, &e);
	if (r)
		return cmd_open_failed(r, &e);
	r = try_all(&v, &g, &e);
	if (!r)
		surprises = report(&common, &v);
	guard_close(&g);
	free(v.list);
	if (r)
		return cmd_fail(&e);
	return surprises ? CMD_FAILED : CMD_OK;
}
