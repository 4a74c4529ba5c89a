/* SPDX-License-Identifier: MIT */
/* ssh and scp to the machines of a stack: to servers through the proxy. */
#ifndef OHGUARD_AWS_SSH_H
#define OHGUARD_AWS_SSH_H

#include "aws/stack.h"
#include "base/proc.h"

/* Writes ssh_config and known_hosts for the living instances. Host keys come from AWS (the console output of each
 * instance's first boot), not from whoever answers first. */
int ssh_prepare(struct stack_view *v, struct error *e);

/* Runs a constant command line there with this standard input. (ssh gives it to a remote shell: nothing variable may go
 * into it.) result->status is its status; 255 is ssh's own failure, and an error here. */
int ssh_run(struct stack_view *v, const char *host, const char *command, const char *input, unsigned int timeout,
	    struct proc_result *result, struct error *e);

/* The same for a command that must succeed: what it is, for the error. Its last lines go to standard error. */
int ssh_must(struct stack_view *v, const char *host, const char *command, const char *input, unsigned int timeout,
	     const char *what, struct error *e);

/* Copies files into the folder `to` of the login's home, which must exist. paths ends with NULL. */
int ssh_copy(struct stack_view *v, const char *host, const char *const *paths, const char *to, struct error *e);

/* Waits until ssh lets us in: an instance that was just made takes a minute or two. Says on progress what it waits
 * for. */
int ssh_wait(struct stack_view *v, const char *host, unsigned int seconds, FILE *progress, struct error *e);

#endif
