/* SPDX-License-Identifier: MIT */
/* The stack's folder on the operator's machine: private key, known hosts, ssh configuration. */
#ifndef OHGUARD_AWS_STATE_H
#define OHGUARD_AWS_STATE_H

#include <stddef.h>

#include "aws/config.h"
#include "aws/doc.h"

int state_make(const struct stack *stack, struct error *e);	/* mode 0700, with its parents */
int state_sync(const struct stack *stack, struct error *e);
int state_write_all(int fd, const char *data, size_t size);

/* By temporary file, fsync and rename; mode 0600. */
int state_replace(const struct stack *stack, const char *name, const char *data, struct error *e);

/* A file that [stack] names: text of less than 64 KB. *ret is for free(). */
int state_read_text(const char *path, char **ret, struct error *e);

/* One `apply`, `destroy` or delivery at a time. *fd stays open until the process ends. */
int state_lock(const struct stack *stack, int *ret_fd, struct error *e);

/* After a destroy, when the key opens nothing any more. */
int state_remove(const struct stack *stack, struct error *e);

/* Where the private key is, or will be. */
void key_path(const struct stack *stack, char *path, unsigned long size);

/* Writes what create-key-pair answered: 0600 from its first byte, and never over a file that is there. */
int key_save(const struct stack *stack, const doc *answer, struct error *e);

#endif
