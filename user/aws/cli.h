/* SPDX-License-Identifier: MIT */
/* The `aws` command line as a child process: calls, kinds of errors, retries. */
#ifndef OHGUARD_AWS_CLI_H
#define OHGUARD_AWS_CLI_H

#include <stdbool.h>

#include "aws/doc.h"
#include "base/error.h"

/* An argv that owns its words. */
#define ARGS_MAX 48
struct args {
	char *words[ARGS_MAX + 1];
	unsigned int count;
	bool failed;	/* out of memory or room: found when it is run */
};

void args_add(struct args *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void args_words(struct args *a, const char *words);	/* several, with a blank between */
void args_free(struct args *a);

/* What an AWS error means, whatever the service calls it. */
enum aws_trouble {
	AWS_FINE,
	AWS_THROTTLED,		/* refused before anything was done */
	AWS_FAULT,		/* AWS's own fault; the change may have been made or not */
	AWS_CREDENTIALS,
	AWS_DENIED,
	AWS_QUOTA,
	AWS_CAPACITY,
	AWS_ABSENT,		/* it does not exist (any more) */
	AWS_IN_USE,		/* something depends on it: wait, or say what */
	AWS_NOT_YET,		/* not yet in the right state, or not yet visible everywhere: try again */
	AWS_THERE_ALREADY,	/* a repeated request whose first answer was lost */
	AWS_TOKEN_USED,		/* the client token belongs to something that is gone */
	AWS_UNREACHABLE,
	AWS_OUTDATED,		/* the `aws` here does not know the call or an option */
	AWS_OTHER,
};

struct aws {
	const char *region;
	unsigned int timeout;		/* seconds for one call */
	enum aws_trouble trouble;	/* of the last call */
	char code[64];			/* its AWS error code, "" where there was none */
	unsigned int calls;
};

/* Checks that there is an `aws` and that it is new enough; tunnel: for `open-tunnel`, which only version 2 has. */
int aws_check(struct aws *aws, bool tunnel, struct error *e);

/* Runs `aws ARGS --region R --output json`. *ret is the parsed output for doc_free(), or NULL if it printed nothing;
 * ret may be NULL. Throttled calls are repeated, with longer and longer pauses. */
int aws_call(struct aws *aws, const struct args *args, const char *input, doc **ret, struct error *e);

/* The same for constant words in one string, and for these with one variable word at the end. */
int aws_read(struct aws *aws, doc **ret, struct error *e, const char *words, const char *last);

/* The full argv, to show it. */
void aws_argv(const struct aws *aws, const struct args *args, const char *ret[ARGS_MAX + 8]);

enum aws_trouble aws_trouble_of(const char *code);

#endif
