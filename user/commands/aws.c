// SPDX-License-Identifier: MIT
/* ohguard aws: the network and the machines in AWS. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/apply.h"
#include "aws/deliver.h"
#include "aws/hosts.h"
#include "aws/operate.h"
#include "aws/render.h"
#include "aws/secrets.h"
#include "aws/snapshot.h"
#include "aws/state.h"
#include "aws/status.h"
#include "aws/turn.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "commands/complete.h"

struct options {
	struct cmd_options common;
	int yes, open, no_deliver, new_password, remove, keep_state, list, verbose, offline, follow, force,
	    when_idle;
	const char *confirm, *replace, *via, *unit, *since;
	bool planning, told;	/* told: the JSON is out */
	int wait, timeout;
	struct stack stack;
};

static int finish(int r, const struct error *e)
{
	return r ? cmd_fail(e) : CMD_OK;
}

/* Reads the line that answers a question. False if nobody is there to ask. */
static bool ask(const char *question, char *answer, int size)
{
	fputs(question, stderr);
	fflush(stderr);
	if (!fgets(answer, size, stdin))
		return false;
	answer[strcspn(answer, "\r\n")] = '\0';
	return true;
}

static int check_replace(const struct options *o, struct error *e)
{
	const char *key = o->replace;

	if (!key || !strcmp(key, "proxy") || !strncmp(key, "server-", 7))
		return 0;
	return error_set(e, EINVAL, "--replace %s: expected proxy or server-N", key);
}

static int open_plan(struct options *o, struct stack_view *v, struct error *e)
{
	/* A plan can be looked at before one knows where one will come from. */
	bool no_operator = o->planning && !o->stack.operator_count;
	int r = no_operator ? 0 : stack_check_operator(&o->stack, o->open, e);

	if (no_operator)
		strcpy(o->stack.operators[o->stack.operator_count++].text, "<operator>");
	if (!r)
		r = check_replace(o, e);
	if (r)
		return r;
	r = o->offline ? view_open_offline(v, &o->stack, e) : view_open(v, &o->stack, (unsigned int)o->timeout, e);
	if (!r && o->replace && !view_node(v, o->replace))
		r = error_set(e, ENOENT, "--replace %s: no such machine in this stack", o->replace);
	v->replace = o->replace;
	return r ? r : view_plan(v, e);
}

static int run_plan(struct options *o)
{
	struct stack_view v = { 0 };
	struct error e;
	int r;

	o->planning = true;
	r = open_plan(o, &v, &e);
	if (!r && o->common.json)
		plan_print_json(&v, stdout);
	else if (!r)
		plan_print(&v, o->verbose, stdout);
	view_close(&v);
	return finish(r, &e);
}

/* What is left for this run to do. */
static unsigned int to_do(const struct options *o, const struct stack_view *v)
{
	return v->change_count - view_count(v, CHANGE_NOTE) - (o->no_deliver ? view_count(v, CHANGE_DELIVER) : 0);
}

static int apply_stack(struct options *o, struct stack_view *v, int lock, bool *notes, struct error *e)
{
	bool stood = false;
	char answer[16];
	int r = stack_check_openhands(&o->stack, e);

	if (!r)
		r = open_plan(o, v, e);
	if (r)
		return r;
	plan_print(v, o->verbose, stderr);
	*notes = view_count(v, CHANGE_NOTE);
	if (key_is_missing(v))
		return error_set(e, ENOKEY, "%s: the stack's private key is not here: copy it from where `apply` ran "
				 "first; without it nobody reaches the machines", o->stack.state);
	if (to_do(o, v) && !o->yes && (!ask("Do this? [y/N] ", answer, sizeof(answer)) || strcasecmp(answer, "y")))
		return error_set(e, ECANCELED, "nothing was done: answer y, or give --yes");
	if (!to_do(o, v) && o->no_deliver)
		return 0;
	r = turn_take(v, lock, o->force, e);
	stood = v->turn_until;
	if (r || !to_do(o, v))
		return r;
	/* Before the lock was ours, somebody else may have been at work. */
	if (stood)
		r = view_refresh_all(v, e);
	if (!r)
		r = stack_apply(v, stderr, e);
	if (r)
		return r;
	r = view_plan(v, e);
	*notes = v->change_count > view_count(v, CHANGE_DELIVER);
	if (!r && *notes)
		plan_print(v, o->verbose, stderr);
	return r;
}

static int run_apply(struct options *o)
{
	struct stack_view v = { 0 };
	struct error e;
	bool notes = false;
	int lock = -1, r;

	proc_catch_interrupts();
	r = state_lock(&o->stack, &lock, &e);
	if (!r)
		r = apply_stack(o, &v, lock, &notes, &e);
	if (!r && !o->no_deliver)
		r = deliver(&v, NULL, 0, false, stderr, &e);
	turn_release(&v);
	if (!r && o->common.json)
		status_print_json(&v, stdout);
	view_close(&v);
	if (lock >= 0)
		close(lock);
	if (r)
		return cmd_fail(&e);
	return notes ? CMD_DEGRADED : CMD_OK;
}

/* user: whose password this is, or NULL. */
static void print_changed(const struct stack_view *v, const char *user, const char *password)
{
	struct json j;

	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "stack", v->stack->name);
	json_bool(&j, "changed", v->changed);
	if (user) {
		json_string(&j, "user", user);
		json_string(&j, "password", *password ? password : NULL);
	}
	json_object_end(&j);
	json_end(&j);
}

static int confirm_destroy(struct options *o, struct error *e)
{
	char answer[64] = "";
	const char *name = o->confirm;

	if (!name && ask("This cannot be undone. Type the stack's name to go on: ", answer, sizeof(answer)))
		name = answer;
	if (!name || strcmp(name, o->stack.name))
		return error_set(e, ECANCELED, "nothing was done: the name is %s (--confirm %s)", o->stack.name,
				 o->stack.name);
	return 0;
}

static int run_destroy(struct options *o)
{
	struct stack_view v = { 0 };
	struct error e;
	int lock = -1, r;

	proc_catch_interrupts();
	r = state_lock(&o->stack, &lock, &e);
	if (!r)
		r = view_open(&v, &o->stack, (unsigned int)o->timeout, &e);
	v.keep_state = o->keep_state;
	/* Two of a kind are an error for the other commands; this one removes both. */
	if (r == -EEXIST)
		r = 0;
	if (!r && !destroy_list(&v, stderr)) {
		/* The key stays: a stack in another region or account may use it. */
		fprintf(stderr, "Nothing in %s carries the tag of stack %s. %s stays as it is.\n", o->stack.region,
			o->stack.name, o->stack.state);
	} else if (!r) {
		r = confirm_destroy(o, &e);
		if (!r)
			r = turn_take(&v, lock, o->force, &e);
		if (!r)
			r = stack_destroy(&v, (unsigned int)o->wait, stderr, &e);
	}
	turn_release(&v);
	if (!r && o->common.json)
		print_changed(&v, NULL, NULL);
	view_close(&v);
	if (lock >= 0)
		close(lock);
	return finish(r, &e);
}

static int render_one(struct options *o, const char *name, unsigned int server)
{
	struct error e;
	char *text;

	if (render(&o->stack, name, server, &text, &e))
		return cmd_fail(&e);
	fputs(text, stdout);
	free(text);
	return CMD_OK;
}

static int run_policy(struct options *o)
{
	return render_one(o, "iam-policy", 0);
}

static int run_render(struct options *o)
{
	const char *name = o->common.argc ? o->common.argv[0] : NULL;
	uint64_t server = 1;

	if (!name) {
		for (unsigned int i = 0; i < templates_count; i++)
			printf("%-26s %s\n", templates[i].name, templates[i].help);
		return CMD_OK;
	}
	if (!strncmp(name, "server-", 7) && !text_parse_number(name + 7, 1, STACK_SERVERS_MAX, &server))
		name = "server";
	return render_one(o, name, (unsigned int)server);
}

static int act_status(struct options *o, struct stack_view *v, struct error *e)
{
	(void)e;
	if (o->common.json)
		status_print_json(v, stdout);
	else
		status_print(v, stdout);
	return 0;
}

static int act_deliver(struct options *o, struct stack_view *v, struct error *e)
{
	if (o->via && !strcmp(o->via, "ssm"))
		return deliver_policy_ssm(v, o->common.argv, o->common.argc, stderr, e);
	return deliver(v, o->common.argv, o->common.argc, true, stderr, e);
}

static int act_versions(struct options *o, struct stack_view *v, struct error *e)
{
	return deliver_versions(v, o->common.json, stdout, e);
}

static int act_verify(struct options *o, struct stack_view *v, struct error *e)
{
	return aws_verify(v, o->common.json, stdout, e);
}

static int act_set_key(struct options *o, struct stack_view *v, struct error *e)
{
	return secrets_set_key(v, stdin, o->when_idle, o->common.argv, o->common.argc, stderr, e);
}

static int act_password(struct options *o, struct stack_view *v, struct error *e)
{
	const char *user = o->common.argc ? o->common.argv[0] : "agent";
	char password[64];
	int r;

	if (o->common.argc > 1)
		return error_set(e, EINVAL, "password: one user at a time");
	if (o->new_password && o->remove)
		return error_set(e, EINVAL, "password: --new or --remove, not both");
	r = secrets_password(v, o->remove ? PASSWORD_REMOVE : o->new_password ? PASSWORD_NEW : PASSWORD_FETCH, user,
			     password, e);
	if (!r && o->common.json) {
		print_changed(v, user, password);
		o->told = true;
	} else if (!r && *password) {
		printf("user %s, password ", user);
		text_print(stdout, password);
		putchar('\n');
	}
	explicit_bzero(password, sizeof(password));
	return r;
}

static int act_snapshot(struct options *o, struct stack_view *v, struct error *e)
{
	if (o->list)
		return snapshot_list(v, o->common.json, stdout, e);
	return snapshot_make(v, o->common.argv, o->common.argc, o->common.json, stdout, e);
}

static int act_update(struct options *o, struct stack_view *v, struct error *e)
{
	return operate_update(v, o->common.argv, o->common.argc, stderr, e);
}

static int act_stop(struct options *o, struct stack_view *v, struct error *e)
{
	(void)o;
	return operate_power(v, false, stderr, e);
}

static int act_start(struct options *o, struct stack_view *v, struct error *e)
{
	(void)o;
	return operate_power(v, true, stderr, e);
}

static int act_logs(struct options *o, struct stack_view *v, struct error *e)
{
	const struct logs_wanted wanted = { o->unit, o->since, o->follow };

	if (o->common.argc > 1)
		return error_set(e, EINVAL, "logs: one machine at a time");
	return operate_logs(v, o->common.argc ? o->common.argv[0] : "server-1", &wanted, e);
}

static int act_ssh(struct options *o, struct stack_view *v, struct error *e)
{
	int count = o->common.argc;

	return operate_ssh(v, count ? o->common.argv[0] : "server-1", count ? o->common.argv + 1 : NULL,
			   count ? count - 1 : 0, e);
}

/* Which options a command takes besides --timeout and those that all commands take. */
enum {
	YES = 1, OPEN = 2, REPLACE = 4, NO_DELIVER = 8, CONFIRM = 16, WAIT = 32, VIA = 64, NEW = 128, LIST = 256,
	VERBOSE = 512, OFFLINE = 1024, LOGS = 2048, FORCE = 4096, IDLE = 8192
};

struct subcommand {
	const char *name;
	int (*run)(struct options *o);	/* by itself ... */
	/* ... or on the stack as AWS shows it. With FORCE it changes something, and so holds the locks. */
	int (*act)(struct options *o, struct stack_view *v, struct error *e);
	const char *arguments;		/* of an example, NULL: it takes none */
	unsigned int options;
	const char *help;
};
static const struct subcommand subcommands[] = {
	{ "plan", run_plan, NULL, NULL, OPEN | REPLACE | VERBOSE | OFFLINE,
	  "show what would be made, changed or removed, at what cost" },
	{ "apply", run_apply, NULL, NULL, YES | OPEN | REPLACE | NO_DELIVER | VERBOSE | FORCE,
	  "build it; run again, it repairs what differs" },
	{ "status", NULL, act_status, NULL, 0, "draw the network with live ids and states" },
	{ "verify", NULL, act_verify, NULL, 0,
	  "try what must work and must fail, on the servers and from outside" },
	{ "deliver", NULL, act_deliver, "server-1", VIA | FORCE,
	  "copy to the machines what they are made of, and set them up" },
	{ "versions", NULL, act_versions, NULL, 0, "show which program and policy each server has" },
	{ "set-key", NULL, act_set_key, "<key", FORCE | IDLE,
	  "give the servers the API key, from standard input" },
	{ "password", NULL, act_password, "alice", NEW | FORCE, "show the web password of a user, once" },
	{ "logs", NULL, act_logs, "server-1 --follow", LOGS, "show what the units of a machine said (server-1)" },
	{ "ssh", NULL, act_ssh, "server-1", 0, "log in to a machine (server-1), or run a command there" },
	{ "update", NULL, act_update, "server-1", FORCE, "install Ubuntu's updates, and start again what needs it" },
	{ "stop", NULL, act_stop, NULL, FORCE, "stop the machines, as for a night" },
	{ "start", NULL, act_start, NULL, FORCE, "start them again" },
	{ "snapshot", NULL, act_snapshot, "server-1", LIST,
	  "keep what the servers' agents have made so far (--list: show)" },
	{ "policy", run_policy, NULL, NULL, 0, "print what the AWS user or role needs, as an IAM policy" },
	{ "render", run_render, NULL, "server-1", 0, "print a generated file" },
	{ "destroy", run_destroy, NULL, NULL, CONFIRM | WAIT | FORCE,
	  "remove everything that carries the stack's tag" },
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(*subcommands))

static void print_help(FILE *out)
{
	fputs("Usage: ohguard aws COMMAND [OPTION...]\n\n", out);
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		fprintf(out, "  %-10s %s\n", subcommands[i].name, subcommands[i].help);
	fputs("\nThe [stack] section of the configuration says what is built. See ohguard aws\n"
	      "COMMAND --help for its options.\n", out);
}

static void offer_machines(unsigned int servers)
{
	char name[24];

	complete_offer("proxy", NULL);
	for (unsigned int i = 1; i <= servers; i++) {
		snprintf(name, sizeof(name), "server-%u", i);
		complete_offer(name, NULL);
	}
}

static int act(struct options *o, const struct subcommand *command)
{
	bool changes = command->options & FORCE;
	struct stack_view v = { 0 };
	struct error e;
	int lock = -1, r = 0;

	proc_catch_interrupts();
	if (changes)
		r = state_lock(&o->stack, &lock, &e);
	if (!r)
		r = view_open(&v, &o->stack, (unsigned int)o->timeout, &e);
	if (!r && changes)
		r = turn_take(&v, lock, o->force, &e);
	if (!r)
		r = command->act(o, &v, &e);
	turn_release(&v);
	if (!r && changes && o->common.json && !o->told)
		print_changed(&v, NULL, NULL);
	view_close(&v);
	if (lock >= 0)
		close(lock);
	return finish(r, &e);
}

/* What --help says, of this command alone. */
static void describe(const struct subcommand *s)
{
	static char example[64];
	static struct cmd described = { .elsewhere = true, .example = example };

	snprintf(example, sizeof(example), "ohguard aws %s%s%s", s->name, s->arguments ? " " : "",
		 s->arguments ? s->arguments : "");
	described.name = s->name;
	described.help = s->help;
	cmd_running = &described;
}

static int no_such_command(const char *name)
{
	const char *names[SUBCOMMANDS], *near;

	for (size_t i = 0; i < SUBCOMMANDS; i++)
		names[i] = subcommands[i].name;
	near = text_nearest(name, names, SUBCOMMANDS);
	if (near)
		return cmd_usage("aws %s: no such command: did you mean ohguard aws %s?", name, near);
	return cmd_usage("aws %s: no such command: see ohguard aws --help", name);
}

static int run_subcommand(size_t i, int argc, char **argv)
{
	struct options o = { .wait = 900, .timeout = 150 };
	const struct {
		unsigned int option;
		struct poptOption popt;
	} all[] = {
		{ YES, { "yes", 'y', POPT_ARG_NONE, &o.yes, 0, "Do not ask", NULL } },
		{ OPEN, { "open", 0, POPT_ARG_NONE, &o.open, 0, "The operator's range may be the whole world", NULL } },
		{ REPLACE, { "replace", 0, POPT_ARG_STRING, &o.replace, 0, "Make this instance again from nothing",
			     "proxy|server-N" } },
		{ NO_DELIVER, { "no-deliver", 0, POPT_ARG_NONE, &o.no_deliver, 0, "Only the AWS part", NULL } },
		{ CONFIRM, { "confirm", 0, POPT_ARG_STRING, &o.confirm, 0, "The stack's name, instead of asking",
			     "NAME" } },
		{ CONFIRM, { "keep-state", 0, POPT_ARG_NONE, &o.keep_state, 0,
			     "Leave the volumes with the agents' state", NULL } },
		{ WAIT, { "wait", 0, POPT_ARG_INT, &o.wait, 0, "How long to wait for what is in use (900)",
			  "SECONDS" } },
		{ VIA, { "via", 0, POPT_ARG_STRING, &o.via, 0, "ssm: send the policy by AWS Systems Manager",
			 "ssh|ssm" } },
		{ NEW, { "new", 0, POPT_ARG_NONE, &o.new_password, 0, "Make another password", NULL } },
		{ NEW, { "remove", 0, POPT_ARG_NONE, &o.remove, 0, "Take this user's password away", NULL } },
		{ VERBOSE, { "verbose", 'v', POPT_ARG_NONE, &o.verbose, 0, "With the command of each step", NULL } },
		{ OFFLINE, { "offline", 0, POPT_ARG_NONE, &o.offline, 0, "Ask AWS nothing: the whole plan", NULL } },
		{ LOGS, { "unit", 0, POPT_ARG_STRING, &o.unit, 0, "Of this unit alone", "UNIT" } },
		{ LOGS, { "since", 0, POPT_ARG_STRING, &o.since, 0, "From then on, as journalctl takes it", "TIME" } },
		{ LOGS, { "follow", 'f', POPT_ARG_NONE, &o.follow, 0, "And what comes", NULL } },
		{ FORCE, { "force", 0, POPT_ARG_NONE, &o.force, 0, "Take the stack from a run that died", NULL } },
		{ IDLE, { "when-idle", 0, POPT_ARG_NONE, &o.when_idle, 0, "Once no conversation is at work (1 h)",
			  NULL } },
		{ LIST, { "list", 0, POPT_ARG_NONE, &o.list, 0, "Show those there are", NULL } },
		{ ~0u, { "timeout", 0, POPT_ARG_INT, &o.timeout, 0, "How long one call of aws may take (150)",
			 "SECONDS" } },
	};
	struct poptOption table[sizeof(all) / sizeof(*all) + 1] = { 0 };
	size_t count = 0;
	struct error e;
	int r;

	for (size_t k = 0; k < sizeof(all) / sizeof(*all); k++) {
		if (all[k].option == ~0u || (all[k].option & subcommands[i].options))
			table[count++] = all[k].popt;
	}
	r = cmd_parse(argc, argv, table, subcommands[i].arguments ? "[NAME...]" : NULL, &o.common);
	if (r == CMD_COMPLETE && subcommands[i].arguments && !stack_read(NULL, &o.stack, &e))
		offer_machines(o.stack.servers);
	if (r != CMD_GO_ON)
		return r;
	if (o.wait < 0 || o.wait > 86400)
		return cmd_usage("--wait %d: expected 0 to 86400 seconds", o.wait);
	if (o.timeout < 1 || o.timeout > 3600)
		return cmd_usage("--timeout %d: expected 1 to 3600 seconds", o.timeout);
	if (o.via && strcmp(o.via, "ssh") && strcmp(o.via, "ssm"))
		return cmd_usage("--via %s: expected ssh or ssm", o.via);
	r = stack_read(o.common.guard.config, &o.stack, &e);
	if (r)
		return cmd_fail(&e);
	return subcommands[i].run ? subcommands[i].run(&o) : act(&o, &subcommands[i]);
}

int cmd_aws(int argc, char **argv)
{
	char name[64];

	for (size_t i = 0; completing && argc < 2 && i < SUBCOMMANDS; i++)
		complete_offer(subcommands[i].name, subcommands[i].help);
	if (completing && argc < 2)
		return CMD_OK;
	if (argc < 2) {
		print_help(stderr);
		return CMD_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help(stdout);
		return CMD_OK;
	}
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		if (strcmp(argv[1], subcommands[i].name))
			continue;
		snprintf(name, sizeof(name), "ohguard aws %s", argv[1]);
		argv[1] = name;
		describe(&subcommands[i]);
		return run_subcommand(i, argc - 1, argv + 1);
	}
	return no_such_command(argv[1]);
}
