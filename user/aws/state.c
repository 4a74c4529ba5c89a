// SPDX-License-Identifier: MIT
#include "aws/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int state_make(const struct stack *stack, struct error *e)
{
	char path[sizeof(stack->state)];
	struct stat st;

	memcpy(path, stack->state, sizeof(path));
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return error_set(e, errno, "%s: %s", path, strerror(errno));
		*slash = '/';
	}
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	if (lstat(path, &st))
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		return error_set(e, EPERM, "%s: must be a folder that only uid %u can enter (mode 0700)", path,
				 geteuid());
	return 0;
}

int state_sync(const struct stack *stack, struct error *e)
{
	int fd = open(stack->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0 || fsync(fd))
		r = error_set(e, errno, "%s: %s", stack->state, strerror(errno));
	if (fd >= 0)
		close(fd);
	return r;
}

int state_write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

int state_replace(const struct stack *stack, const char *name, const char *data, struct error *e)
{
	char path[300], temporary[320];
	int fd, r = state_make(stack, e);

	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/%s", stack->state, name);
	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return error_set(e, errno, "%s: %s", temporary, strerror(errno));
	r = state_write_all(fd, data, strlen(data));
	close(fd);
	if (!r && rename(temporary, path))
		r = -errno;
	if (r) {
		unlink(temporary);
		return error_set(e, -r, "%s: %s", path, strerror(-r));
	}
	return state_sync(stack, e);
}

int state_read_text(const char *path, char **ret, struct error *e)
{
	char *text;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	text = calloc(1, 65536);
	n = text ? read(fd, text, 65536) : -1;
	close(fd);
	if (n < 0 || n == 65536 || (size_t)n != strlen(text)) {
		free(text);
		return error_set(e, EINVAL, "%s: expected a text of less than 64 KB", path);
	}
	*ret = text;
	return 0;
}

int state_lock(const struct stack *stack, int *ret_fd, struct error *e)
{
	char path[300];
	int fd, r = state_make(stack, e);

	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/lock", stack->state);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return error_set(e, EBUSY, "%s: another ohguard aws is at work on stack %s: wait for it", path,
				 stack->name);
	}
	*ret_fd = fd;
	return 0;
}

int state_remove(const struct stack *stack, struct error *e)
{
	static const char *const names[] = { "key.pem", "known_hosts", "ssh_config" };
	char path[300];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", stack->state, names[i]);
		if (unlink(path) && errno != ENOENT)
			return error_set(e, errno, "%s: %s", path, strerror(errno));
	}
	return 0;
}

void key_path(const struct stack *stack, char *path, unsigned long size)
{
	snprintf(path, size, "%s/key.pem", stack->state);
}

int key_save(const struct stack *stack, const doc *answer, struct error *e)
{
	const char *material = doc_text(answer, "KeyMaterial");
	char path[300];
	int fd, r;

	key_path(stack, path, sizeof(path));
	if (strncmp(material, "-----BEGIN ", 11))
		return error_set(e, EBADMSG, "aws ec2 create-key-pair: answered no private key");
	r = state_make(stack, e);
	if (r)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	r = state_write_all(fd, material, strlen(material));
	if (close(fd) && !r)
		r = -errno;
	if (r) {
		unlink(path);
		return error_set(e, -r, "%s: %s", path, strerror(-r));
	}
	return state_sync(stack, e);
}
