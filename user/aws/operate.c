// SPDX-License-Identifier: MIT
#include "aws/operate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/ssh.h"
#include "aws/turn.h"
#include "base/proc.h"

#define UPDATE_SECONDS 3600

/* The reboot begins after ssh has ended. */
#define REBOOT_IF_DUE "if [ -e /run/reboot-required ]; then sudo -n systemd-run -q --on-active=2 systemctl reboot; " \
	"cat /proc/sys/kernel/random/boot_id; fi"

static int wait_for_another_boot(struct stack_view *v, const char *host, const char *before, FILE *progress,
				 struct error *e)
{
	for (unsigned int try = 0; try < 60; try++) {
		struct proc_result result;
		int r = proc_sleep(5000) ? -EINTR : ssh_wait(v, host, 600, progress, e);
		bool another;

		if (r)
			return r == -EINTR ? error_set(e, EINTR, "interrupted: %s is starting again", host) : r;
		r = ssh_run(v, host, "cat /proc/sys/kernel/random/boot_id", NULL, 60, &result, e);
		another = !r && !result.status && strcmp(result.out, before);
		proc_free(&result);
		if (another)
			return 0;
	}
	return error_set(e, ETIMEDOUT, "%s: did not start again", host);
}

static int update_one(struct stack_view *v, const char *host, FILE *progress, struct error *e)
{
	struct proc_result result;
	int r = ssh_wait(v, host, 600, progress, e);

	if (r)
		return r;
	fprintf(progress, "%s: updates\n", host);
	/* A unit: it goes on when this connection ends, and who comes again waits for it. */
	r = ssh_must(v, host, "sudo -n systemctl start ohguard-update.service || { sudo -n journalctl -u "
		     "ohguard-update.service -n 6 -o cat --no-pager >&2; exit 1; }", NULL, UPDATE_SECONDS, "update", e);
	if (r)
		return r;
	r = ssh_run(v, host, REBOOT_IF_DUE, NULL, 60, &result, e);
	if (!r && *result.out) {
		fprintf(progress, "%s: starts again\n", host);
		r = wait_for_another_boot(v, host, result.out, progress, e);
	}
	proc_free(&result);
	if (!r)
		fprintf(progress, "%s: up to date\n", host);
	v->changed |= !r;
	return r;
}

int operate_update(struct stack_view *v, const char *const *names, int count, FILE *progress, struct error *e)
{
	int r = view_check_names(v, names, count, true, e);

	for (unsigned int i = 0; !r && i < v->count; i++) {
		if (!node_is_wanted(&v->nodes[i], names, count))
			continue;
		r = turn_hold(v, UPDATE_SECONDS + TURN_SECONDS, e);
		if (!r)
			r = update_one(v, v->nodes[i].key, progress, e);
	}
	return r;
}

int operate_power(struct stack_view *v, bool on, FILE *progress, struct error *e)
{
	struct args args = { 0 };
	unsigned int count = 0;
	int r = 0;

	args_words(&args, on ? "ec2 start-instances --instance-ids" : "ec2 stop-instances --instance-ids");
	for (unsigned int i = 0; i < v->count; i++) {
		const struct node *n = &v->nodes[i];

		if (!node_is_wanted(n, NULL, 0) || strcmp(node_state(n), on ? "stopped" : "running"))
			continue;
		args_add(&args, "%s", node_id(n));
		fprintf(progress, "%s: %s\n", n->key, on ? "starts" : "stops");
		count++;
	}
	if (count)
		r = aws_call(&v->aws, &args, NULL, NULL, e);
	args_free(&args);
	if (r)
		return r;
	v->changed = count;
	if (!count)
		fprintf(progress, "all machines are %s already\n", on ? "on" : "off");
	if (!on)
		fputs("NAT gateway, addresses and disks go on costing: `ohguard aws plan` has the figures\n", progress);
	return 0;
}

int operate_services(struct stack_view *v, const struct node *n, struct service ret[SERVICES_MAX], struct error *e)
{
	static const char *const units[2][SERVICES_MAX] = {
		{ "ohguard.service", "nginx.service", "fail2ban.service" },
		{ "ohguard.service", "ohguard-refresh.timer", "openhands.service" },
	};
	char command[160] = "systemctl is-active";
	struct proc_result result;
	const char *line;
	int count = 0, r = ssh_prepare(v, e);

	if (r)
		return r;
	for (const char *const *unit = units[n->server != 0]; *unit; unit++) {
		ret[count++].unit = *unit;
		snprintf(command + strlen(command), sizeof(command) - strlen(command), " %s", *unit);
	}
	r = ssh_run(v, n->key, command, NULL, 60, &result, e);
	line = r ? "" : result.out;
	for (int i = 0; i < count; i++) {
		size_t len = strcspn(line, "\n");

		snprintf(ret[i].state, sizeof(ret[i].state), "%.*s", len ? (int)len : 7, len ? line : "unknown");
		line += len + (line[len] == '\n');
	}
	proc_free(&result);
	return r ? r : count;
}

static int become_ssh(struct stack_view *v, const char *const *words, size_t count, struct error *e)
{
	char config[300];
	const char *argv[48] = { "ssh", "-F", config };

	if (count > 40)
		return error_set(e, E2BIG, "ssh: more than 40 words");
	snprintf(config, sizeof(config), "%s/ssh_config", v->stack->state);
	memcpy(argv + 3, words, count * sizeof(*words));
	fflush(NULL);
	execvp("ssh", (char *const *)argv);
	return error_set(e, errno, "ssh: not found in PATH: install openssh-client");
}

int operate_ssh(struct stack_view *v, const char *host, const char *const *command, int count, struct error *e)
{
	const char *words[42] = { host };
	int r = view_check_names(v, &host, 1, true, e);

	if (r)
		return r;
	for (int i = 0; i < count && i < 40; i++)
		words[1 + i] = command[i];
	r = ssh_prepare(v, e);
	return r ? r : become_ssh(v, words, (size_t)count + 1, e);
}

/* ssh gives the words to a shell there: they must not need quoting, but for the blanks between quotes of ours. */
static int check_word(const char *option, const char *word, const char *also, struct error *e)
{
	size_t len = strlen(word);
	char allowed[96];

	snprintf(allowed, sizeof(allowed), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%s", also);
	if (len && len < 64 && strspn(word, allowed) == len)
		return 0;
	return error_set(e, EINVAL, "%s %.64s: expected letters, digits and %s", option, word, also);
}

int operate_logs(struct stack_view *v, const char *host, const struct logs_wanted *wanted, struct error *e)
{
	static const char of_proxy[] = "ohguard --unit nginx --unit fail2ban --unit ssh --unit ohguard-certificate "
		"--unit ohguard-update", of_server[] = "ohguard --unit ohguard-refresh --unit openhands --unit "
		"openhands-docker --unit ohguard-update";
	bool proxy = !strcmp(host, "proxy");
	char command[512];
	const char *words[] = { host, command };
	int r = view_check_names(v, &host, 1, true, e);

	if (!r && wanted->unit)
		r = check_word("--unit", wanted->unit, "@-", e);
	if (!r && wanted->since)
		r = check_word("--since", wanted->since, ":+- ", e);
	if (!r)
		r = ssh_prepare(v, e);
	if (r)
		return r;
	snprintf(command, sizeof(command),
		 "sudo -n journalctl --no-pager --lines 200 --output short-iso --unit %s %s%s%s %s",
		 wanted->unit ? wanted->unit : proxy ? of_proxy : of_server,
		 wanted->since ? "--since '" : "", wanted->since ? wanted->since : "", wanted->since ? "'" : "",
		 wanted->follow ? "--follow" : "");
	return become_ssh(v, words, 2, e);
}
