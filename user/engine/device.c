// SPDX-License-Identifier: MIT
#include "engine/device.h"

#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/netlink.h"
#include "engine/libbpf_compat.h"

#define BEFORE_ALL (1U << 3)	/* BPF_F_BEFORE with no other named: linux/bpf.h since 6.6, libbpf since 1.3 */
#define DROP 2			/* TC_ACT_SHOT, TCX_DROP */

/* Filters of the first priority run first, and the youngest of them before the others. So ours has two handles: to
 * become the youngest again, it is added under the other one. The handles also show which filters are ours. */
#define FILTER_PRIORITY 1
static const uint32_t filter_handles[] = { 0x6f68, 0x6f69 };
#define FILTER_HANDLES 2

static int bpf(int command, union bpf_attr *attr)
{
	int r = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : r;
}

static void name_program(struct device_first *first)
{
	struct bpf_prog_info info;
	__u32 size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(first->program);

	memset(&info, 0, sizeof(info));
	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size))
		memset(&info, 0, sizeof(info));
	if (fd >= 0)
		close(fd);
	snprintf(first->name, sizeof(first->name), "program %u%s%s%s", first->program, *info.name ? " (" : "",
		 info.name, *info.name ? ")" : "");
}

/* Filters are listed in the order in which they run, chain 0 first. */
static void take_filter(const void *head, const void *attributes, size_t size, void *context)
{
	const struct tcmsg *filter = head;
	struct device_first *first = context;
	size_t length;
	const void *options = netlink_find(attributes, size, TCA_OPTIONS, &length);
	const char *kind;

	if (*first->name || !filter->tcm_handle || netlink_number(attributes, size, TCA_CHAIN))
		return;
	first->program = options ? netlink_number(options, length, TCA_BPF_ID) : 0;
	if (first->program) {
		name_program(first);
		return;
	}
	kind = netlink_find(attributes, size, TCA_KIND, &length);
	snprintf(first->name, sizeof(first->name), "a filter of kind %.*s", kind ? (int)length : 0, kind ? kind : "");
}

void device_first(const struct hook *kind, unsigned int index, bool filters, struct device_first *ret)
{
	const __u32 side = kind->point == BPF_TC_EGRESS ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS;
	const struct tcmsg ask = { .tcm_ifindex = (int)index, .tcm_parent = TC_H_MAKE(TC_H_CLSACT, side) };
	__u32 ids[64], count = 64, flags = 0;
	struct error ignored;

	memset(ret, 0, sizeof(*ret));
	if (filters) {
		if (netlink_dump(RTM_GETTFILTER, &ask, sizeof(ask), take_filter, ret, &ignored))
			memset(ret, 0, sizeof(*ret));
		return;
	}
	if (kind->type == BPF_XDP)
		count = !bpf_xdp_query_id((int)index, 0, ids) && *ids;
	else if (bpf_prog_query((int)index, (enum bpf_attach_type)kind->type, 0, &flags, ids, &count) &&
		 errno != ENOSPC)
		count = 0;
	if (!count)
		return;
	ret->program = *ids;
	name_program(ret);
}

int device_link(int program, const struct hook *kind, unsigned int index)
{
	union bpf_attr attr = { .link_create = { .prog_fd = (__u32)program, .attach_type = (__u32)kind->type } };

	attr.link_create.target_ifindex = index;
	attr.link_create.flags = kind->type == BPF_XDP ? XDP_FLAGS_DRV_MODE : BEFORE_ALL;
	return bpf(BPF_LINK_CREATE, &attr);
}

/* A program that drops everything: a descriptor or -errno. */
static int load_drop(void)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = DROP },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SCHED_CLS, .insn_cnt = sizeof(code) / sizeof(*code),
				.insns = (uintptr_t)code, .license = (uintptr_t)"GPL", .prog_name = "oh_drop" };

	return bpf(BPF_PROG_LOAD, &attr);
}

/* A program can be at a hook only once. So one that drops everything takes its old place until it is in the new one. */
int device_link_first(int link, int program, const struct hook *kind, unsigned int index)
{
	int drop = load_drop(), first;

	if (drop < 0)
		return drop;
	first = bpf_link_update(link, drop, NULL) ? -errno : 0;
	close(drop);
	if (first)
		return first;
	first = device_link(program, kind, index);
	if (first < 0)
		bpf_link_update(link, program, NULL);	/* as it was; if that fails, everything is dropped */
	return first;
}

static uint32_t filter_program(const struct hook *kind, unsigned int index, uint32_t handle)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)index, .attach_point = kind->point);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, options, .handle = handle, .priority = FILTER_PRIORITY);

	return bpf_tc_query(&hook, &options) ? 0 : options.prog_id;
}

bool device_has_filter(const struct hook *kind, unsigned int index, uint32_t program)
{
	for (int i = 0; i < FILTER_HANDLES; i++) {
		if (filter_program(kind, index, filter_handles[i]) == program)
			return true;
	}
	return false;
}

bool device_has_any_filter(const struct hook *kind, unsigned int index)
{
	return filter_program(kind, index, filter_handles[0]) || filter_program(kind, index, filter_handles[1]);
}

static int remove_handle(const struct hook *kind, unsigned int index, uint32_t handle)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)index, .attach_point = kind->point);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, options, .handle = handle, .priority = FILTER_PRIORITY);

	return filter_program(kind, index, handle) ? bpf_tc_detach(&hook, &options) : 0;
}

int device_filter(int program, const struct hook *kind, unsigned int index)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)index, .attach_point = kind->point);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, options, .priority = FILTER_PRIORITY, .prog_fd = program);
	struct device_first first;
	int place = 0, r;

	r = bpf_tc_hook_create(&hook);
	if (r && r != -EEXIST)
		return r;
	device_first(kind, index, true, &first);
	for (int i = 0; i < FILTER_HANDLES; i++) {
		uint32_t there = filter_program(kind, index, filter_handles[i]);

		if (there && there == first.program) {	/* in its place, in one step */
			options.flags = BPF_TC_F_REPLACE;
			place = i;
			break;
		}
		if (there)
			place = !i;
	}
	options.handle = filter_handles[place];
	r = options.flags ? 0 : remove_handle(kind, index, options.handle);
	if (!r)
		r = bpf_tc_attach(&hook, &options);
	return r ? r : remove_handle(kind, index, filter_handles[!place]);
}

int device_remove_filter(const struct hook *kind, unsigned int index)
{
	int r = remove_handle(kind, index, filter_handles[0]), other = remove_handle(kind, index, filter_handles[1]);

	return r ? r : other;
}
