/* SPDX-License-Identifier: MIT */
/* Files that are replaced whole or not at all, folders, locks and mounts. */
#ifndef OHGUARD_FILE_H
#define OHGUARD_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/error.h"

/* A file being written beside the one it will replace. */
struct file_out {
	FILE *stream;
	char path[PATH_MAX];
	char temporary[PATH_MAX + 16];
};

/* Opens a temporary file in the same folder. file_commit() or file_abort() ends it. */
int file_begin(struct file_out *out, const char *path, mode_t mode, struct error *e);
/* Flushes, fsyncs and renames, so that after a crash there is the old file or the new one. On failure the old one
 * stays. The caller holds a lock on the folder: temporary files of other writers are removed. */
int file_commit(struct file_out *out, struct error *e);
void file_abort(struct file_out *out);

/* Writes a whole file in the same way. */
int file_write(const char *path, mode_t mode, const char *text, size_t size, struct error *e);

/* Makes the folder with the given mode, and those above it with 0755. */
int file_make_folder(const char *path, mode_t mode, struct error *e);

/* Takes the exclusive lock at path, which is made if it is missing, and waits up to 60 seconds for another holder. The
 * lock ends with the descriptor, however the process ends. Returns the descriptor, or a negative errno. */
int file_lock(const char *path, struct error *e);

/* The same without waiting: -EBUSY with the given message if it is held. */
int file_try_lock(const char *path, const char *busy, struct error *e);

/* True unless this process is seen to have the mounts of process 1. Others end with the last process that uses them. */
bool file_mounts_are_own(void);

/* The first mount point of a file system type ("cgroup2"), or -ENOENT. */
int file_find_mount(const char *type, char ret[PATH_MAX], struct error *e);

#endif
