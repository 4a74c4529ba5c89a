// SPDX-License-Identifier: MIT
#include "engine/listener.h"

#include <bpf/bpf.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policy/address.h"

#define REPLY_BYTES 32768
#define PROGRAMS_MAX 64

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 request;
};

/* The socket's own cgroup, if it receives what is sent to that address; else 0. */
static uint64_t cgroup_of(const struct nlmsghdr *h, const struct oh_address *address, uint16_t port)
{
	static const struct oh_address any;
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	struct oh_address bound;
	uint64_t id = 0;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || m->id.idiag_sport != htobe16(port))
		return 0;
	memcpy(&bound, m->id.idiag_src, sizeof(bound));
	if (m->idiag_family == AF_INET && m->id.idiag_src[0])
		bound = address_from_ip4(m->id.idiag_src);
	if (memcmp(&bound, &any, sizeof(any)) && memcmp(&bound, address, sizeof(bound)))
		return 0;
	for (size_t at = NLMSG_LENGTH(sizeof(*m)); at + sizeof(struct nlattr) <= h->nlmsg_len;) {
		const struct nlattr *a = (const void *)((const char *)h + at);

		if (a->nla_len < sizeof(*a) || a->nla_len > h->nlmsg_len - at)
			break;
		if (a->nla_type == INET_DIAG_CGROUP_ID && a->nla_len == sizeof(*a) + sizeof(id))
			memcpy(&id, a + 1, sizeof(id));
		at += NLA_ALIGN(a->nla_len);
	}
	return id;
}

static uint64_t ask(int netlink, int family, const struct oh_address *address, uint16_t port)
{
	const struct request ask = {
		.header = { .nlmsg_len = sizeof(ask), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.request = { .sdiag_family = (__u8)family, .sdiag_protocol = IPPROTO_UDP, .idiag_states = ~0U,
			     .id.idiag_sport = htobe16(port) },
	};
	static char reply[REPLY_BYTES] __attribute__((aligned(8)));
	bool more = send(netlink, &ask, sizeof(ask), 0) == sizeof(ask);
	uint64_t found = 0;

	while (more) {
		ssize_t got = recv(netlink, reply, sizeof(reply), 0);
		size_t left = got > 0 ? (size_t)got : 0;

		more = got > 0;
		for (const struct nlmsghdr *h = (void *)reply; more && NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			more = h->nlmsg_type == SOCK_DIAG_BY_FAMILY;
			if (more && !found)
				found = cgroup_of(h, address, port);
		}
	}
	return found;
}

uint64_t listener_cgroup(const struct oh_address *address, uint16_t port)
{
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	uint64_t found = 0;

	if (netlink < 0)
		return 0;
	if (address_is_ip4(address))
		found = ask(netlink, AF_INET, address, port);
	if (!found)	/* one that is bound to :: receives both */
		found = ask(netlink, AF_INET6, address, port);
	close(netlink);
	return found;
}

static bool is_ours(uint32_t id)
{
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);
	bool ours = fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) && !strcmp(info.name, "oh_egress");

	if (fd >= 0)
		close(fd);
	return ours;
}

bool listener_is_guarded(const char *path)
{
	uint32_t ids[PROGRAMS_MAX], count = PROGRAMS_MAX, flags;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	bool ours = false;

	if (fd < 0)
		return false;
	if (bpf_prog_query(fd, BPF_CGROUP_INET_EGRESS, BPF_F_QUERY_EFFECTIVE, &flags, ids, &count))
		count = 0;
	for (uint32_t i = 0; i < count && !ours; i++)
		ours = is_ours(ids[i]);
	close(fd);
	return ours;
}
