// SPDX-License-Identifier: MIT
#include "aws/deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/program.h"
#include "aws/render.h"
#include "aws/secrets.h"
#include "aws/ssh.h"
#include "aws/state.h"
#include "aws/turn.h"
#include "base/fingerprint.h"
#include "base/json.h"
#include "base/text.h"

#define SETUP_SECONDS 3600	/* an image of OpenHands has gigabytes */
#define PLACE ".ohguard-delivery"

#define GUARD_UNITS "ohguard.service", "ohguard-refresh.service", "ohguard-refresh.timer", \
	"ohguard-events.service", "ohguard-gate.service"

/* What goes to a machine, besides the program. Each is a template of that name, but for "policy" and
 * "openhands.settings". */
static const char *const server_files[] = {
	"server-setup", "policy-install", "openhands-run.sh", "openhands-docker.sh", "openhands-settings.py",
	"set-key.sh", "state-disk", "grow", "update", "update.service", "openhands.service",
	"openhands-docker.service", "policy", "openhands.settings", GUARD_UNITS
};
static const char *const proxy_files[] = {
	"proxy-setup", "policy-proxy", "proxy-password", "proxy-session", "grow", "update", "update.service",
	"nginx-site", "fail2ban", "fail2ban-web", "certificate", "certificate.service", GUARD_UNITS
};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define FILES_MAX 24

struct delivery {
	const char *const *files;
	size_t count;
	char *texts[FILES_MAX];
	char program[PROGRAM_PATH_MAX];
	char id[20];	/* changes with any of them, and with the program */
	const char *setup, *mark;
};

/* The policy to deliver: the file that [stack] names, or the generated one. */
int deliver_policy_text(const struct stack *stack, char **ret, struct error *e)
{
	return *stack->policy ? state_read_text(stack->policy, ret, e) : render(stack, "policy", 0, ret, e);
}

static int hash_program(const char *program, uint64_t *hash, struct error *e)
{
	char block[65536];
	int fd = open(program, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	while (fd >= 0 && (n = read(fd, block, sizeof(block))) > 0)
		*hash = fingerprint_add(*hash, block, (size_t)n);
	if (fd >= 0)
		close(fd);
	return n ? error_set(e, EIO, "%s: cannot be read", program) : 0;
}

/* One JSON object, as OpenHands' PATCH /api/settings takes it. */
static int settings_text(const struct stack *stack, char **ret, struct error *e)
{
	static const char *const known[] = { "agent_settings_diff", "conversation_settings_diff",
					     "misc_settings_diff" };
	char *text = NULL;
	doc *d = NULL;
	size_t members = 0;
	int r;

	if (!*stack->openhands_settings) {
		*ret = strdup("{}");
		return *ret ? 0 : error_set(e, ENOMEM, "out of memory");
	}
	r = state_read_text(stack->openhands_settings, &text, e);
	if (!r)
		r = doc_parse(text, strlen(text), &d, e);
	if (r) {
		error_prefix(e, 0, "openhands-settings");
		free(text);
		return r;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		members += doc_is_object(doc_get(d, known[i]));
	if (!doc_is_object(d) || members != doc_members(d))
		r = error_set(e, EINVAL, "%s: expected a JSON object of agent_settings_diff, "
			      "conversation_settings_diff and misc_settings_diff, each an object, as OpenHands' PATCH "
			      "/api/settings takes them", stack->openhands_settings);
	doc_free(d);
	if (r)
		free(text);
	else
		*ret = text;
	return r;
}

static void delivery_free(struct delivery *d)
{
	for (size_t i = 0; i < FILES_MAX; i++)
		free(d->texts[i]);
}

/* All texts in memory: nothing is written to find out whether something is to be delivered. */
static int delivery_make(const struct stack *stack, const struct node *n, struct delivery *d, struct error *e)
{
	uint64_t hash = FINGERPRINT_START;
	int r = 0;

	*d = (struct delivery){ .files = n->server ? server_files : proxy_files,
		.count = n->server ? COUNT(server_files) : COUNT(proxy_files),
		.setup = n->server ? "sudo -n bash " PLACE "/server-setup" : "sudo -n bash " PLACE "/proxy-setup",
		.mark = n->server ? "cat /var/lib/ohguard-setup/delivery-id" :
			"cat /var/lib/ohguard-setup/proxy-delivery-id" };
	for (size_t i = 0; !r && i < d->count; i++) {
		if (!strcmp(d->files[i], "policy"))
			r = deliver_policy_text(stack, &d->texts[i], e);
		else if (!strcmp(d->files[i], "openhands.settings"))
			r = settings_text(stack, &d->texts[i], e);
		else
			r = render(stack, d->files[i], n->server, &d->texts[i], e);
		if (!r)
			hash = fingerprint_add(hash, d->texts[i], strlen(d->texts[i]));
	}
	if (!r)
		r = program_find(stack, n->server ? stack->server_type : stack->proxy_type, d->program, e);
	if (!r)
		r = hash_program(d->program, &hash, e);
	snprintf(d->id, sizeof(d->id), "%016llx", (unsigned long long)hash);
	if (r)
		delivery_free(d);
	return r;
}

/* To the state folder, since scp copies files. */
static int delivery_write(const struct stack *stack, const struct delivery *d, struct error *e)
{
	char path[300];
	int r = state_make(stack, e);

	snprintf(path, sizeof(path), "%s/delivery", stack->state);
	if (!r && mkdir(path, 0700) && errno != EEXIST)
		r = error_set(e, errno, "%s: %s", path, strerror(errno));
	for (size_t i = 0; !r && i <= d->count; i++) {
		snprintf(path, sizeof(path), "delivery/%s", i < d->count ? d->files[i] : "delivery-id");
		r = state_replace(stack, path, i < d->count ? d->texts[i] : d->id, e);
	}
	return r;
}

/* True if the machine has finished setting up exactly this. */
static bool has_it(struct stack_view *v, const char *host, const struct delivery *d)
{
	struct proc_result result;
	struct error ignored;
	bool same = !ssh_run(v, host, d->mark, NULL, 60, &result, &ignored) && !strcmp(result.out, d->id);

	proc_free(&result);
	return same;
}

static int copy_files(struct stack_view *v, const struct node *n, const struct delivery *d, struct error *e)
{
	char names[FILES_MAX + 1][320];
	const char *paths[FILES_MAX + 2], *only_program[] = { d->program, NULL };
	int r;

	for (size_t i = 0; i <= d->count; i++) {
		snprintf(names[i], sizeof(names[i]), "%s/delivery/%s", v->stack->state,
			 i < d->count ? d->files[i] : "delivery-id");
		paths[i] = names[i];
	}
	paths[d->count + 1] = NULL;
	r = ssh_copy(v, n->key, paths, PLACE "/", e);
	return r ? r : ssh_copy(v, n->key, only_program, PLACE "/ohguard", e);
}

/* So that a plan can tell what is still to be delivered, without reaching the machine. */
static int tag_delivered(struct stack_view *v, const struct node *n, const char *id, struct error *e)
{
	struct args args = { 0 };
	int r;

	args_words(&args, "ec2 create-tags --resources");
	args_add(&args, "%s", node_id(n));
	args_add(&args, "--tags");
	args_add(&args, "Key=" TAG_DELIVERED ",Value=%s", id);
	r = aws_call(&v->aws, &args, NULL, NULL, e);
	args_free(&args);
	return r;
}

int deliver_id(const struct stack *stack, const struct node *n, char ret[20], struct error *e)
{
	struct delivery d;
	int r = delivery_make(stack, n, &d, e);

	if (r)
		return r;
	memcpy(ret, d.id, 20);
	delivery_free(&d);
	return 0;
}

static int set_up(struct stack_view *v, const struct node *n, const struct delivery *d, FILE *progress, struct error *e)
{
	int r = delivery_write(v->stack, d, e);

	if (!r)
		r = ssh_must(v, n->key, "rm -rf " PLACE " && mkdir -m 0700 " PLACE, NULL, 60, "making room", e);
	if (!r) {
		fprintf(progress, "%s: program, policy%s\n", n->key, n->server ? " and units" : ", site and scripts");
		r = copy_files(v, n, d, e);
	}
	if (!r) {
		fprintf(progress, "%s: setting up (the first time: %s, some minutes)\n", n->key,
			n->server ? "Docker and OpenHands" : "nginx and fail2ban");
		r = ssh_must(v, n->key, d->setup, NULL, SETUP_SECONDS, n->server ? "server-setup" : "proxy-setup", e);
	}
	return r;
}

static int deliver_one(struct stack_view *v, const struct node *n, bool again, FILE *progress, struct error *e)
{
	struct delivery d;
	int r = ssh_wait(v, n->key, 600, progress, e);
	bool has;

	if (!r)
		r = delivery_make(v->stack, n, &d, e);
	if (r)
		return r;
	has = !again && has_it(v, n->key, &d);
	/* Either way: a disk that apply has grown is no part of a delivery. */
	if (has)
		r = ssh_must(v, n->key, "sudo -n /usr/local/sbin/ohguard-grow", NULL, 300, "growing file systems", e);
	else
		r = set_up(v, n, &d, progress, e);
	v->changed |= !r && !has;
	if (!r && n->server)
		r = session_share(v, n, e);
	if (!r && strcmp(doc_tag(n->found, TAG_DELIVERED), d.id))
		r = tag_delivered(v, n, d.id, e);
	if (!r)
		fprintf(progress, "%s: %s\n", n->key, has ? "has this delivery" : n->server ? "guarded" :
			"guarded, and open to the operator");
	delivery_free(&d);
	return r;
}

/* The proxy is before the servers in the table, as their session keys go to it. */
int deliver(struct stack_view *v, const char *const *names, int count, bool again, FILE *progress, struct error *e)
{
	int r = view_check_names(v, names, count, true, e);

	if (!r)
		r = stack_check_openhands(v->stack, e);
	for (unsigned int i = 0; !r && i < v->count; i++) {
		if (proc_interrupted())
			return error_set(e, EINTR, "interrupted: the same command goes on from there");
		if (!node_is_wanted(&v->nodes[i], names, count))
			continue;
		r = turn_hold(v, SETUP_SECONDS + TURN_SECONDS, e);
		if (!r)
			r = deliver_one(v, &v->nodes[i], again, progress, e);
	}
	return r;
}

void deliver_print_versions(const char *server, const char *versions, FILE *out)
{
	char program[16] = "", policy[16] = "";

	sscanf(versions, "%15s %15s", program, policy);
	fprintf(out, "%-12s ", server);
	text_print(out, *program ? program : "not reached or not set up");
	fputs("  ", out);
	text_print(out, policy);
	fputc('\n', out);
}

int deliver_versions(struct stack_view *v, bool json, FILE *out, struct error *e)
{
	struct json j;
	int r = ssh_prepare(v, e);

	if (r)
		return r;
	json_start(&j, out);
	if (json) {
		json_object(&j, NULL);
		json_array(&j, "servers");
	} else {
		fprintf(out, "%-12s %-14s %s\n", "server", "program", "policy");
	}
	for (unsigned int i = 0; i < v->count; i++) {
		const struct node *n = &v->nodes[i];
		struct proc_result result;
		char versions[64] = "", program[16] = "", policy[16] = "";

		if (!server_is_wanted(n, NULL, 0))
			continue;
		if (!ssh_run(v, n->key, DELIVER_VERSIONS, NULL, 60, &result, e))
			snprintf(versions, sizeof(versions), "%s", result.out);
		proc_free(&result);
		if (json) {
			sscanf(versions, "%15s %15s", program, policy);
			json_object(&j, NULL);
			json_string(&j, "server", n->key);
			json_string(&j, "program", *program ? program : NULL);
			json_string(&j, "policy", *policy ? policy : NULL);
			json_object_end(&j);
		} else {
			deliver_print_versions(n->key, versions, out);
		}
	}
	if (json) {
		json_array_end(&j);
		json_object_end(&j);
		json_end(&j);
	}
	return 0;
}
