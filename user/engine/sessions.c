// SPDX-License-Identifier: MIT
#include "engine/sessions.h"

#include <ctype.h>
#include <dirent.h>
#include <endian.h>
#include <linux/inet_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/netlink.h"
#include "policy/address.h"

#define SSH_PORT 22

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

static void take(const void *head, const void *attributes, size_t size, void *context)
{
	const struct inet_diag_msg *m = head;
	uint16_t port = be16toh(m->id.idiag_sport);
	struct walk *w = context;
	struct session s;
	size_t id_size;
	const void *id;

	if (w->listeners) {
		w->listening[port / 8] |= (uint8_t)(1 << port % 8);
		return;
	}
	if (!(w->listening[port / 8] >> port % 8 & 1))
		return;
	s = (struct session){ .local = address_of(m->idiag_family, m->id.idiag_src), .local_port = port,
			      .remote = address_of(m->idiag_family, m->id.idiag_dst),
			      .remote_port = be16toh(m->id.idiag_dport), .inode = m->idiag_inode };
	id = netlink_find(attributes, size, INET_DIAG_CGROUP_ID, &id_size);
	if (id && id_size == sizeof(s.cgroup))
		memcpy(&s.cgroup, id, id_size);
	/* to an address of its own, a machine talks over loopback */
	if (!address_is_loopback(&s.remote) && memcmp(&s.local, &s.remote, sizeof(s.local)))
		w->visit(&s, w->context);
}

int sessions_walk(void (*visit)(const struct session *s, void *context), void *context, struct error *e)
{
	struct walk *w = calloc(1, sizeof(*w));
	int r = w ? 0 : error_set(e, ENOMEM, "out of memory");

	for (int pass = 0; !r && pass < 4; pass++) {	/* listeners of both families, then connections */
		const struct inet_diag_req_v2 request = {
			.sdiag_family = pass % 2 ? AF_INET6 : AF_INET, .sdiag_protocol = IPPROTO_TCP,
			.idiag_states = pass < 2 ? 1U << TCP_LISTEN : 1U << TCP_ESTABLISHED,
		};

		w->visit = visit;
		w->context = context;
		w->listeners = pass < 2;
		r = netlink_sockets(&request, sizeof(request), take, w, e);
	}
	free(w);
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
