// SPDX-License-Identifier: MIT
#include "engine/listener.h"

#include <bpf/bpf.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/netlink.h"
#include "policy/address.h"

#define PROGRAMS_MAX 64

struct search {
	const struct oh_address *address;
	uint64_t found;		/* a cgroup's id, or 0 */
};

/* The socket's own cgroup, if it receives what is sent to that address. */
static void take(const void *head, const void *attributes, size_t size, void *context)
{
	static const struct oh_address any;
	const struct inet_diag_msg *m = head;
	struct search *s = context;
	struct oh_address bound;
	size_t id_size;
	const void *id;

	memcpy(&bound, m->id.idiag_src, sizeof(bound));
	if (m->idiag_family == AF_INET && m->id.idiag_src[0])
		bound = address_from_ip4(m->id.idiag_src);
	if (s->found || (memcmp(&bound, &any, sizeof(any)) && memcmp(&bound, s->address, sizeof(bound))))
		return;
	id = netlink_find(attributes, size, INET_DIAG_CGROUP_ID, &id_size);
	if (id && id_size == sizeof(s->found))
		memcpy(&s->found, id, id_size);
}

static uint64_t ask(int family, const struct oh_address *address, uint16_t port)
{
	const struct inet_diag_req_v2 request = {
		.sdiag_family = (__u8)family, .sdiag_protocol = IPPROTO_UDP, .idiag_states = ~0U,
		.id.idiag_sport = htobe16(port),
	};
	struct search s = { .address = address };
	struct error e_ignored;

	netlink_sockets(&request, sizeof(request), take, &s, &e_ignored);
	return s.found;
}

uint64_t listener_cgroup(const struct oh_address *address, uint16_t port)
{
	uint64_t found = address_is_ip4(address) ? ask(AF_INET, address, port) : 0;

	return found ? found : ask(AF_INET6, address, port);	/* one that is bound to :: receives both */
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
