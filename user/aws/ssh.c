// SPDX-License-Identifier: MIT
#include "aws/ssh.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aws/state.h"
#include "base/text.h"

#define BEGIN_KEYS "-----BEGIN SSH HOST KEY KEYS-----"
#define END_KEYS "-----END SSH HOST KEY KEYS-----"

static bool is_host_key(const char *type, const char *key)
{
	static const char *const types[] = { "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256" };

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (!strcmp(type, types[i]))
			return *key && !key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
						   "0123456789+/=")];
	}
	return false;
}

/* Appends "ID TYPE KEY" for each key in the console output. Returns how many. */
static unsigned int take_keys(const char *console, const char *id, FILE *out)
{
	const char *at = strstr(console, BEGIN_KEYS), *end = at ? strstr(at, END_KEYS) : NULL;
	unsigned int count = 0;

	while (end && (at = strchr(at, '\n')) && ++at < end) {
		/* The console puts various prefixes before lines ("[   12.3] cloud-init[99]: "): find the type. */
		const char *type_at = NULL;
		char type[32], key[1024];

		for (const char *c = at; c < end && *c != '\n'; c++) {
			if (!strncmp(c, "ssh-", 4) || !strncmp(c, "ecdsa-", 6)) {
				type_at = c;
				break;
			}
		}
		if (type_at && sscanf(type_at, "%31s %1023s", type, key) == 2 && is_host_key(type, key)) {
			fprintf(out, "%s %s %s\n", id, type, key);
			count++;
		}
	}
	return count;
}

/* The lines of an earlier known_hosts that are about this instance. */
static unsigned int keep_keys(const char *known, const char *id, FILE *out)
{
	unsigned int count = 0;
	size_t len = strlen(id);

	for (const char *at = known; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
		if (!strncmp(at, id, len) && at[len] == ' ') {
			fprintf(out, "%.*s\n", (int)strcspn(at, "\n"), at);
			count++;
		}
	}
	return count;
}

static char *read_known(const struct stack *stack)
{
	char path[300];
	char *text = calloc(1, 65536);
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/known_hosts", stack->state);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (text && fd >= 0)
		n = read(fd, text, 65535);
	if (text && n >= 0)
		text[n] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

static int host_keys(struct stack_view *v, const struct node *n, const char *known, FILE *out, struct error *e)
{
	doc *d = NULL;
	unsigned int count;
	int r;

	if (known && keep_keys(known, node_id(n), out))
		return 0;
	r = aws_read(&v->aws, &d, e, "ec2 get-console-output --latest --instance-id", node_id(n));
	if (r && !strcmp(v->aws.code, "UnsupportedOperation"))	/* instance types before Nitro have none */
		r = aws_read(&v->aws, &d, e, "ec2 get-console-output --instance-id", node_id(n));
	if (r)
		return r;
	count = take_keys(doc_text(d, "Output"), node_id(n), out);
	doc_free(d);
	return count ? 0 : error_set(e, EAGAIN, "%s: AWS does not show its ssh host keys yet (console output of %s): "
				     "try again in a minute", n->key, node_id(n));
}

static int write_config(struct stack_view *v, struct error *e)
{
	char key[300];
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r = 0;

	if (!out)
		return error_set(e, ENOMEM, "out of memory");
	key_path(v->stack, key, sizeof(key));
	fprintf(out, "# Written by ohguard aws at each use. By hand: ssh -F %s/ssh_config server-1\n", v->stack->state);
	for (unsigned int i = 0; i < v->count; i++) {
		const struct node *n = &v->nodes[i];
		const char *address = n->server ? doc_text(n->found, "PrivateIpAddress") :
			doc_text(view_node(v, "proxy-ip")->found, "PublicIp");
		struct in_addr in;

		if (n->resource->kind != K_INSTANCE || !n->found)
			continue;
		/* Only an address: a further line would be an instruction to ssh. */
		if (inet_pton(AF_INET, address, &in) != 1)
			r = error_set(e, EAGAIN, "%s: AWS does not show its address yet: try again in a minute",
				      n->key);
		fprintf(out, "Host %s\n\tHostName %s\n\tHostKeyAlias %s\n", n->key, address, node_id(n));
		if (v->stack->endpoint)
			fprintf(out, "\tProxyCommand aws ec2-instance-connect open-tunnel --instance-id %s "
				"--remote-port 22 --region %s\n", node_id(n), v->stack->region);
		else if (n->server)
			fputs("\tProxyJump proxy\n", out);
	}
	fprintf(out, "Host *\n\tUser ubuntu\n\tIdentityFile %s\n\tIdentitiesOnly yes\n"
		"\tUserKnownHostsFile %s/known_hosts\n\tGlobalKnownHostsFile /dev/null\n"
		"\tStrictHostKeyChecking yes\n\tUpdateHostKeys no\n\tBatchMode yes\n\tConnectTimeout 30\n"
		"\tServerAliveInterval 15\n\tServerAliveCountMax 8\n\tForwardAgent no\n", key, v->stack->state);
	if (fclose(out) && !r)
		r = error_set(e, ENOMEM, "out of memory");
	if (!r)
		r = state_replace(v->stack, "ssh_config", text, e);
	free(text);
	return r;
}

int ssh_prepare(struct stack_view *v, struct error *e)
{
	char *known = read_known(v->stack), *text = NULL;
	size_t size;
	FILE *out;
	int r = 0;

	if (!view_node(v, "proxy")->found || !view_node(v, "proxy-ip")->found) {
		free(known);
		return error_set(e, ENOENT, "stack %s has no proxy: run `ohguard aws apply` first", v->stack->name);
	}
	out = open_memstream(&text, &size);
	if (!out) {
		free(known);
		return error_set(e, ENOMEM, "out of memory");
	}
	for (unsigned int i = 0; !r && i < v->count; i++) {
		const struct node *n = &v->nodes[i];

		if (n->resource->kind == K_INSTANCE && n->found && !n->surplus)
			r = host_keys(v, n, known, out, e);
	}
	free(known);
	if (fclose(out) && !r)
		r = error_set(e, ENOMEM, "out of memory");
	/* Keys that were learnt are kept, even if one host shows none yet. */
	if (text && *text && (!r || r == -EAGAIN)) {
		struct error ignored;
		int w = state_replace(v->stack, "known_hosts", text, r ? &ignored : e);

		r = r ? r : w;
	}
	free(text);
	return r ? r : write_config(v, e);
}

static int run(struct proc *p, const char *host, struct proc_result *result, struct error *e)
{
	size_t end, start;
	int r = proc_run(p, result, e);

	if (r == -ENOENT)
		return error_set(e, ENOENT, "%s: not found in PATH: install openssh-client", p->argv[0]);
	if (r)
		return r;
	if (result->status != 255)
		return 0;
	end = result->err_size;
	while (end && isspace((unsigned char)result->err[end - 1]))
		end--;
	/* The reason is in one of the last lines. */
	start = end > 300 ? end - 300 : 0;
	result->err[end] = '\0';
	for (char *c = result->err; *c; c++) {
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	}
	return error_set(e, EHOSTUNREACH, "%s to %s: %s", p->argv[0], host, result->err + start);
}

int ssh_run(struct stack_view *v, const char *host, const char *command, const char *input, unsigned int timeout,
	    struct proc_result *result, struct error *e)
{
	char config[300];
	const char *argv[] = { "ssh", "-F", config, "-T", host, "--", command, NULL };
	struct proc p = { .argv = argv, .input = input, .input_size = input ? strlen(input) : 0, .timeout = timeout,
		.limit = 1 << 20 };

	snprintf(config, sizeof(config), "%s/ssh_config", v->stack->state);
	return run(&p, host, result, e);
}

int ssh_copy(struct stack_view *v, const char *host, const char *const *paths, const char *to, struct error *e)
{
	char config[300], target[128];
	const char *argv[48] = { "scp", "-F", config, "-B", "--" };
	struct proc p = { .argv = argv, .timeout = 300, .limit = 65536 };
	struct proc_result result;
	size_t n = 5;
	int r;

	snprintf(config, sizeof(config), "%s/ssh_config", v->stack->state);
	snprintf(target, sizeof(target), "%s:%s", host, to);
	for (; *paths && n < 46; paths++)
		argv[n++] = *paths;
	argv[n] = target;
	r = run(&p, host, &result, e);
	if (!r && result.status)
		r = error_set(e, EIO, "scp to %s: %.300s", host, result.err);
	proc_free(&result);
	return r;
}

int ssh_wait(struct stack_view *v, const char *host, unsigned int seconds, FILE *progress, struct error *e)
{
	time_t end = time(NULL) + seconds;
	char said[sizeof(e->text)] = "";
	int r;

	for (;;) {
		struct proc_result result;

		r = ssh_prepare(v, e);
		if (!r) {
			r = ssh_run(v, host, "true", NULL, 60, &result, e);
			proc_free(&result);
		}
		/* A host key that does not match is no reason to wait. */
		if (!r || (r != -EAGAIN && r != -EHOSTUNREACH) || strstr(e->text, "verification failed") ||
		    time(NULL) >= end)
			return r;
		if (strcmp(said, e->text)) {
			memcpy(said, e->text, sizeof(said));
			fprintf(progress, "%s: not reached yet: ", host);
			text_print(progress, said);
			fputc('\n', progress);
		}
		if (proc_sleep(5000))
			return error_set(e, EINTR, "interrupted while waiting for ssh to %s", host);
	}
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

int ssh_must(struct stack_view *v, const char *host, const char *command, const char *input, unsigned int timeout,
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
