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

#define NAMESPACES_MAX 4096
#define REPLY_BYTES 65536

/* A request for a dump of all TCP sockets of one family, each with its entry in our map. */
struct dump_request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 request;
	struct nlattr storages;
	struct nlattr map;
	__u32 map_fd;
};

struct destroy_request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 request;
};

static bool is_revoked(const struct engine *engine, const struct oh_connection *c)
{
	struct oh_target t;
	struct error e;

	if (!c->admitted || !c->target || engine_read_targets(engine, c->target, 1, &t, &e))
		return false;
	return t.generation != c->generation || (t.lapses != OH_FOREVER && clock_boot() >= t.lapses);
}

/* The attribute of that type among the bytes at `at`, or NULL. */
static const struct nlattr *find_attribute(const void *at, size_t size, int type)
{
	const char *p = at;

	while (size >= sizeof(struct nlattr)) {
		const struct nlattr *a = (const void *)p;
		size_t step = NLA_ALIGN(a->nla_len);

		if (a->nla_len < sizeof(*a) || a->nla_len > size)
			break;
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
		if (step >= size)
			break;
		p += step;
		size -= step;
	}
	return NULL;
}

static const struct nlattr *inside(const struct nlattr *a, int type)
{
	return a ? find_attribute(a + 1, a->nla_len - sizeof(*a), type) : NULL;
}

/* The entry in our map of the socket in the message. */
static bool read_connection(const struct nlmsghdr *h, struct oh_connection *ret)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	const struct nlattr *a;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return false;
	a = find_attribute(m + 1, h->nlmsg_len - NLMSG_LENGTH(sizeof(*m)), INET_DIAG_SK_BPF_STORAGES);
	a = inside(inside(a, SK_DIAG_BPF_STORAGE), SK_DIAG_BPF_STORAGE_MAP_VALUE);
	if (!a || a->nla_len < sizeof(*a) + sizeof(*ret))
		return false;
	memcpy(ret, a + 1, sizeof(*ret));
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

/* The netlink socket of the dump is busy until its end, so another one takes the requests. */
static void end_family(const struct engine *engine, const int netlink[2], int family)
{
	struct dump_request d = {
		.header = { .nlmsg_len = sizeof(d), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.request = { .sdiag_family = (__u8)family, .sdiag_protocol = IPPROTO_TCP,
			     .idiag_states = ~(1U << TCP_LISTEN | 1U << TCP_CLOSE | 1U << TCP_TIME_WAIT) },
		.storages = { .nla_len = sizeof(d.storages) + sizeof(d.map) + sizeof(d.map_fd),
			      .nla_type = INET_DIAG_REQ_SK_BPF_STORAGES },
		.map = { .nla_len = sizeof(d.map) + sizeof(d.map_fd), .nla_type = SK_DIAG_BPF_STORAGE_REQ_MAP_FD },
		.map_fd = (__u32)engine->map[ENGINE_CONNECTIONS],
	};
	char *reply = malloc(REPLY_BYTES);
	bool more = reply && send(netlink[0], &d, sizeof(d), 0) == sizeof(d);

	while (more) {
		ssize_t got = recv(netlink[0], reply, REPLY_BYTES, 0);
		size_t left = got > 0 ? (size_t)got : 0;

		more = got > 0;
		for (struct nlmsghdr *h = (void *)reply; more && NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			struct oh_connection c;

			more = h->nlmsg_type != NLMSG_DONE && h->nlmsg_type != NLMSG_ERROR;
			if (more && read_connection(h, &c) && is_revoked(engine, &c))
				destroy(netlink[1], NLMSG_DATA(h));
		}
	}
	free(reply);
}

static void end_here(const struct engine *engine)
{
	int netlink[2];

	for (int i = 0; i < 2; i++)
		netlink[i] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (netlink[0] >= 0 && netlink[1] >= 0) {
		end_family(engine, netlink, AF_INET);
		end_family(engine, netlink, AF_INET6);
	}
	for (int i = 0; i < 2; i++) {
		if (netlink[i] >= 0)
			close(netlink[i]);
	}
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
