/* SPDX-License-Identifier: MIT */
/* What reaches the machines over ssh, through the proxy: program, policy, key; and what is asked of them there. */
#ifndef OHGUARD_AWS_DELIVER_H
#define OHGUARD_AWS_DELIVER_H

#include <stdbool.h>
#include <stdio.h>

#include "aws/stack.h"

/* Program, units and policy to the servers of those names (count 0: all), then their setup, which loads the guard
 * before it does anything else. again: also to those that have exactly this already. */
int deliver(struct stack_view *v, const char *const *names, int count, bool again, FILE *progress, struct error *e);

/* Only the policy, to all servers at once, by AWS Systems Manager. */
int deliver_policy_ssm(struct stack_view *v, const char *const *names, int count, FILE *progress, struct error *e);

int deliver_versions(struct stack_view *v, bool json, FILE *out, struct error *e);

/* Reads one line and hands it to the servers' set-key script on its standard input. */
int set_key_from(struct stack_view *v, FILE *in, const char *const *names, int count, FILE *progress, struct error *e);

int fetch_password(struct stack_view *v, bool make_new, FILE *out, struct error *e);

/* -EPERM when something works that must not, or the other way round. */
int aws_verify(struct stack_view *v, bool json, FILE *out, struct error *e);

#endif
