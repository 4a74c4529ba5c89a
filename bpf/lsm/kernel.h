/* SPDX-License-Identifier: GPL-2.0-only */
/* The few kernel-internal types that LSM programs look into: only the fields they read, found by CO-RE. */
#ifndef OHGUARD_BPF_KERNEL_H
#define OHGUARD_BPF_KERNEL_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define EPERM 1

/* As bpf_core_field_offset(), which takes a type and its field from libbpf 1.0 on. */
#define FIELD_OFFSET(type, field) __builtin_preserve_field_info(((type *)0)->field, BPF_FIELD_BYTE_OFFSET)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
};

struct inode {
	__u16 i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
};

struct dentry {
	struct dentry *d_parent;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
	int mnt_flags;
};

struct mount {
	struct mount *mnt_parent;
	struct vfsmount mnt;
	int mnt_group_id;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	__u32 f_mode;
};

struct fs_struct {
	struct path root;
};

struct ns_common {
	__u32 inum;
};

struct net {
	struct ns_common ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct ipc_namespace {
	struct ns_common ns;
};

struct cgroup_namespace {
	struct ns_common ns;
};

struct user_namespace {
	int level;
};

struct nsproxy {
	struct ipc_namespace *ipc_ns;
	struct mnt_namespace *mnt_ns;
	struct pid_namespace *pid_ns_for_children;
	struct net *net_ns;
	struct time_namespace *time_ns;
	struct cgroup_namespace *cgroup_ns;
};


struct cred {
	struct user_namespace *user_ns;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[];	/* from 6.1 */
};

struct cgroup___before_6_1 {
	int level;
	__u64 ancestor_ids[];
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	struct css_set *cgroups;
	const struct cred *cred;
	struct fs_struct *fs;
	struct nsproxy *nsproxy;
};

struct linux_binprm {
	struct file *file;
	int unsafe;
};

struct bpf_map {
	__u32 id;
};

#pragma clang attribute pop

struct iattr;
struct mnt_idmap;
struct socket;

/* Otherwise the compiler negates a bool, and the verifier no longer sees that it is 0 or -1. */
static __always_inline int refuse_if(bool refused)
{
	int r = 0;

	if (refused) {
		r = -EPERM;
		asm volatile("" : "+r"(r));
	}
	return r;
}

/* As bpf_get_current_ancestor_cgroup_id(), which LSM programs may not call on 5.10. Level 0 holds everyone. */
static __always_inline bool is_in_cgroup(__u64 id, __u32 level)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp), *ancestor = NULL;
	__u64 found = 0;

	if (!level)
		return true;
	if ((__u32)BPF_CORE_READ(cgroup, level) < level)
		return false;
	if (bpf_core_field_exists(cgroup->ancestors)) {
		bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
				      (void *)cgroup + FIELD_OFFSET(struct cgroup, ancestors) +
				      level * sizeof(ancestor));
		found = BPF_CORE_READ(ancestor, kn, id);
	} else {
		bpf_probe_read_kernel(&found, sizeof(found), (void *)cgroup +
				      FIELD_OFFSET(struct cgroup___before_6_1, ancestor_ids) + level * sizeof(found));
	}
	return found == id;
}

#endif
