/* SPDX-License-Identifier: MIT */
/* The stack's folder on the operator's machine: private key, known hosts, ssh configuration. */
#ifndef OHGUARD_AWS_STATE_H
#define OHGUARD_AWS_STATE_H

#include <stddef.h>

#include "aws/config.h"

int state_make(const struct stack *stack, struct error *e);	/* mode 0700, with its parents */
int state_sync(const struct stack *stack, struct error *e);
int state_write_all(int fd, const char *data, size_t size);

/* By temporary file, fsync and rename; mode 0600. */
int state_replace(const struct stack *stack, const char *name, const char *data, struct error *e);

/* One `apply`, `destroy` or delivery at a time. *fd stays open until the process ends. */
int state_lock(const struct stack *stack, int *ret_fd, struct error *e);

/* After a destroy, when the key opens nothing any more. */
int state_remove(const struct stack *stack, struct error *e);

#endif
