// SPDX-License-Identifier: MIT
#include "engine/kernel_types.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/kernel_btf.h"

#define DEVICE_ALIGN 32		/* NETDEV_ALIGN: what a driver keeps stands behind struct net_device, aligned to it */

/* Linux 5.12 gave the marks a field of their own. */
static const struct {
	const char *field;
	__u16 bits;
} marks[] = {
	{ "flags", 1 << 0 | 1 << 1 },	/* SKBFL_ZEROCOPY_ENABLE, SKBFL_SHARED_FRAG */
	{ "tx_flags", 1 << 3 | 1 << 5 },	/* SKBTX_DEV_ZEROCOPY, SKBTX_SHARED_FRAG */
};

enum type {
	TYPE_SK_BUFF, TYPE_SHARED_INFO, TYPE_SOCK_ADDR, TYPE_SOCK, TYPE_NET, TYPE_DEVICE, TYPE_IN_DEVICE,
	TYPE_IN_ADDRESS, TYPE_IN6_DEVICE, TYPE_IN6_ADDRESS, TYPE_WHOLE_SOCK, TYPE_NS_COMMON, TYPE_LINK_OPS,
	TYPE_ADJACENT, TYPE_CONNTRACK, TYPE_CONNTRACK_END, TYPES
};

static const char *const type_names[TYPES] = {
	[TYPE_SK_BUFF] = "sk_buff", [TYPE_SHARED_INFO] = "skb_shared_info", [TYPE_SOCK_ADDR] = "bpf_sock_addr_kern",
	[TYPE_SOCK] = "sock_common",	/* the first member of struct sock */
	[TYPE_NET] = "net", [TYPE_DEVICE] = "net_device",
	[TYPE_IN_DEVICE] = "in_device", [TYPE_IN_ADDRESS] = "in_ifaddr",
	[TYPE_IN6_DEVICE] = "inet6_dev", [TYPE_IN6_ADDRESS] = "inet6_ifaddr",
	[TYPE_WHOLE_SOCK] = "sock", [TYPE_NS_COMMON] = "ns_common", [TYPE_LINK_OPS] = "rtnl_link_ops",
	[TYPE_ADJACENT] = "netdev_adjacent",
	[TYPE_CONNTRACK] = "nf_conn", [TYPE_CONNTRACK_END] = "nf_conntrack_tuple_hash",
};

/* A field that a program reads, and where in its struct of the settings the offset goes. Two in one place add up. */
struct field {
	enum type type;
	const char *name;
	size_t at;
};

/* What bpf/decide/source.h reads, in struct oh_kernel_own. */
#define OWN(member) offsetof(struct oh_kernel_own, member)
static const struct field own_fields[] = {
	{ TYPE_SK_BUFF, "dev", OWN(skb_device) },
	{ TYPE_SK_BUFF, "sk", OWN(skb_sock) },
	{ TYPE_SOCK_ADDR, "sk", OWN(attempt_sock) },
	{ TYPE_SOCK, "skc_net", OWN(sock_net) },
	{ TYPE_NET, "dev_base_head", OWN(net_devices) },
	{ TYPE_DEVICE, "nd_net", OWN(device_net) },
	{ TYPE_DEVICE, "dev_list", OWN(device_next) },
	{ TYPE_DEVICE, "ip_ptr", OWN(list[0].device) },
	{ TYPE_IN_DEVICE, "ifa_list", OWN(list[0].first) },
	{ TYPE_IN_ADDRESS, "ifa_next", OWN(list[0].next) },
	{ TYPE_IN_ADDRESS, "ifa_local", OWN(list[0].value) },
	{ TYPE_DEVICE, "ip6_ptr", OWN(list[1].device) },
	{ TYPE_IN6_DEVICE, "addr_list", OWN(list[1].first) },
	{ TYPE_IN6_ADDRESS, "if_list", OWN(list[1].link) },
	{ TYPE_IN6_ADDRESS, "if_list", OWN(list[1].next) },
	{ TYPE_IN6_ADDRESS, "addr", OWN(list[1].value) },
};

/* What bpf/decide/inside.h reads, in struct oh_kernel_links. */
#define LINKS(member) offsetof(struct oh_kernel_links, member)
static const struct field link_fields[] = {
	{ TYPE_DEVICE, "ifindex", LINKS(device_index) },
	{ TYPE_DEVICE, "rtnl_link_ops", LINKS(device_link_ops) },
	{ TYPE_DEVICE, "adj_list", LINKS(device_uppers) },
	{ TYPE_NET, "ns", LINKS(net_inode) },
	{ TYPE_NS_COMMON, "inum", LINKS(net_inode) },
	{ TYPE_LINK_OPS, "kind", LINKS(link_ops_kind) },
	{ TYPE_ADJACENT, "dev", LINKS(adjacent_device) },
	{ TYPE_ADJACENT, "list", LINKS(adjacent_list) },
};

/* The offset of a field in bytes, or -1. */
static int offset_of(const struct kernel_btf *types, enum type type, const char *field)
{
	int bits = kernel_btf_bits(types, type_names[type], field);

	return bits < 0 ? -1 : bits / 8;
}

/* Found by trying: no program may where the kernel is locked down to confidentiality. */
static bool may_read(void)
{
	struct bpf_insn program[] = {
		{ .code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .off = -8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_3, .src_reg = BPF_REG_1 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .imm = -8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 8 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_CGROUP_SKB, .expected_attach_type = BPF_CGROUP_INET_EGRESS,
				.insns = (__u64)(uintptr_t)program, .insn_cnt = sizeof(program) / sizeof(*program),
				.license = (__u64)(uintptr_t)"GPL" };
	/* libbpf's call has other arguments before 0.6 */
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static void find_shared_pages(const struct kernel_btf *types, struct oh_settings *settings)
{
	int head = offset_of(types, TYPE_SK_BUFF, "head"), end = offset_of(types, TYPE_SK_BUFF, "end"), at = -1;
	__u16 mask = 0;

	for (size_t i = 0; at < 0 && i < sizeof(marks) / sizeof(*marks); i++) {
		at = offset_of(types, TYPE_SHARED_INFO, marks[i].field);
		mask = marks[i].bits;
	}
	if (head < 0 || end < 0 || at < 0)
		return;
	settings->skb_head = (__u16)head;
	settings->skb_end = (__u16)end;
	settings->shared_at = (__u16)at;
	settings->shared_mask = mask;
}

/* False where one is missing. ret is all zero before. */
static bool find_fields(const struct kernel_btf *types, const struct field *fields, size_t count, void *ret)
{
	for (size_t i = 0; i < count; i++) {
		int offset = offset_of(types, fields[i].type, fields[i].name);
		__u16 *to = (__u16 *)((char *)ret + fields[i].at);

		if (offset < 0 || offset + *to > UINT16_MAX)
			return false;
		*to = (__u16)(*to + offset);
	}
	return true;
}

static void find_kernel_mark(const struct kernel_btf *types, struct oh_kernel_links *links)
{
	int mark = kernel_btf_bits(types, type_names[TYPE_WHOLE_SOCK], "sk_kern_sock");

	if (mark < 0)
		return;
	links->sock_kernel = (__u16)(mark / 8);
	links->sock_kernel_mask = (__u16)(1 << mark % 8);
}

/* The first of an entry's two ends is how its first packet looked before NAT, and begins with the source. */
static void find_conntrack(const struct kernel_btf *types, struct oh_kernel_links *links)
{
	int entry = offset_of(types, TYPE_SK_BUFF, "_nfct"), ends = offset_of(types, TYPE_CONNTRACK, "tuplehash");
	int source = offset_of(types, TYPE_CONNTRACK_END, "tuple");

	if (entry < 0 || ends < 0 || source < 0)
		return;
	links->skb_conntrack = (__u16)entry;
	links->conntrack_source = (__u16)(ends + source);
}

static void find_own(const struct kernel_btf *types, struct oh_settings *settings)
{
	struct oh_kernel_links *links = &settings->links;
	int size = kernel_btf_size(types, type_names[TYPE_DEVICE]);

	settings->own.known = find_fields(types, own_fields, sizeof(own_fields) / sizeof(*own_fields), &settings->own);
	if (!settings->own.known)
		return;
	links->known = find_fields(types, link_fields, sizeof(link_fields) / sizeof(*link_fields), links);
	links->device_private = (__u16)((size + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN);
	find_kernel_mark(types, links);
	find_conntrack(types, links);
}

static void want_names(struct kernel_btf *types)
{
	static const char *const others[] = {
		"head", "end", "flags", "tx_flags", "sk_kern_sock", "_nfct", "tuplehash", "tuple",
	};

	for (int i = 0; i < TYPES; i++)
		kernel_btf_want(types, type_names[i]);
	for (size_t i = 0; i < sizeof(own_fields) / sizeof(*own_fields); i++)
		kernel_btf_want(types, own_fields[i].name);
	for (size_t i = 0; i < sizeof(link_fields) / sizeof(*link_fields); i++)
		kernel_btf_want(types, link_fields[i].name);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		kernel_btf_want(types, others[i]);
}

void kernel_types_find(struct oh_settings *settings)
{
	struct kernel_btf types = { .fd = -1 };

	if (!may_read())
		return;
	want_names(&types);
	if (!kernel_btf_read(&types, KERNEL_BTF)) {
		find_shared_pages(&types, settings);
		find_own(&types, settings);
	}
	kernel_btf_close(&types);
}
