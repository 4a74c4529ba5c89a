/* SPDX-License-Identifier: MIT */
/* Walks the table: shows, makes, repairs, removes. */
#ifndef OHGUARD_AWS_APPLY_H
#define OHGUARD_AWS_APPLY_H

#include <stdbool.h>
#include <stdio.h>

#include "aws/stack.h"

/* What view_plan() found: the changes, their commands and the cost of the whole. */
void plan_print(struct stack_view *v, bool commands, FILE *out);
void plan_print_json(struct stack_view *v, FILE *out);

const char *change_mark(enum change_kind kind);	/* + make, ~ set, - remove, > deliver, ! for you */

/* Makes the changes, and checks each resource again afterwards. -EINTR when interrupted. */
int stack_apply(struct stack_view *v, FILE *progress, struct error *e);

/* How many living resources carry the stack's tag. Lists them on out, unless that is NULL. */
unsigned int destroy_list(struct stack_view *v, FILE *out);
/* Removes them. wait: how many seconds to wait for one that is in use. */
int stack_destroy(struct stack_view *v, unsigned int wait, FILE *progress, struct error *e);

#endif
