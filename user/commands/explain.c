// SPDX-License-Identifier: MIT
/* ohguard explain: would this be allowed, by which rule, who was refused it, and what to type. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/reason.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "engine/answerer.h"
#include "engine/hooks.h"
#include "engine/lookup.h"
#include "engine/packet.h"
#include "engine/questions.h"
#include "guard/refresh.h"
#include "history/advice.h"
#include "history/buffer.h"
#include "history/print.h"
#include "history/reader.h"
#include "history/summary.h"
#include "policy/keys.h"

#define LAST_MAX 5	/* kinds of refusals that are shown */
#define RANKED_MAX 20
#define ANSWERS_MAX 32
#define WHERE_MAX (PATH_MAX + 16)

struct dns_address {
	struct oh_address address;
	const char *refused;	/* what it is for, NULL: an answer may hold it */
};

struct explain {
	const struct cmd_options *options;
	struct guard *g;
	/* what is asked about */
	bool everything, container;
	bool any_port;			/* of the target: none was named */
	struct target target;
	/* the answer */
	struct lookup found;
	const char *rule;		/* that admits without a target, NULL: none */
	const struct policy_target *by;	/* the target that admits, NULL: none */
	char where[WHERE_MAX];		/* file:line of it, "": not in the configuration */
	int64_t lapsed;			/* when a grant of it did, 0: there was none */
	struct dns_address dns[ANSWERS_MAX];
	size_t dns_count;
	const char *dns_failure;
	struct history_summary refused;	/* ranked; of a target: newest first */
	char line[ADVICE_MAX];		/* what to type, "": nothing */
};

/* ---- the rule ---- */

/* The service's own keys are found here too: "10.0.0.2:53/dns". */
static int find_line(void *context, const struct config_line *line, struct error *e)
{
	struct explain *x = context;
	struct target t;

	(void)e;
	if (!strcmp(line->key->key, "target") && !target_parse_options(line->value, &t, e) &&
	    !target_compare(&t, x->by->target))
		snprintf(x->where, sizeof(x->where), "%s:%u", line->file, line->line);
	return 0;
}

/* The rule of a found target: the policy knows where it comes from. */
static int find_origin(struct explain *x, struct error *e)
{
	const struct grant *grant = grants_find(&x->g->grants, &x->target);
	struct target t;

	if (grant && grant->lapses && grant->lapses <= time(NULL))
		x->lapsed = grant->lapses;
	if (x->found.reason != OH_TARGET || target_parse_identity(x->found.target.text, &t))
		return 0;
	x->by = policy_find(&x->g->policy, &t);
	return x->by && x->by->source == POLICY_CONFIG ? guard_walk_config(x->g, find_line, x, e) : 0;
}

static int decide(struct explain *x, struct error *e)
{
	const struct target *t = &x->target;
	const struct oh_address *a = &t->range.address;
	const struct config *c = &x->g->config;
	int r;

	if (t->kind == TARGET_NAME || t->kind == TARGET_SUFFIX) {
		char text[OH_TARGET_TEXT_MAX];

		r = lookup_name(&x->g->engine, target_format(t, text), t->port, &x->found, e);
	} else if (t->kind == TARGET_ADDRESS && address_is_metadata(a, &c->nat64)) {
		x->found.reason = OH_METADATA_SERVICE;
		if (x->g->engine.settings.metadata && t->port == 80 && address_is_imds(a)) {
			x->found.reason = OH_TARGET;
			x->rule = "[imds] access = allow";
		}
		r = 0;
	} else {
		r = lookup_address(&x->g->engine, a, t->port, &x->found, e);
	}
	return r ? r : find_origin(x, e);
}

/* ---- what DNS says ---- */

/* Where this process is guarded too, its question would be refused like anybody's. */
static bool may_ask(const struct explain *x)
{
	struct engine_hook hooks[OH_HOOK_MAX];

	if (x->found.reason != OH_DNS_NAME_NOT_ALLOWED)
		return true;
	engine_read_hooks(x->g->pins, hooks);
	return packet_cgroup_level(hooks[OH_HOOK_EGRESS].where) && !*x->g->engine.settings.uplink[0];
}

static int ask_dns(struct explain *x, struct error *e)
{
	struct resolve_query q[] = { { .name = x->target.name, .family = 4 }, { .name = x->target.name, .family = 6 } };
	int r;

	if (!may_ask(x)) {
		x->dns_failure = "not asked: the guard refuses this question too";
		return 0;
	}
	r = resolve_all(x->g->config.resolvers, x->g->config.resolver_count, q, 2, e);
	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; !r && i < q[k].answer.count && x->dns_count < ANSWERS_MAX; i++) {
			struct dns_address *d = &x->dns[x->dns_count++];

			d->address = q[k].answer.list[i].address;
			d->refused = refresh_refuses(&x->g->config, x->target.name, &d->address);
		}
		answer_free(&q[k].answer);
	}
	if (!x->dns_count)
		x->dns_failure = q[0].failure ? q[0].failure : "answer without an address";
	return r;
}

/* ---- who was refused ---- */

static bool is_of_port(const struct explain *x, const struct history_record *r)
{
	return r->destination_port >= x->target.port && r->destination_port <= x->target.port + x->target.more;
}

/* A name that may not be asked for is refused for every port, and whatever its resolver's address. */
static bool concerns(const struct explain *x, const struct history_record *r)
{
	bool asked = r->reason == OH_DNS_NAME_NOT_ALLOWED;
	struct target named;
	struct error e;

	if (!x->any_port && !asked && !is_of_port(x, r))
		return false;
	if (x->target.kind == TARGET_ADDRESS || x->target.kind == TARGET_RANGE)
		return (!asked && range_contains(&x->target.range, &r->destination)) ||
		       range_contains(&x->target.range, &r->source);
	if (r->name && !target_parse(r->name, &named, &e) && target_covers(&x->target, &named))
		return true;
	if (!r->target || target_parse_identity(r->target, &named))
		return false;
	named.port = x->target.port;
	return target_covers(&x->target, &named);
}

static bool is_of_container(const struct history_record *r, const char *name)
{
	return (r->container_name && !strcmp(r->container_name, name)) ||
	       (r->container && *name && !strncmp(r->container, name, strlen(r->container)));
}

static int note(void *context, const struct history_record *record)
{
	struct explain *x = context;

	if (!x->everything && !(x->container ? is_of_container(record, x->options->argv[0]) : concerns(x, record)))
		return 0;
	return history_add(&x->refused, record);
}

static int newest_first(const void *a, const void *b)
{
	const struct history_record *x = ((const struct history_group *)a)->record;
	const struct history_record *y = ((const struct history_group *)b)->record;

	return x->last < y->last ? 1 : x->last > y->last ? -1 : 0;
}

static int read_refusals(struct explain *x, struct error *e)
{
	const struct history_filter all = { 0 };
	int r = history_read_all(x->g->history, &x->g->engine, &all, note, x, e);

	history_rank(&x->refused);
	if (!x->everything && !x->container && x->refused.count)
		qsort(x->refused.group, x->refused.count, sizeof(*x->refused.group), newest_first);
	return r == -ENOMEM ? error_set(e, ENOMEM, "out of memory") : r;
}

/* ---- what to type ---- */

/* What was refused once may have been allowed since. */
static bool is_allowed_now(const struct explain *x, const struct history_record *r)
{
	uint16_t port = r->destination_port && r->reason != OH_DNS_NAME_NOT_ALLOWED ? r->destination_port :
			TARGET_PORT_DEFAULT;
	const struct policy_target *held = NULL;
	struct lookup found;
	struct target t;
	struct error e;

	if (r->reply || r->reason == OH_INBOUND_NOT_ALLOWED || !(r->name || history_address_is_set(&r->destination)))
		return false;
	if ((r->name ? lookup_name(&x->g->engine, r->name, port, &found, &e) :
	     lookup_address(&x->g->engine, &r->destination, port, &found, &e)) || found.reason != OH_TARGET)
		return false;
	switch (r->reason) {
	case OH_TLS_NO_NAME:
	case OH_TLS_NOT_TLS:
	case OH_TLS_ENCRYPTED_HELLO:	/* it is allowed, and must say its name */
		if (!target_parse_identity(found.target.text, &t))
			held = policy_find(&x->g->policy, &t);
		return held && held->target->plain;
	}
	return true;
}

/* What would let it pass the next time. False: nothing would, or it passes already. */
static bool find_advice(const struct explain *x, const struct history_record *r, char line[ADVICE_MAX])
{
	return !is_allowed_now(x, r) && !advice(r, &x->g->policy, line, ADVICE_MAX);
}

/* What was refused at that port says more than what was asked: that an address is a name's, for example. */
static bool advise_as_refused(struct explain *x)
{
	for (size_t i = 0; i < x->refused.count; i++) {
		const struct history_record *r = x->refused.group[i].record;

		if (r->reason != OH_DNS_NAME_NOT_ALLOWED && !r->reply && is_of_port(x, r) &&
		    find_advice(x, r, x->line))
			return true;
	}
	*x->line = '\0';
	return false;
}

static void find_line_to_type(struct explain *x)
{
	char text[ADDRESS_TEXT_MAX];

	if (x->found.reason == OH_METADATA_SERVICE)
		snprintf(x->line, sizeof(x->line), "%s",
			 address_is_imds(&x->target.range.address) ? "[imds] access = allow" : "");
	else if (x->found.reason != OH_TARGET && !advise_as_refused(x))
		advice_for_target(&x->target, x->line, sizeof(x->line));
	for (size_t i = 0; x->found.reason == OH_TARGET && i < x->dns_count; i++) {
		const struct dns_address *d = &x->dns[i];

		if (d->refused && !address_is_metadata(&d->address, &x->g->config.nat64))
			snprintf(x->line, sizeof(x->line), "[dns] private = %s %s", x->target.name,
				 address_format(&d->address, text));
	}
}

/* ---- printing ---- */

static void print_by(const struct explain *x)
{
	static const char *const sources[] = { "the configuration", "ohguard allow, for good", "ohguard allow" };
	char span[24];
	int64_t now = time(NULL);

	if (x->rule)
		printf("  by %s\n", x->rule);
	if (x->by) {
		printf("  by %s%s (%s", x->found.target.text, target_options(x->by->target),
		       *x->where ? x->where : sources[x->by->source]);
		if (x->by->lapses)
			printf(", %s left", text_seconds(x->by->lapses > now ? (uint64_t)(x->by->lapses - now) : 0,
							 span, sizeof(span)));
		puts(")");
	} else if (*x->found.target.text) {
		printf("  nearest: %s\n", x->found.target.text);
	}
	if (x->lapsed)
		printf("  a grant lapsed %s ago\n", text_seconds((uint64_t)(now - x->lapsed), span, sizeof(span)));
}

/* Under `load --ask`: what is refused in the end may be waiting now. */
static void print_question(const struct explain *x)
{
	char text[OH_TARGET_TEXT_MAX];
	struct questions questions;
	struct error e;

	if (!x->g->engine.settings.ask || x->found.reason == OH_TARGET || questions_read(&x->g->engine, &questions, &e))
		return;
	for (size_t i = 0; i < questions.count; i++) {
		const struct question *q = &questions.list[i];

		if (!question_is_about(q, &x->target))
			continue;
		if (q->waits)
			printf("  it waits for an answer: ohguard allow %s, or ohguard deny %s\n",
			       question_target(q, text), text);
		else
			puts("  it was denied, and is not asked about for a while");
		break;
	}
	questions_free(&questions);
}

static void print_dns(const struct explain *x)
{
	char text[ADDRESS_TEXT_MAX];
	size_t plain = 0;

	if (x->dns_failure)
		printf("  DNS says: %s\n", x->dns_failure);
	for (size_t i = 0; i < x->dns_count; i++) {
		if (!x->dns[i].refused)
			printf("%s%s", plain++ ? ", " : "  DNS says: ", address_format(&x->dns[i].address, text));
	}
	if (plain)
		putchar('\n');
	for (size_t i = 0; i < x->dns_count; i++) {
		const struct dns_address *d = &x->dns[i];

		if (!d->refused)
			continue;
		printf("  DNS says: %s", address_format(&d->address, text));
		if (address_is_metadata(&d->address, &x->g->config.nat64))
			printf(", which is the metadata service's: no answer may hold it\n");
		else
			printf(", which is %s: [dns] private = %s %s if that is meant\n", d->refused, x->target.name,
			       text);
	}
}

static void print_refusal(const struct explain *x, const struct history_record *r)
{
	int64_t now = time(NULL);
	char span[24], line[ADVICE_MAX];

	printf("  %s %llu time%s, last %s ago: ", r->observed ? "observed" : "refused", (unsigned long long)r->count,
	       TEXT_PLURAL(r->count), text_seconds(now > r->last ? (uint64_t)(now - r->last) : 0, span, sizeof(span)));
	history_print_why(stdout, r);
	fputs(", ", stdout);
	history_print_who(stdout, r);
	fputs(" to ", stdout);
	history_print_what(stdout, r);
	putchar('\n');
	if (find_advice(x, r, line) && strcmp(line, x->line))
		printf("    to allow that: %s\n", line);
}

static void print_text(const struct explain *x)
{
	char text[OH_TARGET_TEXT_MAX];

	printf("%s: %s", target_identity(&x->target, text), x->found.reason == OH_TARGET ? "allowed" : "not allowed");
	if (x->found.reason != OH_TARGET)
		printf(" (%s: %s)", reason_name(x->found.reason), reason_text(x->found.reason));
	else if (x->g->engine.settings.observe)
		printf(", and nothing is refused (--observe)");
	putchar('\n');
	print_by(x);
	print_question(x);
	print_dns(x);
	if (*x->line)
		printf("  to allow it: %s\n", x->line);
	for (size_t i = 0; i < x->refused.count && i < LAST_MAX; i++)
		print_refusal(x, x->refused.group[i].record);
	if (x->refused.count > LAST_MAX)
		printf("  and %zu more kind%s of refusal: ohguard events --summary\n", x->refused.count - LAST_MAX,
		       TEXT_PLURAL(x->refused.count - LAST_MAX));
}

static void json_refusal(struct json *j, const struct history_record *r)
{
	char time[TEXT_TIME_MAX], address[ADDRESS_TEXT_MAX];

	json_object(j, NULL);
	json_string(j, "last", text_time(r->last, time));
	json_number(j, "count", (int64_t)r->count);
	json_string(j, "reason", reason_name(r->reason));
	json_string(j, "name", r->name);
	json_string(j, "destination", !r->name && history_address_is_set(&r->destination) ?
		    address_format(&r->destination, address) : NULL);
	json_number(j, "destination_port", r->reason == OH_DNS_NAME_NOT_ALLOWED ? 0 : r->destination_port);
	json_string(j, "command", r->command);
	json_string(j, "container", r->container);
	json_string(j, "container_name", r->container_name);
}

static void print_json(const struct explain *x)
{
	char text[OH_TARGET_TEXT_MAX], time[TEXT_TIME_MAX], address[ADDRESS_TEXT_MAX], line[ADVICE_MAX];
	static const char *const sources[] = { "config", "runtime", "grant" };
	struct json j;

	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "instance", x->options->guard.instance);
	json_string(&j, "target", target_format(&x->target, text));
	json_number(&j, "port", x->target.port);
	json_bool(&j, "allowed", x->found.reason == OH_TARGET);
	json_string(&j, "reason", reason_name(x->found.reason));
	json_string(&j, "by", x->by ? x->found.target.text : x->rule);
	json_string(&j, "source", x->by ? sources[x->by->source] : NULL);
	json_string(&j, "where", *x->where ? x->where : NULL);
	json_string(&j, "lapses", x->by && x->by->lapses ? text_time(x->by->lapses, time) : NULL);
	json_string(&j, "lapsed", x->lapsed ? text_time(x->lapsed, time) : NULL);
	json_string(&j, "dns_error", x->dns_failure);
	json_array(&j, "dns");
	for (size_t i = 0; i < x->dns_count; i++) {
		json_object(&j, NULL);
		json_string(&j, "address", address_format(&x->dns[i].address, address));
		json_bool(&j, "admitted", !x->dns[i].refused);
		json_string(&j, "why", x->dns[i].refused);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_array(&j, "refusals");
	for (size_t i = 0; i < x->refused.count && i < LAST_MAX; i++) {
		json_refusal(&j, x->refused.group[i].record);
		json_string(&j, "advice", find_advice(x, x->refused.group[i].record, line) ? line : NULL);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_string(&j, "advice", *x->line ? x->line : NULL);
	json_object_end(&j);
	json_end(&j);
}

/* The most refused, of all or of a container. */
static void print_ranked(struct explain *x)
{
	size_t shown;
	struct json j;

	shown = x->refused.count < RANKED_MAX || x->options->json ? x->refused.count : RANKED_MAX;
	if (!shown && !x->options->json)
		puts("nothing was refused");
	for (size_t i = 0; i < shown; i++) {
		const struct history_record *r = x->refused.group[i].record;
		char line[ADVICE_MAX];
		bool known = !advice(r, &x->g->policy, line, sizeof(line));

		if (x->options->json) {
			json_start(&j, stdout);
			json_refusal(&j, r);
			json_string(&j, "advice", known ? line : NULL);
			json_object_end(&j);
			json_end(&j);
			continue;
		}
		printf("%6llu  ", (unsigned long long)r->count);
		history_print_what(stdout, r);
		printf("  %s by ", reason_name(r->reason));
		history_print_who(stdout, r);
		printf("\n        %s%s%s\n", known ? "" : "(", line, known ? "" : ")");
	}
	if (shown < x->refused.count)
		printf("and %zu more: ohguard events --summary\n", x->refused.count - shown);
}

/* "github.com:22", "[2001:db8::1]:22", and not "2001:db8::1". */
static bool has_port(const char *text)
{
	const char *colon = strrchr(text, ':'), *bracket = strchr(text, ']');

	return colon && (bracket ? colon > bracket : strchr(text, ':') == colon);
}

/* A word without a dot that is no address names a container. */
static int read_argument(struct explain *x, struct error *e)
{
	const char *text = x->options->argc ? x->options->argv[0] : NULL;

	x->everything = !text;
	x->container = text && !strpbrk(text, ".:");
	x->any_port = text && !has_port(text);
	return x->everything || x->container ? 0 : target_parse(text, &x->target, e);
}

static int look(struct explain *x, struct error *e)
{
	int r = guard_look(x->g, time(NULL), e);

	if (!r)
		r = read_refusals(x, e);
	if (r || x->everything || x->container)
		return r;
	r = decide(x, e);
	if (!r && x->target.kind == TARGET_NAME)
		r = ask_dns(x, e);
	if (!r)
		find_line_to_type(x);
	return r;
}

static int explain(const struct cmd_options *o)
{
	struct explain *x = calloc(1, sizeof(*x));
	struct guard g;
	struct error e;
	int r = x ? guard_open(&o->guard, &g, &e) : error_set(&e, ENOMEM, "out of memory");

	if (r) {
		free(x);
		return cmd_open_failed(r, &e);
	}
	x->options = o;
	x->g = &g;
	r = read_argument(x, &e);
	if (!r)
		r = look(x, &e);
	if (r)
		cmd_fail(&e);
	else if (x->everything || x->container)
		print_ranked(x);
	else if (o->json)
		print_json(x);
	else
		print_text(x);
	history_summary_free(&x->refused);
	free(x);
	guard_close(&g);
	return r ? CMD_FAILED : CMD_OK;
}

int cmd_explain(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	int r = cmd_parse(argc, argv, NULL, "[TARGET|CONTAINER]", &common);

	if (r != CMD_GO_ON)
		return r;
	if (common.argc > 1)
		return cmd_usage("explain: one at a time: %s or %s?", common.argv[0], common.argv[1]);
	return explain(&common);
}
