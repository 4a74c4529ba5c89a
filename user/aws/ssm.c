// SPDX-License-Identifier: MIT
/* The policy alone, by AWS Systems Manager. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/deliver.h"
#include "base/proc.h"
#include "base/text.h"

#define SSM_SECONDS 120

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
		 "ohguard load >/dev/null || [ $? = 4 ]; ohguard refresh >/dev/null || [ $? = 4 ]; "
		 DELIVER_VERSIONS "\"]}",
		 encoded);
	args_add(&args, "--instance-ids");
	for (unsigned int i = 0; i < v->count; i++) {
		if (server_is_wanted(&v->nodes[i], names, count))
			args_add(&args, "%s", node_id(&v->nodes[i]));
	}
	r = aws_call(&v->aws, &args, NULL, ret, e);
	args_free(&args);
	v->changed |= !r;
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
	int r = view_check_names(v, names, count, false, e);

	if (!r)
		r = deliver_policy_text(v->stack, &text, e);
	if (r)
		return r;
	encoded = base64(text);
	free(text);
	r = encoded ? ssm_send(v, names, count, encoded, &d, e) : error_set(e, ENOMEM, "out of memory");
	free(encoded);
	for (unsigned int i = 0; !r && i < v->count; i++) {
		const struct node *n = &v->nodes[i];
		char versions[64] = "";

		if (!server_is_wanted(n, names, count))
			continue;
		r = ssm_wait(v, n, doc_text(d, "Command.CommandId"), versions, e);
		if (r == -EINTR)
			break;
		failed += r < 0;
		if (r) {
			text_print(progress, e->text);
			fputc('\n', progress);
		} else {
			deliver_print_versions(n->key, versions, progress);
		}
		r = 0;
	}
	doc_free(d);
	return failed ? error_set(e, EIO, "%u servers did not take the policy", failed) : r;
}
