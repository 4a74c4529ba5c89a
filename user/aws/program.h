/* SPDX-License-Identifier: MIT */
/* Which ohguard goes to a machine: this one, or on another architecture the one that [stack] names. */
#ifndef OHGUARD_AWS_PROGRAM_H
#define OHGUARD_AWS_PROGRAM_H

#include "aws/config.h"

#define PROGRAM_PATH_MAX 300

/* The file for a machine of this instance type. An error if it is none for that type's processors. */
int program_find(const struct stack *stack, const char *type, char ret[PROGRAM_PATH_MAX], struct error *e);

#endif
