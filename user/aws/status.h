/* SPDX-License-Identifier: MIT */
/* The stack as a picture, or as JSON. */
#ifndef OHGUARD_AWS_STATUS_H
#define OHGUARD_AWS_STATUS_H

#include <stdio.h>

#include "aws/stack.h"

void status_print(struct stack_view *v, FILE *out);
void status_print_json(struct stack_view *v, FILE *out);

#endif
