// SPDX-License-Identifier: MIT
#include "engine/shared_pages.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux 5.12 gave the marks a field of their own. */
static const struct {
	const char *field;
	__u16 bits;
} marks[] = {
	{ "flags", 1 << 0 | 1 << 1 },	/* SKBFL_ZEROCOPY_ENABLE, SKBFL_SHARED_FRAG */
	{ "tx_flags", 1 << 3 | 1 << 5 },	/* SKBTX_DEV_ZEROCOPY, SKBTX_SHARED_FRAG */
};

/* The offset of a field in bytes, or -1. */
static int offset_of(const struct btf *kernel, const char *type, const char *field)
{
	int id = btf__find_by_name_kind(kernel, type, BTF_KIND_STRUCT);
	const struct btf_type *t = id > 0 ? btf__type_by_id(kernel, (__u32)id) : NULL;

	for (__u32 i = 0; t && i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(kernel, btf_members(t)[i].name_off);

		if (name && !strcmp(name, field))
			return (int)(btf_member_bit_offset(t, i) / 8);
	}
	return -1;
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

void shared_pages_find(struct oh_settings *settings)
{
	struct btf *kernel = may_read() ? btf__load_vmlinux_btf() : NULL;
	int head, end, at = -1;
	__u16 mask = 0;

	if (!kernel || libbpf_get_error(kernel))
		return;
	head = offset_of(kernel, "sk_buff", "head");
	end = offset_of(kernel, "sk_buff", "end");
	for (size_t i = 0; at < 0 && i < sizeof(marks) / sizeof(*marks); i++) {
		at = offset_of(kernel, "skb_shared_info", marks[i].field);
		mask = marks[i].bits;
	}
	btf__free(kernel);
	if (head < 0 || end < 0 || at < 0)
		return;
	settings->skb_head = (__u16)head;
	settings->skb_end = (__u16)end;
	settings->shared_at = (__u16)at;
	settings->shared_mask = mask;
}
