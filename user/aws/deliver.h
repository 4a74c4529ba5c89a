/* SPDX-License-Identifier: MIT */
/* What goes to the machines over ssh through the proxy (program, policy, site), and what is asked there. */
#ifndef OHGUARD_AWS_DELIVER_H
#define OHGUARD_AWS_DELIVER_H

#include <stdbool.h>
#include <stdio.h>

#include "aws/stack.h"

/* The files themselves are asked, since they may have come another way. */
#define DELIVER_VERSIONS \
	"sha256sum /usr/local/sbin/ohguard /etc/ohguard/ohguard.conf | cut -c 1-12 | paste -sd ' '"

/* Copies to these machines (count 0: all) what they are made of, and runs their setup, which on a server loads the
 * guard before anything else. again: also on those that have exactly this already. */
int deliver(struct stack_view *v, const char *const *names, int count, bool again, FILE *progress, struct error *e);

/* What deliver() would bring to this machine, as 16 digits: its tag TAG_DELIVERED has those of the last one. */
int deliver_id(const struct stack *stack, const struct node *n, char ret[20], struct error *e);

/* Sends only the policy, to all servers at once, by AWS Systems Manager. */
int deliver_policy_ssm(struct stack_view *v, const char *const *names, int count, FILE *progress, struct error *e);

int deliver_versions(struct stack_view *v, bool json, FILE *out, struct error *e);

/* -EPERM if something works that must not, or the other way round. */
int aws_verify(struct stack_view *v, bool json, FILE *out, struct error *e);

/* What the files of this part share. */
int deliver_policy_text(const struct stack *stack, char **ret, struct error *e);
void deliver_print_versions(const char *server, const char *versions, FILE *out);

#endif
