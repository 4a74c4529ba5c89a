/* SPDX-License-Identifier: MIT */
/* The secrets of a stack on their way: from standard input or a machine to a machine, by standard input, and never into
 * a file here. */
#ifndef OHGUARD_AWS_SECRETS_H
#define OHGUARD_AWS_SECRETS_H

#include <stdbool.h>
#include <stdio.h>

#include "aws/stack.h"

/* Reads one line, the key of the model's API, and hands it to the servers (count 0: all). when_idle: to each once no
 * conversation is at work there. */
int secrets_set_key(struct stack_view *v, FILE *in, bool when_idle, const char *const *names, int count, FILE *progress,
		    struct error *e);

enum password_act { PASSWORD_FETCH, PASSWORD_NEW, PASSWORD_REMOVE };
/* ret: the one that was fetched, "" where one was removed. The caller wipes it. */
int secrets_password(struct stack_view *v, enum password_act act, const char *user, char ret[64], struct error *e);

/* Brings the key with which this server's OpenHands lets in to the proxy, which adds it to what it passes on. */
int session_share(struct stack_view *v, const struct node *server, struct error *e);

#endif
