// SPDX-License-Identifier: MIT
#include "engine/inject.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define PLACES_MAX 128		/* namespaces that sockets are kept in; the one that was used longest ago makes room */
#define SEARCH_PAUSE 2		/* seconds until a namespace that was not found is looked for again */

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71	/* asm-generic/socket.h, since 5.14 */
#endif

/* Sockets in one network namespace. */
struct place {
	uint64_t netns;		/* its cookie */
	pid_t pid;		/* whose it is, where the kernel does not tell a socket's cookie; else 0 */
	int fd[2];		/* IPv4, IPv6; -1: none, and the namespace was not found */
	int64_t used;		/* seconds of CLOCK_MONOTONIC */
};

struct inject {
	int home;		/* the namespace that this process is in */
	bool cookies;		/* the kernel tells which namespace a socket is in */
	struct place places[PLACES_MAX];
	size_t count;
};

static void close_place(struct place *p)
{
	for (int i = 0; i < 2; i++) {
		if (p->fd[i] >= 0)
			close(p->fd[i]);
		p->fd[i] = -1;
	}
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) ? 0 : cookie;
}

static bool has_cookies(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && cookie_of(fd);

	if (fd >= 0)
		close(fd);
	return has;
}

int inject_open(struct inject **ret, struct error *e)
{
	struct inject *in = calloc(1, sizeof(*in));

	if (!in)
		return error_set(e, ENOMEM, "out of memory");
	in->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (in->home < 0) {
		int code = errno;

		free(in);
		return error_set(e, code, "/proc/self/ns/net: %s", strerror(code));
	}
	in->cookies = has_cookies();
	*ret = in;
	return 0;
}

void inject_close(struct inject *in)
{
	if (!in)
		return;
	for (size_t i = 0; i < in->count; i++)
		close_place(&in->places[i]);
	close(in->home);
	free(in);
}

/* Makes the sockets in the namespace that is open as `ns`. */
static int make_sockets(const struct inject *in, int ns, struct place *ret)
{
	const int one = 1;
	int r = 0;

	if (setns(ns, CLONE_NEWNET))
		return -errno;
	ret->fd[0] = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (ret->fd[0] < 0)
		r = -errno;
	ret->fd[1] = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);	/* a kernel without IPv6 has none */
	if (ret->fd[1] >= 0)
		setsockopt(ret->fd[1], IPPROTO_IPV6, IPV6_HDRINCL, &one, sizeof(one));
	if (setns(in->home, CLONE_NEWNET))
		abort();	/* all further work would be done in a workload's namespace */
	if (r)
		close_place(ret);
	return r;
}

/* True if the namespace at the path is the wanted one. wanted 0: any is. */
static bool try_path(const struct inject *in, const char *path, uint64_t wanted, struct place *ret)
{
	int ns = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	bool good = ns >= 0 && !make_sockets(in, ns, ret);

	if (ns >= 0)
		close(ns);
	if (good && wanted && cookie_of(ret->fd[0]) != wanted) {
		close_place(ret);
		good = false;
	}
	return good;
}

/* Tries each entry of a folder, as FOLDER/ENTRY and the rest of the path. An entry with the same inode as the one
 * before is left out, since most processes share a namespace. */
static bool try_folder(const struct inject *in, const char *folder, const char *behind, uint64_t wanted,
		       struct place *ret)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	bool found = false;
	ino_t last = 0;

	while (dir && !found && (entry = readdir(dir))) {
		char path[PATH_MAX];
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s%s", folder, entry->d_name, behind);
		if (stat(path, &st) || st.st_ino == last)
			continue;
		last = st.st_ino;
		found = try_path(in, path, wanted, ret);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The noted process has the socket, but is not always in its namespace: dockerd asks from inside a container's. Where
 * the kernel tells no cookies, its own is the only one that can be taken for the wanted one. */
static bool find(const struct inject *in, uint64_t netns, pid_t pid, struct place *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (pid > 0 && try_path(in, path, in->cookies ? netns : 0, ret))
		return true;
	if (!netns || !in->cookies)
		return false;
	return try_folder(in, "/run/docker/netns", "", netns, ret) || try_folder(in, "/run/netns", "", netns, ret) ||
	       try_folder(in, "/proc", "/ns/net", netns, ret);
}

static struct place *take_place(struct inject *in)
{
	struct place *oldest = &in->places[0];

	if (in->count < PLACES_MAX) {
		in->places[in->count].fd[0] = in->places[in->count].fd[1] = -1;
		return &in->places[in->count++];
	}
	for (size_t i = 1; i < in->count; i++) {
		if (in->places[i].used < oldest->used)
			oldest = &in->places[i];
	}
	close_place(oldest);
	return oldest;
}

static struct place *place_of(struct inject *in, uint64_t netns, pid_t pid)
{
	pid_t whose = netns && in->cookies ? 0 : pid;	/* without cookies, once for each process */
	int64_t now = clock_monotonic();
	struct place *p = NULL;

	for (size_t i = 0; i < in->count && !p; i++) {
		if (in->places[i].netns == netns && in->places[i].pid == whose)
			p = &in->places[i];
	}
	if (!p) {
		p = take_place(in);
		p->netns = netns;
		p->pid = whose;
		p->used = 0;
	}
	if (p->fd[0] < 0 && (!p->used || now - p->used >= SEARCH_PAUSE)) {
		find(in, netns, pid, p);
		p->used = now;
	}
	if (p->fd[0] < 0)
		return NULL;
	p->used = now;
	return p;
}

int inject_send(struct inject *in, uint64_t netns, pid_t pid, int family, const void *packet, size_t length)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	struct place *p = place_of(in, netns, pid);
	ssize_t n;

	if (!p)
		return -ENOENT;
	if (family == 4) {
		memcpy(&to4.sin_addr, (const char *)packet + 16, sizeof(to4.sin_addr));
		n = sendto(p->fd[0], packet, length, MSG_DONTWAIT, (const struct sockaddr *)&to4, sizeof(to4));
	} else {
		memcpy(&to6.sin6_addr, (const char *)packet + 24, sizeof(to6.sin6_addr));
		n = sendto(p->fd[1], packet, length, MSG_DONTWAIT, (const struct sockaddr *)&to6, sizeof(to6));
	}
	return n < 0 ? -errno : 0;
}
