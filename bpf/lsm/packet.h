/* SPDX-License-Identifier: GPL-2.0-only */
/* BPF LSM, attached by `ohguard load`: denies the workload packet sockets, whose packets only the uplink's hook would
 * see, or none; and sockets of families that no hook sees. User side: user/engine/packet.c. */
#ifndef OHGUARD_BPF_PACKET_H
#define OHGUARD_BPF_PACKET_H

#include <ohguard/abi.h>
#include <ohguard/lock.h>

#include "counters.h"
#include "lsm/kernel.h"

#define PID_INIT_INO 0xeffffffcU	/* include/linux/proc_ns.h */
#define IPC_INIT_INO 0xefffffffU
#define CGROUP_INIT_INO 0xeffffffbU
#define FAMILY_UNSPECIFIED 0
#define FAMILY_UNIX 1
#define FAMILY_INET 2
#define FAMILY_INET6 10
#define FAMILY_NETLINK 16
#define FAMILY_PACKET 17
#define FAMILY_XDP 44
#define LEVEL_PACKET 263
#define OPTION_QDISC_BYPASS 20

const volatile struct oh_packet_settings oh_packet = {};

/* A guard of one cgroup covers everyone in it. A guard of the whole machine must let the host's network manager renew
 * its lease through a packet socket: unlike a container, it runs in the host's namespaces. */
static __always_inline bool is_workload(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (oh_packet.level)
		return is_in_cgroup(oh_packet.cgroup, oh_packet.level);
	return BPF_CORE_READ(task, nsproxy, net_ns, ns.inum) != oh_packet.netns ||
	       BPF_CORE_READ(task, nsproxy, pid_ns_for_children, ns.inum) != PID_INIT_INO ||
	       BPF_CORE_READ(task, nsproxy, ipc_ns, ns.inum) != IPC_INIT_INO ||
	       BPF_CORE_READ(task, nsproxy, cgroup_ns, ns.inum) != CGROUP_INIT_INO ||
	       BPF_CORE_READ(task, cred, user_ns, level);
}

static __always_inline bool is_guarded(void)
{
	return is_in_cgroup(oh_packet.cgroup, oh_packet.level);
}

/* Families whose sockets the other hooks judge, or that reach only this kernel. All others may lead to a hypervisor,
 * over a link, or through the kernel's own sockets. */
static __always_inline bool is_known_family(int family)
{
	return family == FAMILY_UNSPECIFIED || family == FAMILY_UNIX || family == FAMILY_INET ||
	       family == FAMILY_INET6 || family == FAMILY_NETLINK;
}

/* Most need no capability. So on a fully guarded machine its own services, which are root, may use them, but not its
 * users. */
static __always_inline bool may_have_known_families_alone(void)
{
	return is_workload() || (!oh_packet.level && (__u32)bpf_get_current_uid_gid());
}

static __always_inline void count_one(__u32 index)
{
	struct oh_count *count = bpf_map_lookup_elem(&oh_counts, &index);

	if (count)
		count->packets++;
}

static __always_inline int refuse_socket(enum oh_reason reason)
{
	struct oh_event *e = NULL;

	/* These programs have no shares: a quarter of the buffer is theirs, and what is told after it is not lost. */
	if (bpf_ringbuf_query(&oh_events, BPF_RB_AVAIL_DATA) < OH_EVENTS_BYTES / 4)
		e = bpf_ringbuf_reserve(&oh_events, sizeof(*e), 0);
	if (e) {
		__builtin_memset(e, 0, sizeof(*e));
		e->time = bpf_ktime_get_boot_ns();
		e->hook = OH_HOOK_LSM;
		e->reason = reason;
		e->observed = oh_packet.observe;
		e->pid = bpf_get_current_pid_tgid() >> 32;
		e->uid = bpf_get_current_uid_gid();
		e->cgroup = bpf_get_current_cgroup_id();
		bpf_get_current_comm(e->command, sizeof(e->command));
		bpf_ringbuf_submit(e, 0);
	} else {
		count_one(OH_COUNT_EVENTS_LOST);
	}
	count_one(oh_packet.observe ? OH_COUNT_OBSERVED + reason : reason);
	return refuse_if(!oh_packet.observe);
}

SEC("lsm/socket_create")
int BPF_PROG(oh_socket_create, int family, int type, int protocol, int kern)
{
	if (kern)
		return 0;
	if (protocol == OH_PACKET_PROBE_PROTOCOL && family == 2)
		return -OH_PACKET_PROBE_ANSWER;
	if (is_known_family(family))
		return 0;
	if (family == FAMILY_PACKET)
		return is_workload() ? refuse_socket(OH_PACKET_SOCKET) : 0;
	if (family == FAMILY_XDP)
		return is_guarded() ? refuse_socket(OH_PACKET_SOCKET) : 0;
	return may_have_known_families_alone() ? refuse_socket(OH_FAMILY_NOT_ALLOWED) : 0;
}

/* No hook sees what such a socket sends past the uplink's queue: refused to the host's own programs too. */
SEC("lsm/socket_setsockopt")
int BPF_PROG(oh_setsockopt, struct socket *socket, int level, int option)
{
	if (level != LEVEL_PACKET || option != OPTION_QDISC_BYPASS || !is_guarded())
		return 0;
	return refuse_socket(OH_PACKET_SOCKET);
}

#endif
