// SPDX-License-Identifier: MIT
#include "engine/sessions.h"

#include <ctype.h>
#include <dirent.h>
#include <endian.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/netlink.h"
#include "policy/address.h"

#define REPLY_BYTES 65536
#define SSH_PORT 22

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 request;
};

struct walk {
	uint8_t listening[65536 / 8];	/* ports */
	bool listeners;			/* this dump is of them */
	void (*visit)(const struct session *s, void *context);
	void *context;
};

static struct oh_address address_of(int family, const __be32 words[4])
{
	struct oh_address a;

	if (family == AF_INET)
		return address_from_ip4(words);
	memcpy(&a, words, sizeof(a));
	return a;
}

static bool is_loopback(const struct oh_address *a)
{
	static const struct oh_address ip6 = { .byte[15] = 1 };

	return address_is_ip4(a) ? a->byte[12] == 127 : !memcmp(a, &ip6, sizeof(ip6));
}

static void take(struct walk *w, const struct nlmsghdr *h)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	uint16_t port;
	struct session s;
	size_t size;
	const void *id;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return;
	port = be16toh(m->id.idiag_sport);
	if (w->listeners) {
		w->listening[port / 8] |= (uint8_t)(1 << port % 8);
		return;
	}
	if (!(w->listening[port / 8] >> port % 8 & 1))
		return;
	s = (struct session){ .local = address_of(m->idiag_family, m->id.idiag_src), .local_port = port,
			      .remote = address_of(m->idiag_family, m->id.idiag_dst),
			      .remote_port = be16toh(m->id.idiag_dport), .inode = m->idiag_inode };
	id = netlink_find(m + 1, h->nlmsg_len - NLMSG_LENGTH(sizeof(*m)), INET_DIAG_CGROUP_ID, &size);
	if (id && size == sizeof(s.cgroup))
		memcpy(&s.cgroup, id, size);
	/* to an address of its own, a machine talks over loopback */
	if (!is_loopback(&s.remote) && memcmp(&s.local, &s.remote, sizeof(s.local)))
		w->visit(&s, w->context);
}

static int dump(int netlink, int family, struct walk *w, struct error *e)
{
	const struct request ask = {
		.header = { .nlmsg_len = sizeof(ask), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.request = { .sdiag_family = (__u8)family, .sdiag_protocol = IPPROTO_TCP,
			     .idiag_states = w->listeners ? 1U << TCP_LISTEN : 1U << TCP_ESTABLISHED },
	};
	char *reply = malloc(REPLY_BYTES);
	bool more = reply && send(netlink, &ask, sizeof(ask), 0) == sizeof(ask), whole = false;
	int failure = EIO;

	while (more) {
		ssize_t got = recv(netlink, reply, REPLY_BYTES, 0);
		size_t left = got > 0 ? (size_t)got : 0;

		more = got > 0;
		for (const struct nlmsghdr *h = (void *)reply; more && NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			whole = h->nlmsg_type == NLMSG_DONE;
			more = h->nlmsg_type == SOCK_DIAG_BY_FAMILY;
			if (more)
				take(w, h);
			if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
			    ((const struct nlmsgerr *)NLMSG_DATA(h))->error == -ENOENT)
				failure = ENOENT;	/* the kernel has no such list */
		}
	}
	free(reply);
	return whole ? 0 : error_set(e, failure, "this machine's connections cannot be listed (sock_diag)");
}

int sessions_walk(void (*visit)(const struct session *s, void *context), void *context, struct error *e)
{
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), r = 0;
	struct walk *w = calloc(1, sizeof(*w));

	if (netlink < 0 || !w)
		r = error_set(e, w ? errno : ENOMEM, "this machine's connections: %s", strerror(w ? errno : ENOMEM));
	for (int pass = 0; !r && pass < 4; pass++) {	/* listeners of both families, then connections */
		w->visit = visit;
		w->context = context;
		w->listeners = pass < 2;
		r = dump(netlink, pass % 2 ? AF_INET6 : AF_INET, w, e);
	}
	free(w);
	if (netlink >= 0)
		close(netlink);
	return r;
}

static bool is_ssh_server(const char *pid)
{
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	f = fopen(path, "re");
	if (f && !fgets(name, sizeof(name), f))
		*name = '\0';
	if (f)
		fclose(f);
	return !strncmp(name, "sshd", 4) || !strncmp(name, "dropbear", 8);
}

static bool has_socket(const char *pid, uint64_t inode)
{
	char path[64], wanted[40];
	struct dirent *d;
	bool found = false;
	DIR *files;

	snprintf(wanted, sizeof(wanted), "socket:[%llu]", (unsigned long long)inode);
	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	files = opendir(path);
	while (files && !found && (d = readdir(files))) {
		char target[64];
		ssize_t n = readlinkat(dirfd(files), d->d_name, target, sizeof(target) - 1);

		target[n < 0 ? 0 : n] = '\0';
		found = !strcmp(target, wanted);
	}
	if (files)
		closedir(files);
	return found;
}

bool session_is_ssh(const struct session *s)
{
	DIR *processes;
	struct dirent *d;
	bool found = s->local_port == SSH_PORT;

	processes = found ? NULL : opendir("/proc");
	while (processes && !found && (d = readdir(processes)))
		found = isdigit((unsigned char)*d->d_name) && is_ssh_server(d->d_name) &&
			has_socket(d->d_name, s->inode);
	if (processes)
		closedir(processes);
	return found;
}
