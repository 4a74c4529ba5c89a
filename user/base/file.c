// SPDX-License-Identifier: MIT
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMPORARY ".ohguard-new."	/* no name that somebody else would choose: what was left of one is removed */

int file_begin(struct file_out *out, const char *path, mode_t mode, struct error *e)
{
	int fd, code;

	snprintf(out->path, sizeof(out->path), "%s", path);
	snprintf(out->temporary, sizeof(out->temporary), "%s" TEMPORARY "XXXXXX", path);
	fd = mkostemp(out->temporary, O_CLOEXEC);
	if (fd < 0)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	out->stream = fchmod(fd, mode) ? NULL : fdopen(fd, "w");
	if (!out->stream) {
		code = errno;
		close(fd);
		unlink(out->temporary);
		return error_set(e, code, "%s: %s", path, strerror(code));
	}
	return 0;
}

void file_abort(struct file_out *out)
{
	fclose(out->stream);
	unlink(out->temporary);
}

/* Syncs the file's folder, and removes temporary files of writers that were killed. */
static int settle_folder_of(const char *path)
{
	char folder[PATH_MAX];
	struct dirent *entry;
	char *slash;
	DIR *dir;
	int r;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash)
		return 0;
	slash[slash == folder] = '\0';
	dir = opendir(folder);
	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		if (strstr(entry->d_name, TEMPORARY))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	r = fsync(dirfd(dir));
	closedir(dir);
	return r;
}

int file_commit(struct file_out *out, struct error *e)
{
	int code = 0;

	if (fflush(out->stream) || ferror(out->stream) || fsync(fileno(out->stream)))
		code = errno ? errno : EIO;
	if (fclose(out->stream) && !code)
		code = errno;
	if (!code && rename(out->temporary, out->path))
		code = errno;
	if (code) {
		unlink(out->temporary);
		return error_set(e, code, "%s: %s: the old file is kept", out->path, strerror(code));
	}
	if (settle_folder_of(out->path))
		return error_set(e, errno, "%s: written, but its folder cannot be synced: %s", out->path,
				 strerror(errno));
	return 0;
}

int file_write(const char *path, mode_t mode, const char *text, size_t size, struct error *e)
{
	struct file_out out;
	int r = file_begin(&out, path, mode, e);

	if (r)
		return r;
	if (size)
		fwrite(text, 1, size, out.stream);	/* the commit reports what goes wrong here */
	return file_commit(&out, e);
}

int file_make_folder(const char *path, mode_t mode, struct error *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return error_set(e, ENAMETOOLONG, "%s: %s", path, strerror(ENAMETOOLONG));
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i])
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, i == len ? mode : 0755) && errno != EEXIST)
			return error_set(e, errno, "%s: %s", part, strerror(errno));
	}
	return 0;
}

int file_lock(const char *path, struct error *e)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	for (int i = 0; i < 60 * 50; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		nanosleep(&pause, NULL);
	}
	close(fd);
	return error_set(e, EBUSY, "%s: another ohguard command has been at work for a minute: see `fuser -v %s`",
			 path, path);
}

int file_try_lock(const char *path, const char *busy, struct error *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	close(fd);
	return error_set(e, EBUSY, "%s", busy);
}

bool file_mounts_are_own(void)
{
	struct stat own, first;

	return stat("/proc/self/ns/mnt", &own) || stat("/proc/1/ns/mnt", &first) || own.st_ino != first.st_ino ||
	       own.st_dev != first.st_dev;
}

int file_find_mount(const char *type, char ret[PATH_MAX], struct error *e)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent entry, *m;
	char buffer[PATH_MAX * 2];
	bool found = false;

	if (!mounts)
		return error_set(e, errno, "/proc/self/mounts: %s: is /proc mounted?", strerror(errno));
	while (!found && (m = getmntent_r(mounts, &entry, buffer, sizeof(buffer)))) {
		found = !strcmp(m->mnt_type, type) && strlen(m->mnt_dir) < PATH_MAX;
		if (found)
			strcpy(ret, m->mnt_dir);
	}
	endmntent(mounts);
	return found ? 0 : error_set(e, ENOENT, "no %s is mounted", type);
}
