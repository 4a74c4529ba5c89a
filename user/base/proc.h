/* SPDX-License-Identifier: MIT */
/* Child processes: an argv, never a shell, with output in memory, bounded in size and time. */
#ifndef OHGUARD_PROC_H
#define OHGUARD_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

struct proc {
	const char *const *argv;	/* ends with NULL; argv[0] is looked up in PATH */
	const char *const *env;		/* "NAME=value" added to the environment, ends with NULL; or NULL */
	const char *input;		/* what the child reads on standard input; NULL is /dev/null */
	size_t input_size;
	unsigned int timeout;		/* seconds, then its process group is killed */
	size_t limit;			/* most bytes of each output; more is an error */
};

struct proc_result {
	int status;	/* exit status, or 128 + signal */
	char *out;	/* each ends with a NUL that size does not count */
	size_t out_size;
	char *err;
	size_t err_size;
};

/* Runs the child and waits for it. 0 when it ended by itself, whatever its status; -ENOENT if there is no such
 * program, -ETIMEDOUT, -EFBIG (over the limit), -EINTR (a second interrupt killed it), or another negative errno.
 * *result needs proc_free() in every case. */
int proc_run(const struct proc *p, struct proc_result *result, struct error *e);

/* Overwrites the outputs before it frees them: they can hold secrets. */
void proc_free(struct proc_result *result);

/* Prints the argv as a line that a shell would split into the same words. */
void proc_echo(FILE *out, const char *const *argv);

/* From here on SIGINT and SIGTERM are noted and do not end the program: the child may finish, since a change that is
 * half known is the worst place to stop. The second signal kills it. */
void proc_catch_interrupts(void);
bool proc_interrupted(void);

/* Sleeps until an interrupt. True if one came. */
bool proc_sleep(unsigned int milliseconds);

/* The same between two looks at something slow: 1, 2, 4, then 8 seconds. try: from 0. */
bool proc_back_off(unsigned int try);

#endif
