/* SPDX-License-Identifier: MIT */
/* What an operator does with a stack that stands. */
#ifndef OHGUARD_AWS_OPERATE_H
#define OHGUARD_AWS_OPERATE_H

#include <stdbool.h>
#include <stdio.h>

#include "aws/stack.h"

/* Ubuntu's updates on these machines (count 0: all), one after the other; reboots those that need it. */
int operate_update(struct stack_view *v, const char *const *names, int count, FILE *progress, struct error *e);

/* Stops or starts all instances. */
int operate_power(struct stack_view *v, bool on, FILE *progress, struct error *e);

/* The units that make a running machine what it is, and what systemd says of each. The first call prepares ssh. */
#define SERVICES_MAX 4
struct service {
	const char *unit;
	char state[16];
};
/* How many, or -errno if the machine is not reached. */
int operate_services(struct stack_view *v, const struct node *n, struct service ret[SERVICES_MAX], struct error *e);

struct logs_wanted {
	const char *unit, *since;	/* NULL: the machine's own units, the last 200 lines */
	bool follow;
};
/* Both become ssh, and return only on failure. */
int operate_logs(struct stack_view *v, const char *host, const struct logs_wanted *wanted, struct error *e);
int operate_ssh(struct stack_view *v, const char *host, const char *const *command, int count, struct error *e);

#endif
