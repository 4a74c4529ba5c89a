// SPDX-License-Identifier: MIT
#include "engine/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define PAUSE_US 2000
#define EMPTY_MS 10000

int cgroup_find_own(char ret[PATH_MAX], struct error *e)
{
	char mount[PATH_MAX], line[PATH_MAX + 16], path[2 * PATH_MAX + 16];
	int r = file_find_mount("cgroup2", mount, e);
	FILE *f;

	if (r)
		return error_set(e, ENOENT, "no cgroup2 is mounted: mount -t cgroup2 none /sys/fs/cgroup");
	snprintf(ret, PATH_MAX, "%s", mount);
	f = fopen("/proc/self/cgroup", "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::/", 4) || !line[4])
			continue;
		snprintf(path, sizeof(path), "%s%s", mount, line + 3);
		/* of another namespace, or removed */
		if (!strstr(line, "/..") && strlen(path) < PATH_MAX - 64 && !access(path, F_OK))
			strcpy(ret, path);
	}
	if (f)
		fclose(f);
	return 0;
}

static int write_word(const char *path, const char *name, const char *word)
{
	char file[PATH_MAX + 32];
	int fd, r = 0;

	snprintf(file, sizeof(file), "%s/%s", path, name);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, word, strlen(word)) < 0)
		r = -errno;
	close(fd);
	return r;
}

int cgroup_join(const char *path)
{
	return write_word(path, "cgroup.procs", "0");
}

/* Calls back for each cgroup below, the lowest first, and then for it. */
static void each_below(const char *path, void (*visit)(const char *path))
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char below[PATH_MAX];

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    (size_t)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) >= sizeof(below))
			continue;
		each_below(below, visit);
	}
	if (dir)
		closedir(dir);
	visit(path);
}

static void kill_members(const char *path)
{
	char file[PATH_MAX + 32];
	FILE *f;
	int pid;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	f = fopen(file, "re");
	while (f && fscanf(f, "%d", &pid) == 1) {
		if (pid > 0)
			kill(pid, SIGKILL);
	}
	if (f)
		fclose(f);
}

static bool is_populated(const char *path)
{
	char file[PATH_MAX + 32], line[64];
	int populated = 0;
	FILE *f;

	snprintf(file, sizeof(file), "%s/cgroup.events", path);
	f = fopen(file, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "populated %d", &populated) == 1)
			break;
	}
	if (f)
		fclose(f);
	return populated;
}

/* cgroup.kill is there from Linux 5.14 on. Before it, what is frozen makes no new processes, and can be killed. */
void cgroup_kill(const char *path)
{
	int64_t deadline = clock_monotonic_ms() + EMPTY_MS;

	if (!is_populated(path) || !write_word(path, "cgroup.kill", "1"))
		return;
	write_word(path, "cgroup.freeze", "1");
	while (is_populated(path) && clock_monotonic_ms() < deadline) {
		each_below(path, kill_members);
		usleep(PAUSE_US);
	}
}

static void remove_one(const char *path)
{
	rmdir(path);
}

/* Made by a process that has ended. While it lives, it may be about to fill it. */
static bool is_left(const char *name)
{
	int pid = 0;
	char rest;

	if (sscanf(name, CGROUP_OF_RUN "%c", &pid, &rest) != 1 && sscanf(name, CGROUP_OF_VERIFY "%c", &pid, &rest) != 1)
		return false;
	return pid > 0 && (pid == getpid() || (kill(pid, 0) && errno == ESRCH));
}

void cgroup_remove_left(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[PATH_MAX];

		if (!is_left(entry->d_name))
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) < sizeof(path) &&
		    !is_populated(path))
			each_below(path, remove_one);
	}
	if (dir)
		closedir(dir);
}

int cgroup_remove(const char *path, struct error *e)
{
	int64_t deadline = clock_monotonic_ms() + EMPTY_MS;

	do {
		each_below(path, remove_one);
		if (access(path, F_OK))
			return 0;
		usleep(PAUSE_US);
	} while (clock_monotonic_ms() < deadline);
	return error_set(e, EBUSY, "%s: not removed: a process in it does not end", path);
}
