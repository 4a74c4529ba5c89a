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

/* Writes a key to a file of mode 0600 that must not exist yet: two processes that make a key at once cannot mix their
 * halves. */
static int write_new(const char *path, const char digits[KEY_DIGITS + 1], struct error *e)
{
	struct file_out out;
	int r = file_begin(&out, path, 0600, e);

	if (r)
		return r;
	fprintf(out.stream, "%s\n", digits);
	if (fflush(out.stream) || fsync(fileno(out.stream)) || link(out.temporary, out.path))
		r = error_set(e, errno, "%s: %s", out.path, strerror(errno));
	file_abort(&out);	/* the temporary name */
	return r;
}

int lock_key_make(const char *path, struct error *e)
{
	unsigned char key[KEY_BYTES];
	char digits[KEY_DIGITS + 1], folder[PATH_MAX], *slash;
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
	if (r)
		return r;
	for (size_t i = 0; i < sizeof(key); i++)
		sprintf(digits + 2 * i, "%02x", key[i]);
	r = write_new(path, digits, e);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(digits, sizeof(digits));
	return r == -EEXIST ? 0 : r;
}

static bool is_key(const char *text, size_t len)
{
	return len == KEY_DIGITS && strspn(text, "0123456789abcdef") == KEY_DIGITS;
}

static int read_digits(const char *path, char ret[KEY_DIGITS + 2], struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), code;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return error_set(e, errno, "key %s: %s", path, strerror(errno));
	n = fstat(fd, &st) ? -1 : read(fd, ret, KEY_DIGITS + 1);
	code = errno;
	close(fd);
	if (n < 0)
		return error_set(e, code, "key %s: %s", path, strerror(code));
	if (!S_ISREG(st.st_mode) || st.st_mode & 077)
		return error_set(e, EPERM, "key %s: other users may read or write it: chmod 600 it", path);
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	if (!is_key(ret, strlen(ret)))
		return error_set(e, EINVAL, "key %s: expected %d hexadecimal digits, as `ohguard lock` writes them",
				 path, KEY_DIGITS);
	return 0;
}

int lock_key_read(const char *path, __u8 ret[OH_LOCK_KEY_MAX], struct error *e)
{
	char digits[KEY_DIGITS + 2];
	int r = read_digits(path, digits, e);

	if (!r)
		sha256(digits, KEY_DIGITS, ret);
	explicit_bzero(digits, sizeof(digits));
	return r;
}

int lock_key_copy(const char *path, const char *to, struct error *e)
{
	char digits[KEY_DIGITS + 2];
	int r = read_digits(path, digits, e);

	if (!r)
		r = write_new(to, digits, e);
	explicit_bzero(digits, sizeof(digits));
	return r;
}

bool lock_key_equal(const __u8 a[OH_LOCK_KEY_MAX], const __u8 b[OH_LOCK_KEY_MAX])
{
	volatile __u8 different = 0;

	for (int i = 0; i < OH_LOCK_KEY_MAX; i++)
		different |= a[i] ^ b[i];
	return !different;
}
