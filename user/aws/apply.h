/* SPDX-License-Identifier: MIT */
/* Walks the table: shows, makes and mends, removes. */
#ifndef OHGUARD_AWS_APPLY_H
#define OHGUARD_AWS_APPLY_H

#include <stdbool.h>
#include <stdio.h>

#include "aws/stack.h"

/* What view_plan() found: the changes, their commands and the cost of the whole. */
void plan_print(struct stack_view *v, FILE *out);
void plan_print_json(struct stack_view *v, FILE *out);

const char *change_mark(enum change_kind kind);	/* + make, ~ set, - remove, ! for you */

/* Carries out what is missing, and checks each resource again after it. -EINTR when interrupted. */
int stack_apply(struct stack_view *v, FILE *progress, struct error *e);

/* How many things carry the stack's tag and live; listed on out unless NULL. */
unsigned int destroy_list(struct stack_view *v, FILE *out);
/* Removes them. wait: seconds that one that is in use is waited for. */
int stack_destroy(struct stack_view *v, unsigned int wait, FILE *progress, struct error *e);

#endif
