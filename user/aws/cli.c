// SPDX-License-Identifier: MIT
#include "aws/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/proc.h"

#define OUTPUT_MAX (8u << 20)
#define TRIES 6

void args_add(struct args *a, const char *format, ...)
{
	va_list list;

	if (a->count == ARGS_MAX) {
		a->failed = true;
		return;
	}
	va_start(list, format);
	if (vasprintf(&a->words[a->count], format, list) < 0) {
		a->words[a->count] = NULL;
		a->failed = true;
	} else {
		a->count++;
	}
	va_end(list);
}

void args_words(struct args *a, const char *words)
{
	while (*words) {
		size_t len = strcspn(words, " ");

		args_add(a, "%.*s", (int)len, words);
		words += len;
		words += strspn(words, " ");
	}
}

void args_free(struct args *a)
{
	for (unsigned int i = 0; i < a->count; i++)
		free(a->words[i]);
	*a = (struct args){ 0 };
}

/* By code, or by the beginning or end that a family of codes shares. */
static const struct {
	const char *pattern;	/* a leading or trailing '*' stands for anything */
	enum aws_trouble trouble;
} codes[] = {
	{ "RequestLimitExceeded", AWS_THROTTLED },
	{ "Throttling*", AWS_THROTTLED },
	{ "*Throttled", AWS_THROTTLED },
	{ "TooManyRequests*", AWS_THROTTLED },
	{ "SlowDown", AWS_THROTTLED },
	{ "InternalError", AWS_FAULT },
	{ "InternalFailure", AWS_FAULT },
	{ "ServiceUnavailable*", AWS_FAULT },
	{ "Unavailable", AWS_FAULT },
	{ "RequestTimeout*", AWS_FAULT },
	{ "ExpiredToken*", AWS_CREDENTIALS },
	{ "RequestExpired", AWS_CREDENTIALS },
	{ "AuthFailure", AWS_CREDENTIALS },
	{ "InvalidClientTokenId", AWS_CREDENTIALS },
	{ "UnrecognizedClient*", AWS_CREDENTIALS },
	{ "SignatureDoesNotMatch", AWS_CREDENTIALS },
	{ "MissingAuthenticationToken", AWS_CREDENTIALS },
	{ "UnauthorizedOperation", AWS_DENIED },
	{ "AccessDenied*", AWS_DENIED },
	{ "OptInRequired", AWS_DENIED },
	{ "*LimitExceeded", AWS_QUOTA },
	{ "InsufficientInstanceCapacity", AWS_CAPACITY },
	{ "Unsupported", AWS_CAPACITY },
	{ "NotAvailableInZone", AWS_CAPACITY },
	{ "*Duplicate", AWS_THERE_ALREADY },
	{ "*AlreadyExists", AWS_THERE_ALREADY },
	{ "Resource.AlreadyAssociated", AWS_NOT_YET },
	{ "IdempotentInstanceTerminated", AWS_TOKEN_USED },
	{ "IdempotentParameterMismatch", AWS_TOKEN_USED },
	{ "*.NotFound", AWS_ABSENT },	/* not all: ProfileNotFound is a code of `aws` itself */
	{ "NatGatewayNotFound", AWS_ABSENT },
	{ "ParameterNotFound", AWS_ABSENT },
	{ "Gateway.NotAttached", AWS_ABSENT },
	{ "ResourceNotFoundException", AWS_ABSENT },
	{ "LimitExceededException", AWS_QUOTA },
	{ "InternalServiceErrorException", AWS_FAULT },
	{ "ConflictException", AWS_IN_USE },
	{ "DependencyViolation", AWS_IN_USE },
	{ "*InUse", AWS_IN_USE },
	{ "IncorrectState", AWS_NOT_YET },
	{ "IncorrectModificationState", AWS_NOT_YET },
	{ "IncorrectInstanceState", AWS_NOT_YET },
	{ "InvalidInstanceID", AWS_NOT_YET },
};

static bool matches(const char *code, const char *pattern)
{
	size_t code_len = strlen(code), len = strlen(pattern);

	if (*pattern == '*')
		return code_len >= len - 1 && !strcmp(code + code_len - (len - 1), pattern + 1);
	if (pattern[len - 1] == '*')
		return !strncmp(code, pattern, len - 1);
	return !strcmp(code, pattern);
}

enum aws_trouble aws_trouble_of(const char *code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		if (matches(code, codes[i].pattern))
			return codes[i].trouble;
	}
	return AWS_OTHER;
}

/* What `aws` itself says, without asking AWS. */
static const struct {
	const char *part;
	enum aws_trouble trouble;
} phrases[] = {
	{ "Unable to locate credentials", AWS_CREDENTIALS },
	{ "Partial credentials found", AWS_CREDENTIALS },
	{ "Error when retrieving", AWS_CREDENTIALS },
	{ "Error loading SSO Token", AWS_CREDENTIALS },
	{ "login session token", AWS_CREDENTIALS },
	{ "reauthenticate", AWS_CREDENTIALS },
	{ "EOF when reading a line", AWS_CREDENTIALS },	/* it asked for an MFA code, and nobody is there */
	{ "SSO session associated", AWS_CREDENTIALS },
	{ "Token has expired", AWS_CREDENTIALS },
	{ "could not be found", AWS_CREDENTIALS },	/* "The config profile (X) ..." */
	{ "Could not connect to the endpoint", AWS_UNREACHABLE },
	{ "onnect timeout", AWS_UNREACHABLE },
	{ "Read timeout", AWS_UNREACHABLE },
	{ "Connection was closed", AWS_UNREACHABLE },
	{ "Unknown options", AWS_OUTDATED },
	{ "nvalid choice", AWS_OUTDATED },
	{ "Unknown parameter in input", AWS_OUTDATED },
};

/* "An error occurred (CODE) when calling the OPERATION operation: MESSAGE" */
static enum aws_trouble classify(struct aws *aws, const char *err)
{
	const char *start = strstr(err, "An error occurred (");
	enum aws_trouble trouble = AWS_OTHER;
	size_t len;

	*aws->code = '\0';
	if (start) {
		start += strlen("An error occurred (");
		len = strcspn(start, ")");
		if (len < sizeof(aws->code))
			snprintf(aws->code, sizeof(aws->code), "%.*s", (int)len, start);
		trouble = aws_trouble_of(aws->code);
	}
	/* EC2 says this of an address that a NAT gateway still holds. */
	if (trouble == AWS_CREDENTIALS && strstr(err, "permission to access the specified resource"))
		return AWS_IN_USE;
	if (trouble != AWS_OTHER)
		return trouble;
	/* Newer versions put a code of their own into the same words. */
	for (size_t i = 0; i < sizeof(phrases) / sizeof(*phrases); i++) {
		if (strstr(err, phrases[i].part))
			return phrases[i].trouble;
	}
	return AWS_OTHER;
}

static const char *advice(enum aws_trouble trouble)
{
	switch (trouble) {
	case AWS_THROTTLED:
	case AWS_FAULT:
		return "AWS slows down this account's calls or has a fault: run the same command again in a minute";
	case AWS_CREDENTIALS:
		return "no valid AWS credentials, or a region that this account has not enabled: log in again "
		       "(`aws sso login`, or new keys) and check with `aws sts get-caller-identity`";
	case AWS_DENIED:
		return "the AWS user or role lacks that permission: `ohguard aws policy` prints what it needs";
	case AWS_QUOTA:
		return "a quota of the account is used up: ask for more (Service Quotas), or remove what is not needed";
	case AWS_CAPACITY:
		return "that zone has none of it now: set another `zone` or instance type";
	case AWS_UNREACHABLE:
		return "AWS cannot be reached: is the network up, and `region` a region that exists?";
	case AWS_OUTDATED:
		return "this `aws` is too old for that: install a newer AWS command line";
	default:
		return NULL;
	}
}

/* The last line that is not empty has the error; the rest is usage text. */
static void last_line(const char *text, char *ret, size_t size)
{
	size_t end = strlen(text), start;

	while (end && strchr("\n\r ", text[end - 1]))
		end--;
	start = end;
	while (start && text[start - 1] != '\n')
		start--;
	snprintf(ret, size, "%.*s", (int)(end - start), text + start);
}

static int report(struct aws *aws, const struct args *args, const char *err, int status, struct error *e)
{
	static const int errnos[] = { [AWS_CREDENTIALS] = EACCES, [AWS_DENIED] = EPERM, [AWS_ABSENT] = ENOENT,
		[AWS_THERE_ALREADY] = EEXIST, [AWS_IN_USE] = EBUSY, [AWS_NOT_YET] = EAGAIN,
		[AWS_THROTTLED] = EBUSY, [AWS_FAULT] = EBUSY, [AWS_QUOTA] = EDQUOT, [AWS_OTHER] = EIO };
	const char *what_to_do = advice(aws->trouble);
	int code = errnos[aws->trouble] ? errnos[aws->trouble] : EIO;
	char line[300];

	last_line(err, line, sizeof(line));
	if (!*line)
		snprintf(line, sizeof(line), "ended with status %d and no message", status);
	return error_set(e, code, "aws %s %s: %s%s%s", args->words[0], args->count > 1 ? args->words[1] : "", line,
			 what_to_do ? ": " : "", what_to_do ? what_to_do : "");
}

void aws_argv(const struct aws *aws, const struct args *args, const char *ret[ARGS_MAX + 8])
{
	unsigned int n = 0;

	ret[n++] = "aws";
	for (unsigned int i = 0; i < args->count; i++)
		ret[n++] = args->words[i];
	ret[n++] = "--region";
	ret[n++] = aws->region;
	ret[n++] = "--output";
	ret[n++] = "json";
	ret[n] = NULL;
}

/* If an answer is lost, a blind repetition of these makes a second one: the caller looks first. */
static bool makes_something(const struct args *args)
{
	const char *verb = args->count > 1 ? args->words[1] : "";

	return !strncmp(verb, "create-", 7) || !strncmp(verb, "allocate-", 9) || !strncmp(verb, "run-", 4);
}

static int run_once(struct aws *aws, const struct args *args, const char *input, struct proc_result *out,
		    struct error *e)
{
	/* No pager, no prompt, errors in the words that classify() reads. The tool has quick retries of its own: ours
	 * come on top. */
	const char *env[] = { "AWS_PAGER=", "AWS_CLI_AUTO_PROMPT=off", "AWS_CLI_ERROR_FORMAT=legacy",
			      "AWS_RETRY_MODE=standard",
			      makes_something(args) ? "AWS_MAX_ATTEMPTS=1" : "AWS_MAX_ATTEMPTS=3", NULL };
	const char *argv[ARGS_MAX + 8];
	struct proc p = { .argv = argv, .env = env, .input = input, .input_size = input ? strlen(input) : 0,
		.timeout = aws->timeout, .limit = OUTPUT_MAX };
	int r;

	aws_argv(aws, args, argv);
	aws->calls++;
	aws->trouble = AWS_OTHER;
	*aws->code = '\0';
	r = proc_run(&p, out, e);
	if (r == -ENOENT)
		return error_set(e, ENOENT, "aws: not found in PATH: install the AWS command line (package awscli, or "
				 "AWS's own version 2)");
	if (r == -ETIMEDOUT)
		return error_prefix(e, ETIMEDOUT, "aws %s %s", args->words[0], args->count > 1 ? args->words[1] : "");
	if (r)
		return r;
	if (!out->status) {
		aws->trouble = AWS_FINE;
		return 0;
	}
	aws->trouble = classify(aws, out->err);
	return report(aws, args, out->err, out->status, e);
}

int aws_call(struct aws *aws, const struct args *args, const char *input, doc **ret, struct error *e)
{
	unsigned int pause = 1000;
	struct proc_result out;
	doc *d = NULL;
	int r;

	if (args->failed || !args->count)
		return error_set(e, ENOMEM, "aws: out of memory for the arguments");
	for (int try = 1;; try++) {
		r = run_once(aws, args, input, &out, e);
		if (!(aws->trouble == AWS_THROTTLED || (aws->trouble == AWS_FAULT && !makes_something(args))) ||
		    try == TRIES || proc_sleep(pause))
			break;
		proc_free(&out);
		pause *= 2;
	}
	if (!r && out.out[strspn(out.out, " \t\r\n")]) {
		r = doc_parse(out.out, out.out_size, &d, e);
		if (r)
			error_prefix(e, 0, "aws %s %s: cannot read its output", args->words[0],
				     args->count > 1 ? args->words[1] : "");
	}
	proc_free(&out);
	if (r)
		return r;
	if (ret)
		*ret = d;
	else
		doc_free(d);
	return 0;
}

int aws_read(struct aws *aws, doc **ret, struct error *e, const char *words, const char *last)
{
	struct args args = { 0 };
	int r;

	args_words(&args, words);
	if (last)
		args_add(&args, "%s", last);
	r = aws_call(aws, &args, NULL, ret, e);
	args_free(&args);
	if (!r && !*ret)
		return error_set(e, EBADMSG, "aws %s: printed nothing", words);
	return r;
}

/* 1.20.23 and 2.2.31 know the kind of a key pair. We ask for the next ones that a distribution has. */
int aws_check(struct aws *aws, bool tunnel, struct error *e)
{
	static const char *const argv[] = { "aws", "--version", NULL };
	struct proc p = { .argv = argv, .timeout = aws->timeout, .limit = 4096 };
	struct proc_result out;
	int r = proc_run(&p, &out, e), major = 0, minor = 0;
	const char *version;

	aws->trouble = AWS_OTHER;
	if (r == -ENOENT)
		r = error_set(e, ENOENT, "aws: not found in PATH: install the AWS command line (package awscli, or "
			      "AWS's own version 2)");
	if (!r) {
		/* Old ones print it on standard error. */
		version = strstr(*out.out ? out.out : out.err, "aws-cli/");
		if (!version || sscanf(version, "aws-cli/%d.%d", &major, &minor) != 2)
			r = error_set(e, EBADMSG, "aws --version: printed no version: is the `aws` in PATH the AWS "
				      "command line?");
		else if (major < 1 || (major == 1 && minor < 22) || (major == 2 && minor < 3))
			r = error_set(e, EPROTONOSUPPORT, "aws: version %d.%d is too old: 1.22, 2.3 or later is needed",
				      major, minor);
		else if (tunnel && (major < 2 || (major == 2 && minor < 12)))
			r = error_set(e, EPROTONOSUPPORT, "aws: version %d.%d has no open-tunnel: access = endpoint "
				      "needs 2.12 or later", major, minor);
	}
	proc_free(&out);
	return r;
}
