/* SPDX-License-Identifier: MIT */
/* Snapshots of the volumes with the agents' state. */
#ifndef OHGUARD_AWS_SNAPSHOT_H
#define OHGUARD_AWS_SNAPSHOT_H

#include <stdbool.h>
#include <stdio.h>

#include "aws/stack.h"

/* Of these servers' (count 0: all). */
int snapshot_make(struct stack_view *v, const char *const *names, int count, bool json, FILE *out, struct error *e);
int snapshot_list(struct stack_view *v, bool json, FILE *out, struct error *e);

#endif
