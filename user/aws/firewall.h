/* SPDX-License-Identifier: MIT */
/* What the VPC itself has beside its network: Route 53 Resolver's DNS Firewall, a second wall around the machines, and
 * the log of its flows. */
#ifndef OHGUARD_AWS_FIREWALL_H
#define OHGUARD_AWS_FIREWALL_H

#include "aws/stack.h"

/* Route 53 Resolver filters no list by tag: those with our names are listed, and the tags of each. */
int firewall_list(struct stack_view *v, enum kind_id kind, doc **ret, struct error *e);

void want_dns_list(struct stack_view *v, struct node *n);
void want_dns_rules(struct stack_view *v, struct node *n);
void want_dns_firewall(struct stack_view *v, struct node *n);
void want_flow_log(struct stack_view *v, struct node *n);

#endif
