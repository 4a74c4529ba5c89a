// SPDX-License-Identifier: MIT
#include "engine/connections.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/netlink.h"

#define NAMESPACES_MAX 4096

/* Asks for TCP sockets of one family, each with its entry in our map. */
struct with_entry {
	struct inet_diag_req_v2 request;
	struct nlattr storages;
	struct nlattr map;
	__u32 map_fd;
};

struct destroy_request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 request;
};

struct ending {
	const struct engine *engine;
	int netlink;	/* that of the dump is busy until its end */
};

static bool is_revoked(const struct engine *engine, const struct oh_connection *c)
{
	struct oh_target t;
	struct error e;

	if (!c->admitted || !c->target || engine_read_target(engine, c->target, &t, &e))
		return false;
	return t.generation != c->generation || (t.lapses != OH_FOREVER && clock_boot() >= t.lapses);
}

/* The entry in our map of the socket that has these attributes. */
static bool read_connection(const void *at, size_t size, struct oh_connection *ret)
{
	static const int path[] = { INET_DIAG_SK_BPF_STORAGES, SK_DIAG_BPF_STORAGE, SK_DIAG_BPF_STORAGE_MAP_VALUE };

	for (size_t i = 0; at && i < sizeof(path) / sizeof(*path); i++)
		at = netlink_find(at, size, path[i], &size);
	if (!at || size < sizeof(*ret))
		return false;
	memcpy(ret, at, sizeof(*ret));
	return true;
}

/* By address and cookie, so that no other socket is hit. */
static void destroy(int netlink, const struct inet_diag_msg *m)
{
	struct destroy_request d = {
		.header = { .nlmsg_len = sizeof(d), .nlmsg_type = SOCK_DESTROY, .nlmsg_flags = NLM_F_REQUEST },
		.request = { .sdiag_family = m->idiag_family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0U,
			     .id = m->id },
	};

	send(netlink, &d, sizeof(d), 0);
}

static void end_if_revoked(const void *head, const void *attributes, size_t size, void *context)
{
	const struct ending *ending = context;
	struct oh_connection c;

	if (read_connection(attributes, size, &c) && is_revoked(ending->engine, &c))
		destroy(ending->netlink, head);
}

static void end_family(const struct ending *ending, int family)
{
	const struct with_entry ask = {
		.request = { .sdiag_family = (__u8)family, .sdiag_protocol = IPPROTO_TCP,
			     .idiag_states = ~(1U << TCP_LISTEN | 1U << TCP_CLOSE | 1U << TCP_TIME_WAIT) },
		.storages = { .nla_len = sizeof(ask.storages) + sizeof(ask.map) + sizeof(ask.map_fd),
			      .nla_type = INET_DIAG_REQ_SK_BPF_STORAGES },
		.map = { .nla_len = sizeof(ask.map) + sizeof(ask.map_fd), .nla_type = SK_DIAG_BPF_STORAGE_REQ_MAP_FD },
		.map_fd = (__u32)ending->engine->map[ENGINE_CONNECTIONS],
	};
	struct error e_ignored;

	netlink_sockets(&ask, sizeof(ask), end_if_revoked, (void *)ending, &e_ignored);
}

static void end_here(const struct engine *engine)
{
	const struct ending ending = { .engine = engine,
				       .netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG) };

	if (ending.netlink < 0)
		return;
	end_family(&ending, AF_INET);
	end_family(&ending, AF_INET6);
	close(ending.netlink);
}

static bool was_seen(ino_t *seen, size_t *count, ino_t namespace)
{
	for (size_t i = 0; i < *count; i++) {
		if (seen[i] == namespace)
			return true;
	}
	if (*count < NAMESPACES_MAX)
		seen[(*count)++] = namespace;
	return false;
}

/* The kernel lists sockets by network namespace, and containers have their own: asks in each that a process is in. */
void connections_end(const struct engine *engine)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ino_t *seen = calloc(NAMESPACES_MAX, sizeof(*seen));
	DIR *processes = opendir("/proc");
	struct dirent *d;
	size_t count = 0;

	while (home >= 0 && seen && processes && (d = readdir(processes))) {
		char path[64];
		struct stat st;
		int fd;

		snprintf(path, sizeof(path), "/proc/%.16s/ns/net", d->d_name);
		if (!isdigit((unsigned char)*d->d_name) || stat(path, &st) || was_seen(seen, &count, st.st_ino))
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!setns(fd, CLONE_NEWNET)) {
			end_here(engine);
			if (setns(home, CLONE_NEWNET))
				abort();	/* all further work would be done in another namespace */
		}
		close(fd);
	}
	if (processes)
		closedir(processes);
	if (home >= 0)
		close(home);
	free(seen);
}
