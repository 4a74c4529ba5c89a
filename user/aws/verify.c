// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aws/deliver.h"
#include "aws/render.h"
#include "aws/ssh.h"
#include "base/json.h"
#include "base/text.h"

struct report {
	struct json j;
	FILE *out;
	bool json;
	unsigned int failed;
};

static void tell(struct report *r, const char *host, const char *check, bool ok, const char *detail)
{
	r->failed += !ok;
	if (r->json) {
		json_object(&r->j, NULL);
		json_string(&r->j, "host", host);
		json_string(&r->j, "check", check);
		json_bool(&r->j, "ok", ok);
		json_string(&r->j, "detail", detail);
		json_object_end(&r->j);
		return;
	}
	fprintf(r->out, "%-5s %-10s ", ok ? "ok" : "FAIL", host);
	text_print(r->out, check);
	fputs(": ", r->out);
	text_print(r->out, detail);
	fputc('\n', r->out);
}

/* A TCP connection within five seconds, or -1. */
static int reach(const char *address, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), problem = 0;
	struct pollfd p = { fd, POLLOUT, 0 };
	socklen_t size = sizeof(problem);

	if (fd < 0)
		return -1;
	if (inet_pton(AF_INET, address, &to.sin_addr) == 1 &&
	    (!connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
	     (errno == EINPROGRESS && poll(&p, 1, 5000) == 1 &&
	      !getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) && !problem)))
		return fd;
	close(fd);
	return -1;
}

/* From here, like any visitor: port 80 must answer with a redirect to https and nothing else. */
static void check_redirect(struct report *r, const char *address)
{
	static const char request[] = "GET / HTTP/1.0\r\nHost: proxy\r\n\r\n";
	char answer[1024] = "";
	int fd = reach(address, 80);
	struct pollfd p = { fd, POLLIN, 0 };

	if (fd >= 0 && send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0 && poll(&p, 1, 5000) == 1 &&
	    read(fd, answer, sizeof(answer) - 1) <= 0)
		*answer = '\0';
	tell(r, "outside", "http redirects to https", !strncmp(answer, "HTTP/1.1 301", 12) &&
	     strcasestr(answer, "\nLocation: https://"), *answer ? "answered" : "no answer");
	if (fd >= 0)
		close(fd);
}

static void check_servers(struct report *r, struct stack_view *v)
{
	for (unsigned int i = 0; i < v->count; i++) {
		const struct node *n = &v->nodes[i];
		const char *address = n->server ? doc_text(n->found, "PrivateIpAddress") : "";
		static const uint16_t ports[] = { 22, 3000 };
		bool open = false;

		if (!*address)
			continue;
		for (size_t k = 0; k < 2; k++) {
			int fd = reach(address, ports[k]);

			open |= fd >= 0;
			if (fd >= 0)
				close(fd);
		}
		tell(r, "outside", "server not reachable directly", !open, n->key);
		tell(r, "outside", "server has no public address", !*doc_text(n->found, "PublicIpAddress"), n->key);
	}
}

/* From here, with `aws`, the one program at hand that speaks TLS: it asks the proxy as if that were S3, and must get
 * 401 first of all. */
static void check_password(struct report *r, struct stack_view *v, const char *address)
{
	struct args args = { 0 };
	struct error e = { "" };
	bool refused;

	args_words(&args, "s3api list-buckets --no-sign-request --no-verify-ssl --cli-connect-timeout 10 "
		   "--cli-read-timeout 10 --endpoint-url");
	args_add(&args, "https://%s/", address);
	refused = aws_call(&v->aws, &args, NULL, NULL, &e) && !strcmp(v->aws.code, "401");
	args_free(&args);
	tell(r, "outside", "https asks for the password", refused,
	     refused ? "401" : *e.text ? e.text : "let in without");
}

static void take_lines(struct report *r, const char *host, char *text)
{
	unsigned int lines = 0;
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *check = strchr(line, '\t'), *detail = check ? strchr(check + 1, '\t') : NULL;

		if (!detail)
			continue;
		*check = *detail = '\0';
		tell(r, host, check + 1, !strcmp(line, "ok"), detail + 1);
		lines++;
	}
	if (!lines)
		tell(r, host, "checks ran", false, "no result");
}

/* With the agent, as a visitor has it, from the proxy itself: nobody here knows a password. */
static void verify_agent(struct report *r, struct stack_view *v, const struct node *n, const char *program)
{
	char command[64];
	struct proc_result result;
	struct error e = { "" };

	snprintf(command, sizeof(command), "sudo -n python3 -I - %u", n->server);
	if (ssh_run(v, "proxy", command, program, 600, &result, &e))
		tell(r, n->key, "conversation", false, e.text);
	else
		take_lines(r, n->key, result.out);
	proc_free(&result);
}

static void verify_host(struct report *r, struct stack_view *v, const char *host, const char *script)
{
	struct proc_result result;
	struct error e = { "" };

	if (ssh_run(v, host, "sudo -n bash -s", script, 240, &result, &e))
		tell(r, host, "ssh", false, e.text);
	else
		take_lines(r, host, result.out);
	proc_free(&result);
}

int aws_verify(struct stack_view *v, bool json, FILE *out, struct error *e)
{
	struct report report = { .out = out, .json = json };
	const char *address;
	char *script = NULL, *converse = NULL, *proxy = NULL;
	int r = ssh_prepare(v, e);

	if (!r)
		r = render(v->stack, "verify", 0, &script, e);
	if (!r)
		r = render(v->stack, "converse", 0, &converse, e);
	if (!r)
		r = render(v->stack, "verify-proxy", 0, &proxy, e);
	if (r)
		return r;
	address = doc_text(view_node(v, "proxy-ip")->found, "PublicIp");
	json_start(&report.j, out);
	if (json) {
		json_object(&report.j, NULL);
		json_array(&report.j, "checks");
	}
	check_redirect(&report, address);
	check_password(&report, v, address);
	check_servers(&report, v);
	verify_host(&report, v, "proxy", proxy);
	for (unsigned int i = 0; i < v->count; i++) {
		if (!server_is_wanted(&v->nodes[i], NULL, 0))
			continue;
		verify_host(&report, v, v->nodes[i].key, script);
		verify_agent(&report, v, &v->nodes[i], converse);
	}
	free(script);
	free(converse);
	free(proxy);
	if (json) {
		json_array_end(&report.j);
		json_object_end(&report.j);
		json_end(&report.j);
	}
	return report.failed ? error_set(e, EPERM, "%u checks failed", report.failed) : 0;
}
