/* SPDX-License-Identifier: MIT */
/* What goes to the machines over ssh through the proxy (program, policy, key), and what is asked there. */
#ifndef OHGUARD_AWS_DELIVER_H
#define OHGUARD_AWS_DELIVER_H

#include <stdbool.h>
#include <stdio.h>

#include "aws/stack.h"

/* Copies program, units and policy to these servers (count 0: all) and runs their setup, which loads the guard before
 * anything else. again: also on those that have exactly this already. */
int deliver(struct stack_view *v, const char *const *names, int count, bool again, FILE *progress, struct error *e);

/* Sends only the policy, to all servers at once, by AWS Systems Manager. */
int deliver_policy_ssm(struct stack_view *v, const char *const *names, int count, FILE *progress, struct error *e);

int deliver_versions(struct stack_view *v, bool json, FILE *out, struct error *e);

/* Reads one line and hands it to the servers' set-key script on its standard input. */
int set_key_from(struct stack_view *v, FILE *in, const char *const *names, int count, FILE *progress, struct error *e);

int fetch_password(struct stack_view *v, bool make_new, FILE *out, struct error *e);

/* -EPERM if something works that must not, or the other way round. */
int aws_verify(struct stack_view *v, bool json, FILE *out, struct error *e);

#endif
