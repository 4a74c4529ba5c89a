/* SPDX-License-Identifier: MIT */
/* The other half of the table: security groups, key pair, instances. */
#ifndef OHGUARD_AWS_HOSTS_H
#define OHGUARD_AWS_HOSTS_H

#include "aws/stack.h"

void want_group(struct stack_view *v, struct node *n);
void want_key(struct stack_view *v, struct node *n);
void want_instance(struct stack_view *v, struct node *n);

/* Where the private key is, or will be. */
void key_path(const struct stack *stack, char *path, unsigned long size);

/* Writes what create-key-pair answered: 0600 from its first byte, and never over a file that is there. */
int key_save(const struct stack *stack, const doc *answer, struct error *e);

#endif
