/* SPDX-License-Identifier: MIT */
/* The `aws` command line as a child process: calls, their errors told apart, retries. */
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

/* What an error of AWS means, whatever the service calls it. */
enum aws_trouble {
	AWS_FINE,
	AWS_THROTTLED,		/* refused before anything was done */
	AWS_FAULT,		/* AWS's own; what was asked may have been done or not */
	AWS_CREDENTIALS,
	AWS_DENIED,
	AWS_QUOTA,
	AWS_CAPACITY,
	AWS_ABSENT,		/* what was named is not there (any more) */
	AWS_IN_USE,		/* something depends on it: wait, or say what */
	AWS_NOT_YET,		/* not in the state for that, or not visible everywhere yet: try again */
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

/* Is there an `aws` that is new enough? */
int aws_check(struct aws *aws, struct error *e);

/* Runs `aws ARGS --region R --output json`. *ret is the parsed output, NULL where it printed nothing, for doc_free();
 * ret may be NULL. Throttled calls are repeated, with longer and longer pauses. */
int aws_call(struct aws *aws, const struct args *args, const char *input, doc **ret, struct error *e);

/* The same for words in one string, for calls without a variable part; and for one variable word at the end. */
int aws_read(struct aws *aws, doc **ret, struct error *e, const char *words, const char *last);

/* The full argv, for showing. */
void aws_argv(const struct aws *aws, const struct args *args, const char *ret[ARGS_MAX + 8]);

enum aws_trouble aws_trouble_of(const char *code);

#endif
