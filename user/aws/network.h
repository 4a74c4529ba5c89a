/* SPDX-License-Identifier: MIT */
/* The network half of the table of resources: what each should be, compared with what AWS has. */
#ifndef OHGUARD_AWS_NETWORK_H
#define OHGUARD_AWS_NETWORK_H

#include "aws/stack.h"

void want_vpc(struct stack_view *v, struct node *n);
void want_gateway(struct stack_view *v, struct node *n);
void want_acl(struct stack_view *v, struct node *n);
void want_subnet(struct stack_view *v, struct node *n);
void want_address(struct stack_view *v, struct node *n);
void want_nat(struct stack_view *v, struct node *n);
void want_table(struct stack_view *v, struct node *n);

#endif
