// SPDX-License-Identifier: MIT
#include "lock/key.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sha256.h"

#define KEY_BYTES 32
#define KEY_DIGITS (2 * KEY_BYTES)

/* The file must not exist yet: two processes that make a key at once cannot mix their halves. */
static int place(struct file_out *out, struct error *e)
{
	if (fflush(out->stream) || fsync(fileno(out->stream)))
		return error_set(e, errno, "%s: %s", out->path, strerror(errno));
	if (link(out->temporary, out->path) && errno != EEXIST)
		return error_set(e, errno, "%s: %s", out->path, strerror(errno));
	return 0;
}

int lock_key_make(const char *path, struct error *e)
{
	unsigned char key[KEY_BYTES];
	char folder[PATH_MAX], *slash;
	struct file_out out;
	struct stat st;
	int r = 0;

	if (!lstat(path, &st))
		return 0;
	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = '\0';
		r = file_make_folder(folder, 0755, e);
	}
	if (!r && getrandom(key, sizeof(key), 0) != sizeof(key))
		r = error_set(e, EIO, "no random bytes for a key: %s", strerror(errno));
	if (!r)
		r = file_begin(&out, path, 0600, e);
	if (r)
		return r;
	for (size_t i = 0; i < sizeof(key); i++)
		fprintf(out.stream, "%02x", key[i]);
	fputc('\n', out.stream);
	explicit_bzero(key, sizeof(key));
	r = place(&out, e);
	file_abort(&out);	/* the temporary name */
	return r;
}

static bool is_key(const char *text, size_t len)
{
	return len == KEY_DIGITS && strspn(text, "0123456789abcdef") == KEY_DIGITS;
}

int lock_key_read(const char *path, __u8 ret[OH_LOCK_KEY_MAX], struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), code;
	char text[KEY_DIGITS + 2] = "";
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return error_set(e, errno, "key %s: %s", path, strerror(errno));
	n = fstat(fd, &st) ? -1 : read(fd, text, sizeof(text) - 1);
	code = errno;
	close(fd);
	if (n < 0)
		return error_set(e, code, "key %s: %s", path, strerror(code));
	if (!S_ISREG(st.st_mode) || st.st_mode & 077)
		return error_set(e, EPERM, "key %s: other users may read or write it: chmod 600 it", path);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (!is_key(text, strlen(text)))
		return error_set(e, EINVAL, "key %s: expected %d hexadecimal digits, as `ohguard lock` writes them",
				 path, KEY_DIGITS);
	sha256(text, KEY_DIGITS, ret);
	explicit_bzero(text, sizeof(text));
	return 0;
}

bool lock_key_equal(const __u8 a[OH_LOCK_KEY_MAX], const __u8 b[OH_LOCK_KEY_MAX])
{
	volatile __u8 different = 0;

	for (int i = 0; i < OH_LOCK_KEY_MAX; i++)
		different |= a[i] ^ b[i];
	return !different;
}
