/* SPDX-License-Identifier: MIT */
/* The other half of the table: security groups, key pair, volumes, instances. */
#ifndef OHGUARD_AWS_HOSTS_H
#define OHGUARD_AWS_HOSTS_H

#include "aws/stack.h"

void want_group(struct stack_view *v, struct node *n);
void want_default_group(struct stack_view *v, struct node *vpc);
void want_endpoint(struct stack_view *v, struct node *n);
/* True if machines need a private key that is not here. */
bool key_is_missing(struct stack_view *v);
void want_key(struct stack_view *v, struct node *n);
void want_state(struct stack_view *v, struct node *n);
void want_instance(struct stack_view *v, struct node *n);
void want_delivery(struct stack_view *v, struct node *n);

#endif
