// SPDX-License-Identifier: MIT
#include "aws/deliver.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aws/render.h"
#include "aws/ssh.h"
#include "aws/state.h"
#include "base/json.h"
#include "base/text.h"

#define SETUP_SECONDS 1800
#define SSM_SECONDS 120
#define PLACE ".ohguard-delivery"
/* The files themselves are asked, since they may have come another way. */
#define VERSIONS "sha256sum /usr/local/sbin/ohguard /etc/ohguard/ohguard.conf | cut -c 1-12 | paste -sd ' '"

/* What goes to a server besides program and policy: file name there, template. */
static const struct {
	const char *file, *template;
} files[] = {
	{ "server-setup", "server-setup" }, { "policy-install", "policy-install" },
	{ "openhands-run.sh", "openhands-run.sh" }, { "openhands-docker.sh", "openhands-docker.sh" },
	{ "set-key.sh", "set-key.sh" },
	{ "openhands.service", "openhands.service" }, { "openhands-docker.service", "openhands-docker.service" },
	{ "ohguard.service", "ohguard.service" }, { "ohguard-refresh.service", "ohguard-refresh.service" },
	{ "ohguard-refresh.timer", "ohguard-refresh.timer" }, { "ohguard-events.service", "ohguard-events.service" },
	{ "ohguard-gate.service", "ohguard-gate.service" },
};
#define FILES (sizeof(files) / sizeof(*files))

static bool is_wanted(const struct node *n, const char *const *names, int count)
{
	if (!n->server || !n->found || n->surplus)
		return false;
	for (int i = 0; i < count; i++) {
		if (!strcmp(names[i], n->key))
			return true;
	}
	return !count;
}

static int check_names(struct stack_view *v, const char *const *names, int count, struct error *e)
{
	for (int i = 0; i < count; i++) {
		const struct node *n = view_node(v, names[i]);

		if (!n || !n->server || !n->found)
			return error_set(e, ENOENT, "%s: no such server: `ohguard aws status` shows them", names[i]);
	}
	return 0;
}

/* Reads the policy to deliver: the file that [stack] names, or the generated one. */
static int policy_text(const struct stack *stack, char **ret, struct error *e)
{
	char *text;
	ssize_t n;
	int fd;

	if (!*stack->policy)
		return render(stack, "policy", 0, ret, e);
	fd = open(stack->policy, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(e, errno, "%s: %s", stack->policy, strerror(errno));
	text = calloc(1, 65536);
	n = text ? read(fd, text, 65536) : -1;
	close(fd);
	if (n < 0 || n == 65536 || (size_t)n != strlen(text)) {
		free(text);
		return error_set(e, EINVAL, "%s: expected a text of less than 64 KB", stack->policy);
	}
	*ret = text;
	return 0;
}

static int put_file(const struct stack *stack, const char *name, const char *text, struct error *e)
{
	char path[64];

	snprintf(path, sizeof(path), "delivery/%s", name);
	return state_replace(stack, path, text, e);
}

static int hash_program(unsigned long long *hash, struct error *e)
{
	char block[65536];
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	while (fd >= 0 && (n = read(fd, block, sizeof(block))) > 0)
		*hash = render_hash_add(*hash, block, (size_t)n);
	if (fd >= 0)
		close(fd);
	return n ? error_set(e, EIO, "/proc/self/exe: cannot be read") : 0;
}

/* Writes one server's files to the state folder, since scp copies files. id changes with any of them. */
static int prepare_files(const struct stack *stack, unsigned int server, char id[20], struct error *e)
{
	unsigned long long hash = RENDER_HASH;
	char path[300];
	char *text = NULL;
	int r = state_make(stack, e);

	snprintf(path, sizeof(path), "%s/delivery", stack->state);
	if (!r && mkdir(path, 0700) && errno != EEXIST)
		r = error_set(e, errno, "%s: %s", path, strerror(errno));
	if (!r)
		r = policy_text(stack, &text, e);
	if (!r) {
		hash = render_hash_add(hash, text, strlen(text));
		r = put_file(stack, "policy", text, e);
	}
	free(text);
	for (size_t i = 0; !r && i < FILES; i++) {
		r = render(stack, files[i].template, server, &text, e);
		if (r)
			return r;
		hash = render_hash_add(hash, text, strlen(text));
		r = put_file(stack, files[i].file, text, e);
		free(text);
	}
	if (!r)
		r = hash_program(&hash, e);
	snprintf(id, 20, "%016llx", hash);
	return r ? r : put_file(stack, "delivery-id", id, e);
}

/* True if the server has finished setting up exactly this. */
static bool has_it(struct stack_view *v, const char *host, const char *id)
{
	struct proc_result result;
	struct error ignored;
	bool same = !ssh_run(v, host, "cat /var/lib/ohguard-setup/delivery-id", NULL, 60, &result, &ignored) &&
		!strcmp(result.out, id);

	proc_free(&result);
	return same;
}

static int copy_files(struct stack_view *v, const char *host, struct error *e)
{
	char names[FILES + 2][320], program[300];
	const char *paths[FILES + 4], *only_program[] = { program, NULL };
	size_t n = 0;
	int r;

	snprintf(names[n], sizeof(names[n]), "%s/delivery/policy", v->stack->state);
	paths[n] = names[n];
	for (n = 1; n <= FILES; n++) {
		snprintf(names[n], sizeof(names[n]), "%s/delivery/%s", v->stack->state, files[n - 1].file);
		paths[n] = names[n];
	}
	snprintf(names[n], sizeof(names[n]), "%s/delivery/delivery-id", v->stack->state);
	paths[n] = names[n];
	paths[n + 1] = NULL;
	r = ssh_copy(v, host, paths, PLACE "/", e);
	if (r)
		return r;
	memset(program, 0, sizeof(program));
	if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
		return error_set(e, errno, "/proc/self/exe: %s", strerror(errno));
	return ssh_copy(v, host, only_program, PLACE "/ohguard", e);
}

static void last_lines(char *text, FILE *out)
{
	char *start = text + strlen(text), *rest = NULL;
	int lines = 0;

	while (start > text && lines < 6)
		lines += *--start == '\n';
	for (char *line = strtok_r(start, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
		fputs("  ", out);
		text_print(out, line);
		fputc('\n', out);
	}
}

/* Runs a constant command there, which must succeed. */
static int must(struct stack_view *v, const char *host, const char *command, const char *input, unsigned int timeout,
		const char *what, struct error *e)
{
	struct proc_result result;
	int r = ssh_run(v, host, command, input, timeout, &result, e);

	if (!r && result.status) {
		last_lines(*result.err ? result.err : result.out, stderr);
		r = error_set(e, EIO, "%s: %s failed with status %d", host, what, result.status);
	}
	proc_free(&result);
	return r;
}

static int deliver_one(struct stack_view *v, const struct node *n, bool again, FILE *progress, struct error *e)
{
	char id[20];
	int r = ssh_wait(v, n->key, 600, e);

	if (!r)
		r = prepare_files(v->stack, n->server, id, e);
	if (!r && !again && has_it(v, n->key, id)) {
		fprintf(progress, "%s: has this delivery\n", n->key);
		return 0;
	}
	if (!r)
		r = must(v, n->key, "rm -rf " PLACE " && mkdir -m 0700 " PLACE, NULL, 60, "making room", e);
	if (!r) {
		fprintf(progress, "%s: program, policy and units\n", n->key);
		r = copy_files(v, n->key, e);
	}
	if (!r) {
		fprintf(progress, "%s: setting up (the first time: Docker and OpenHands, some minutes)\n", n->key);
		r = must(v, n->key, "sudo -n bash " PLACE "/server-setup", NULL, SETUP_SECONDS, "server-setup", e);
	}
	if (!r)
		fprintf(progress, "%s: guarded\n", n->key);
	return r;
}

int deliver(struct stack_view *v, const char *const *names, int count, bool again, FILE *progress, struct error *e)
{
	int r = check_names(v, names, count, e);

	for (unsigned int i = 0; !r && i < v->count; i++) {
		if (proc_interrupted())
			return error_set(e, EINTR, "interrupted: the same command goes on from there");
		if (is_wanted(&v->nodes[i], names, count))
			r = deliver_one(v, &v->nodes[i], again, progress, e);
	}
	return r;
}

/* Systems Manager's document is JSON first and then a shell script: only base64 travels in it. */
static char *base64(const char *text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text), n = 0;
	char *out = malloc((len + 2) / 3 * 4 + 1);

	for (size_t i = 0; out && i < len; i += 3) {
		unsigned int left = (unsigned int)(len - i), bits = (unsigned char)text[i] << 16;

		bits |= left > 1 ? (unsigned int)(unsigned char)text[i + 1] << 8 : 0;
		bits |= left > 2 ? (unsigned char)text[i + 2] : 0;
		out[n++] = digits[bits >> 18];
		out[n++] = digits[bits >> 12 & 63];
		out[n++] = left > 1 ? digits[bits >> 6 & 63] : '=';
		out[n++] = left > 2 ? digits[bits & 63] : '=';
	}
	if (out)
		out[n] = '\0';
	return out;
}

static void print_versions(const char *server, const char *versions, FILE *out)
{
	char program[16] = "", policy[16] = "";

	sscanf(versions, "%15s %15s", program, policy);
	fprintf(out, "%-12s ", server);
	text_print(out, *program ? program : "not reached or not set up");
	fputs("  ", out);
	text_print(out, policy);
	fputc('\n', out);
}

/* What became of the command on one server. 1: not known yet. */
static int ssm_outcome(struct stack_view *v, const struct node *n, const char *command, char versions[64],
		       struct error *e)
{
	char words[128];
	doc *d = NULL;
	const char *status;
	int r;

	snprintf(words, sizeof(words), "ssm get-command-invocation --command-id %s --instance-id", command);
	r = aws_read(&v->aws, &d, e, words, node_id(n));
	if (r)
		return strcmp(v->aws.code, "InvocationDoesNotExist") ? r : 1;
	status = doc_text(d, "Status");
	if (!strcmp(status, "Pending") || !strcmp(status, "InProgress") || !strcmp(status, "Delayed"))
		r = 1;
	else if (strcmp(status, "Success"))
		r = error_set(e, EIO, "%s: %s: %.300s", n->key, status, doc_text(d, "StandardErrorContent"));
	snprintf(versions, 64, "%s", doc_text(d, "StandardOutputContent"));
	doc_free(d);
	return r;
}

static int ssm_wait(struct stack_view *v, const struct node *n, const char *command, char versions[64], struct error *e)
{
	time_t end = time(NULL) + SSM_SECONDS;
	int r;

	while ((r = ssm_outcome(v, n, command, versions, e)) == 1) {
		if (time(NULL) >= end)
			return error_set(e, ETIMEDOUT, "%s: no answer of its Systems Manager agent", n->key);
		if (proc_sleep(1000))
			return error_set(e, EINTR, "interrupted while waiting for %s", n->key);
	}
	return r;
}

/* Sends to all wanted servers in one call. */
static int ssm_send(struct stack_view *v, const char *const *names, int count, const char *encoded, doc **ret,
		    struct error *e)
{
	struct args args = { 0 };
	int r;

	args_words(&args, "ssm send-command --document-name AWS-RunShellScript --comment ohguard-policy "
			  "--timeout-seconds 60");
	args_add(&args, "--parameters");
	/* Checked before it is put in place. Status 4: in force, but a name does not resolve yet. */
	args_add(&args, "{\"commands\":[\"set -eu; umask 022; cd /etc/ohguard; echo %s | base64 -d >policy.new; "
		 "ohguard load --dry-run -c policy.new >/dev/null; mv -f policy.new ohguard.conf; "
		 "rm -f /var/lib/ohguard-setup/delivery-id; "
		 "ohguard load >/dev/null || [ $? = 4 ]; ohguard refresh >/dev/null || [ $? = 4 ]; " VERSIONS "\"]}",
		 encoded);
	args_add(&args, "--instance-ids");
	for (unsigned int i = 0; i < v->count; i++) {
		if (is_wanted(&v->nodes[i], names, count))
			args_add(&args, "%s", node_id(&v->nodes[i]));
	}
	r = aws_call(&v->aws, &args, NULL, ret, e);
	args_free(&args);
	if (r && !strcmp(v->aws.code, "InvalidInstanceId"))
		return error_set(e, ENOTCONN, "not all of the servers are known to Systems Manager: they need an "
				 "instance-profile, and its names and metadata in their policy: docs/aws.md");
	return r;
}

int deliver_policy_ssm(struct stack_view *v, const char *const *names, int count, FILE *progress, struct error *e)
{
	char *text = NULL, *encoded;
	unsigned int failed = 0;
	doc *d = NULL;
	int r = check_names(v, names, count, e);

	if (!r)
		r = policy_text(v->stack, &text, e);
	if (r)
		return r;
	encoded = base64(text);
	free(text);
	r = encoded ? ssm_send(v, names, count, encoded, &d, e) : error_set(e, ENOMEM, "out of memory");
	free(encoded);
	for (unsigned int i = 0; !r && i < v->count; i++) {
		const struct node *n = &v->nodes[i];
		char versions[64] = "";

		if (!is_wanted(n, names, count))
			continue;
		r = ssm_wait(v, n, doc_text(d, "Command.CommandId"), versions, e);
		if (r == -EINTR)
			break;
		failed += r < 0;
		if (r) {
			text_print(progress, e->text);
			fputc('\n', progress);
		} else {
			print_versions(n->key, versions, progress);
		}
		r = 0;
	}
	doc_free(d);
	return failed ? error_set(e, EIO, "%u servers did not take the policy", failed) : r;
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

		if (!is_wanted(n, NULL, 0))
			continue;
		if (!ssh_run(v, n->key, VERSIONS, NULL, 60, &result, e))
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
			print_versions(n->key, versions, out);
		}
	}
	if (json) {
		json_array_end(&j);
		json_object_end(&j);
		json_end(&j);
	}
	return 0;
}

int set_key_from(struct stack_view *v, FILE *in, const char *const *names, int count, FILE *progress, struct error *e)
{
	char key[4096] = "";
	size_t len;
	int r = check_names(v, names, count, e);

	if (r)
		return r;
	if (isatty(fileno(in)))
		return error_set(e, EINVAL, "set-key reads the key from standard input, not from the terminal that "
				 "shows it: `ohguard aws set-key <FILE`");
	setvbuf(in, NULL, _IONBF, 0);	/* no copy in a buffer of stdio */
	if (!fgets(key, sizeof(key), in))
		return error_set(e, EINVAL, "set-key: nothing on standard input");
	len = strcspn(key, "\r\n");
	key[len] = '\0';
	for (size_t i = 0; i < len; i++) {
		if (!isgraph((unsigned char)key[i]))
			len = 0;
	}
	if (!len || len > 2048)
		r = error_set(e, EINVAL, "set-key: expected one line of 1 to 2048 visible characters");
	if (!r)
		r = ssh_prepare(v, e);
	for (unsigned int i = 0; !r && i < v->count; i++) {
		if (!is_wanted(&v->nodes[i], names, count))
			continue;
		r = must(v, v->nodes[i].key, "sudo -n /usr/local/sbin/ohguard-set-key", key, 120, "set-key", e);
		if (!r)
			fprintf(progress, "%s: has the key\n", v->nodes[i].key);
	}
	explicit_bzero(key, sizeof(key));
	return r;
}

int fetch_password(struct stack_view *v, bool make_new, FILE *out, struct error *e)
{
	struct proc_result result;
	int r = ssh_prepare(v, e);

	if (!r && make_new)
		r = must(v, "proxy", "sudo -n /usr/local/sbin/ohguard-proxy-password --new", NULL, 60, "password", e);
	if (r)
		return r;
	r = ssh_run(v, "proxy", "sudo -n /usr/local/sbin/ohguard-proxy-password", NULL, 60, &result, e);
	if (!r && result.status)
		r = error_set(e, EIO, "proxy: %.*s", (int)strcspn(result.err, "\n"), result.err);
	if (!r) {
		result.out[strcspn(result.out, "\r\n")] = '\0';
		fputs("user agent, password ", out);
		text_print(out, result.out);
		fputc('\n', out);
	}
	proc_free(&result);
	return r;
}
