// SPDX-License-Identifier: MIT
#include "aws/render.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fingerprint.h"

/* A template is the real file, which its own checker can read, with two additions: @NAME@ is a value of the stack, and
 * a line of blanks and @file:NAME@ stands for that file, with the same blanks before each line (for YAML). */

#define DEPTH_MAX 4

struct output {
	FILE *out;
	const struct stack *stack;
	unsigned int server;
	enum arch arch;		/* of the machine that the file is for */
	struct error *error;
};

static const struct template *find_template(const char *name, size_t len)
{
	for (unsigned int i = 0; i < templates_count; i++) {
		if (strlen(templates[i].name) == len && !memcmp(templates[i].name, name, len))
			return &templates[i];
	}
	return NULL;
}

static const char *yes_no(bool b)
{
	return b ? "yes" : "no";
}

/* Ubuntu's own archives, of which each has some architectures, and where each has its security updates. */
static const struct {
	const char *mirror, *security;
} archives[ARCHS] = {
	[ARCH_X86] = { "https://archive.ubuntu.com/ubuntu", "https://security.ubuntu.com/ubuntu" },
	[ARCH_ARM] = { "https://ports.ubuntu.com/ubuntu-ports", "https://ports.ubuntu.com/ubuntu-ports" },
};

static void host_of(const char *url, char ret[128])
{
	snprintf(ret, 128, "%s", url + strlen("https://"));
	ret[strcspn(ret, "/")] = '\0';
}

/* NULL if there is no such name: a template may hold an '@' of its own. */
static const char *value_of(const struct output *o, const char *name, size_t len, char buffer[256])
{
	const struct stack *s = o->stack;
	bool own = *s->mirror, acme = *s->domain && s->acme;
	const char *mirror = own ? s->mirror : archives[o->arch].mirror;
	const char *security = own ? s->mirror : archives[o->arch].security;
	char address[20], proxy[20], first[20], resolver[20], mirror_host[128], security_host[128], ssh[40];

	cidr_host(&s->public, PROXY_HOST, address);
	snprintf(proxy, sizeof(proxy), "%.15s/32", address);
	cidr_host(&s->private, SERVER_HOST(1), first);
	cidr_host(&s->vpc, 2, resolver);	/* AWS's, in every VPC */
	host_of(mirror, mirror_host);
	host_of(security, security_host);
	snprintf(ssh, sizeof(ssh), "target = %s:22", s->private.text);
	snprintf(buffer, 256, "%u", o->server);
	const struct {
		const char *name, *value;
	} values[] = {
		{ "STACK", s->name }, { "REGION", s->region }, { "DOMAIN", s->domain },
		{ "EMAIL", s->email }, { "ACME", yes_no(acme) },
		{ "ACME_TARGET", acme ? "target = " ACME_HOST : "" },
		{ "SERVER_NAME", *s->domain ? s->domain : "_" }, { "SERVER", buffer },
		{ "VPC", s->vpc.text }, { "PRIVATE", s->private.text }, { "PROXY_ADDRESS", address },
		{ "SSH_FROM", s->endpoint ? s->public.text : proxy }, { "SSH_TARGET", s->endpoint ? "" : ssh },
		{ "FIRST_SERVER", first }, { "RESOLVER", resolver },
		{ "OPENHANDS", s->openhands }, { "MODEL", s->model }, { "BASE_URL", s->base_url },
		{ "MIRROR", mirror }, { "MIRROR_HOST", mirror_host },
		{ "SECURITY_MIRROR", security }, { "SECURITY_HOST", security_host },
		{ "MODEL_HOST", s->model_host }, { "AGENT_DOCKER", yes_no(s->agent_docker) },
		{ "AGENT_SUDO", yes_no(s->agent_sudo) }, { "SBINDIR", "/usr/local/sbin" },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		if (strlen(values[i].name) != len || memcmp(values[i].name, name, len))
			continue;
		if (values[i].value != buffer)
			snprintf(buffer, 256, "%s", values[i].value);
		return buffer;
	}
	return NULL;
}

/* The backends of the nginx map: all that are possible, so that a new server changes nothing on the proxy. */
static void write_backends(const struct output *o, const char *indent, int indent_len)
{
	char address[20];

	for (unsigned int n = 1; n <= STACK_SERVERS_MAX; n++) {
		cidr_host(&o->stack->private, SERVER_HOST(n), address);
		fprintf(o->out, "%.*s\t%u %s:3000;\n", indent_len, indent, n, address);
	}
}

static int write_template(const struct output *o, const struct template *t, const char *indent, int indent_len,
			  int depth);

/* A line that only includes a file. 1: it was one. */
static int write_inclusion(const struct output *o, const char *line, size_t len, const char *indent, int indent_len,
			   int depth)
{
	size_t blanks = strspn(line, " ");
	const char *name = line + blanks + strlen("@file:");
	const struct template *t;
	size_t name_len;
	char joined[64];

	if (len > blanks + 1 && !strncmp(line + blanks, "@backends@", 10)) {
		write_backends(o, indent, indent_len);
		return 1;
	}
	if (len < blanks + strlen("@file:x@") || strncmp(line + blanks, "@file:", 6))
		return 0;
	name_len = strcspn(name, "@\n");
	t = find_template(name, name_len);
	if (!t || depth == DEPTH_MAX)
		return error_set(o->error, EINVAL, "template: @file:%.*s@: no such file", (int)name_len, name);
	snprintf(joined, sizeof(joined), "%.*s%.*s", indent_len, indent, (int)blanks, line);
	return write_template(o, t, joined, (int)strlen(joined), depth + 1) ?: 1;
}

static void write_line(const struct output *o, const char *line, size_t len)
{
	while (len) {
		const char *at = memchr(line, '@', len), *end;
		size_t before = at ? (size_t)(at - line) : len;
		char buffer[256];
		const char *value = NULL;

		fwrite(line, 1, before, o->out);
		if (!at)
			return;
		end = memchr(at + 1, '@', len - before - 1);
		if (end)
			value = value_of(o, at + 1, (size_t)(end - at - 1), buffer);
		if (!value) {
			fputc('@', o->out);
			end = at;
		} else {
			fputs(value, o->out);
		}
		len -= (size_t)(end + 1 - line);
		line = end + 1;
	}
}

static int write_template(const struct output *o, const struct template *t, const char *indent, int indent_len,
			  int depth)
{
	const char *line = t->start;

	while (line < t->end) {
		const char *stop = memchr(line, '\n', (size_t)(t->end - line));
		size_t len = (size_t)((stop ? stop + 1 : t->end) - line);
		int r = write_inclusion(o, line, len, indent, indent_len, depth);

		if (r < 0)
			return r;
		if (!r) {
			if (*line != '\n')
				fwrite(indent, 1, (size_t)indent_len, o->out);
			write_line(o, line, len);
		}
		line += len;
	}
	return 0;
}

int render(const struct stack *stack, const char *name, unsigned int server, char **ret, struct error *e)
{
	const struct template *t = find_template(name, strlen(name));
	bool proxy = strstr(name, "proxy");
	struct output o = { .stack = stack, .server = server ? server : 1, .error = e,
		.arch = stack_arch(proxy ? stack->proxy_type : stack->server_type) };
	char *text = NULL;
	size_t size;
	int r;

	if (!t)
		return error_set(e, ENOENT, "%s: no such file: `ohguard aws render` lists them", name);
	o.out = open_memstream(&text, &size);
	if (!o.out)
		return error_set(e, ENOMEM, "out of memory");
	r = write_template(&o, t, "", 0, 0);
	if (fclose(o.out) && !r)
		r = error_set(e, ENOMEM, "out of memory");
	/* What EC2 takes. */
	if (!r && !strncmp(text, "#cloud-config", 13) && size > 16384)
		r = error_set(e, E2BIG, "%s: first-boot document of %zu bytes, and EC2 takes 16384", name, size);
	if (r)
		free(text);
	else
		*ret = text;
	return r;
}

void render_hash(const char *text, char ret[20])
{
	snprintf(ret, 20, "%016llx",
		 (unsigned long long)fingerprint_add(FINGERPRINT_START, text, strlen(text)));
}
