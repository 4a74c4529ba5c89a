// SPDX-License-Identifier: GPL-2.0-only
/* BPF LSM, attached by `ohguard lock`: protects the guard's links, maps, pins, files and processes. User side:
 * user/lock/lock.c. packet.h has the programs that `load` attaches.
 *
 * A task that executes the guard's binary where the lock was taken may enter, until it executes something else. It
 * becomes trusted when it opens the lock's folder. A command for another guard does not, and can do nothing to this
 * one. What a trusted task opens or makes is denied to all others. */
#include <ohguard/lock.h>

#include "lsm/kernel.h"
#include "lsm/packet.h"

char LICENSE[] SEC("license") = "GPL";

#define FMODE_WRITE 2
#define MAY_WRITE 2
#define S_IFMT 0170000
#define S_IFDIR 0040000
#define S_IFREG 0100000
#define BPF_FS_MAGIC 0xcafe4a11
#define UNSAFE_NO_NEW_PRIVS 4	/* the only bprm->unsafe that lets nobody control the task */
#define MOUNT_REMOUNT 32
#define MOUNT_MOVE 8192
#define MOUNT_PROPAGATION (15 << 17)
#define COMMAND_LINK_GET_FD_BY_ID 30

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct oh_lock);
} oh_lock SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OH_LOCK_INODES_MAX);
	__type(key, struct oh_inode);
	__type(value, __u32);
} oh_inodes SEC(".maps");

/* Keys are addresses of living objects: a task or a map that ends removes its entry. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OH_LOCK_TASKS_MAX);
	__type(key, __u64);
	__type(value, __u8);
} oh_tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OH_LOCK_OBJECTS_MAX);
	__type(key, __u64);
	__type(value, __u8);
} oh_own_maps SEC(".maps");

/* Ids, from the user side. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OH_LOCK_OBJECTS_MAX);
	__type(key, __u32);
	__type(value, __u8);
} oh_links SEC(".maps");

enum { TASK_MAY_ENTER = 1, TASK_TRUSTED = 2 };

static __always_inline __u8 task_state(__u64 task)
{
	__u8 *state = bpf_map_lookup_elem(&oh_tasks, &task);

	return state ? *state : 0;
}

static __always_inline bool is_trusted(void)
{
	return task_state(bpf_get_current_task()) == TASK_TRUSTED;
}

static __always_inline void set_task_state(__u8 state)
{
	__u64 task = bpf_get_current_task();

	bpf_map_update_elem(&oh_tasks, &task, &state, BPF_ANY);
}

static __always_inline struct oh_lock *the_lock(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&oh_lock, &zero);
}

/* This task is refused what is protected. */
static __always_inline bool is_stranger(void)
{
	struct oh_lock *lock = the_lock();

	return lock && lock->on && !is_trusted();
}

static __always_inline __u32 kept(struct inode *inode)
{
	struct oh_inode key = {};
	__u32 *keep;

	if (!inode)
		return 0;
	key.inode = BPF_CORE_READ(inode, i_ino);
	key.device = BPF_CORE_READ(inode, i_sb, s_dev);
	keep = bpf_map_lookup_elem(&oh_inodes, &key);
	return keep ? *keep : 0;
}

static __always_inline __u32 kept_at(struct dentry *dentry)
{
	return dentry ? kept(BPF_CORE_READ(dentry, d_inode)) : 0;
}

/* The protection it gets from its folder. */
static __always_inline __u32 kept_above(struct dentry *dentry)
{
	return dentry ? kept(BPF_CORE_READ(dentry, d_parent, d_inode)) & (OH_KEEP_WHOLE | OH_KEEP_SECRET) : 0;
}

/* ---- who is trusted ---- */

/* True if paths, answers and the time mean the same as for the process that took the lock: same mounts, not chrooted,
 * same network and clocks, no other user namespace, and not in the guarded cgroup, unless that is the root. */
static __always_inline bool in_place(const struct oh_lock *lock)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if ((__u64)BPF_CORE_READ(task, nsproxy, mnt_ns) != lock->mounts ||
	    (__u64)BPF_CORE_READ(task, nsproxy, net_ns) != lock->network ||
	    (__u64)BPF_CORE_READ(task, nsproxy, time_ns) != lock->clock ||
	    (__u64)BPF_CORE_READ(task, fs, root.dentry) != lock->root ||
	    (__u64)BPF_CORE_READ(task, fs, root.mnt) != lock->root_mount || BPF_CORE_READ(task, cred, user_ns, level))
		return false;
	return !lock->level || !is_in_cgroup(lock->cgroup, lock->level);
}

/* Checks the file that was opened for execution, not what the process claims. Whoever traces it or shares its file
 * system state (bprm->unsafe) could control it. */
SEC("lsm/bprm_committed_creds")
int BPF_PROG(oh_exec, struct linux_binprm *bprm)
{
	__u64 task = bpf_get_current_task();
	struct oh_lock *lock = the_lock();

	if (lock && kept(BPF_CORE_READ(bprm, file, f_inode)) & OH_KEEP_BINARY &&
	    !(BPF_CORE_READ(bprm, unsafe) & ~UNSAFE_NO_NEW_PRIVS) && in_place(lock))
		set_task_state(TASK_MAY_ENTER);
	else
		bpf_map_delete_elem(&oh_tasks, &task);
	return 0;
}

SEC("lsm/task_free")
int BPF_PROG(oh_task_free, struct task_struct *task)
{
	__u64 key = (__u64)task;

	bpf_map_delete_elem(&oh_tasks, &key);
	return 0;
}

/* The process that takes the lock was executed before the lock existed. */
static __always_inline void take(struct oh_lock *lock)
{
	__u64 id = bpf_get_current_pid_tgid();

	if (lock->taker && lock->taker == (__u32)id && lock->taker == id >> 32) {
		lock->taker = 0;
		set_task_state(TASK_TRUSTED);
	}
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(oh_ptrace, struct task_struct *child, unsigned int mode)
{
	return refuse_if(task_state((__u64)child) && !task_state(bpf_get_current_task()) && is_stranger());
}

/* ---- maps and links ---- */

SEC("lsm/bpf_map")
int BPF_PROG(oh_map, struct bpf_map *map, unsigned int mode)
{
	__u64 key = (__u64)map;
	__u8 one = 1;

	if (is_trusted()) {
		bpf_map_update_elem(&oh_own_maps, &key, &one, BPF_ANY);
		return 0;
	}
	return refuse_if(bpf_map_lookup_elem(&oh_own_maps, &key) && is_stranger());
}

/* A new map is protected before it has an id. */
static __always_inline int own_new_map(__u64 key)
{
	__u8 one = 1;

	if (is_trusted())
		bpf_map_update_elem(&oh_own_maps, &key, &one, BPF_ANY);
	return 0;
}

static __always_inline int forget_map(__u64 key)
{
	bpf_map_delete_elem(&oh_own_maps, &key);
	return 0;
}

/* Each kernel has one of these two pairs: they were renamed in 6.9. */
SEC("lsm/bpf_map_alloc_security")
int BPF_PROG(oh_map_alloc, struct bpf_map *map)
{
	return own_new_map((__u64)map);
}

SEC("lsm/bpf_map_free_security")
int BPF_PROG(oh_map_free, struct bpf_map *map)
{
	return forget_map((__u64)map);
}

SEC("lsm/bpf_map_create")
int BPF_PROG(oh_map_alloc_69, struct bpf_map *map)
{
	return own_new_map((__u64)map);
}

SEC("lsm/bpf_map_free")
int BPF_PROG(oh_map_free_69, struct bpf_map *map)
{
	return forget_map((__u64)map);
}

/* Without a descriptor of a link nobody can detach or update it. Access by id is checked here, by its pin in
 * oh_folder. */
SEC("lsm/bpf")
int BPF_PROG(oh_command, int command, void *attr)
{
	struct oh_lock *lock = the_lock();
	__u32 id = 0;

	if (command != COMMAND_LINK_GET_FD_BY_ID || !lock || !is_stranger())
		return 0;
	bpf_probe_read_kernel(&id, sizeof(id), attr);	/* link_id is its first field */
	return refuse_if(lock->busy || bpf_map_lookup_elem(&oh_links, &id));
}

/* ---- files and folders ---- */

/* Folders. Writing one means making, removing or renaming what is in it; the pins' folder cannot be passed through
 * either. Called for each step of each path on the machine, so irrelevant cases come first. */
SEC("lsm/inode_permission")
int BPF_PROG(oh_folder, struct inode *inode, int mask)
{
	__u32 keep;

	if (!(mask & MAY_WRITE) && BPF_CORE_READ(inode, i_sb, s_magic) != BPF_FS_MAGIC)
		return 0;
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFDIR)
		return 0;
	keep = kept(inode);
	if (!(keep & (OH_KEEP_WHOLE | OH_KEEP_SECRET)) || !is_stranger())
		return 0;
	/* may enter: may pass through */
	return refuse_if(mask & MAY_WRITE || !task_state(bpf_get_current_task()));
}

/* A mount is protected by its address, as an inode of no device. */
static __always_inline bool is_kept_mount(struct vfsmount *mount)
{
	struct oh_inode key = { .inode = (__u64)mount, .device = OH_NO_DEVICE };

	return bpf_map_lookup_elem(&oh_inodes, &key);
}

static __always_inline void mark_mount(struct vfsmount *mount)
{
	struct oh_inode key = { .inode = (__u64)mount, .device = OH_NO_DEVICE };
	__u32 keep = OH_KEEP_PATH;

	bpf_map_update_elem(&oh_inodes, &key, &keep, BPF_ANY);
}

/* While a trusted task marks, it says here what to protect. */
static __always_inline void mark(struct oh_lock *lock, struct file *file)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct oh_inode key = {};
	__u32 keep = lock->mark | kept(inode), nothing = 0;

	if (lock->mark == OH_KEEP_ROOT) {
		lock->mounts = (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns);
		lock->network = (__u64)BPF_CORE_READ(task, nsproxy, net_ns);
		lock->clock = (__u64)BPF_CORE_READ(task, nsproxy, time_ns);
		lock->root = (__u64)BPF_CORE_READ(task, fs, root.dentry);
		lock->root_mount = (__u64)BPF_CORE_READ(task, fs, root.mnt);
		return;
	}
	key.inode = BPF_CORE_READ(inode, i_ino);
	key.device = BPF_CORE_READ(inode, i_sb, s_dev);
	bpf_map_update_elem(&oh_inodes, &key, &keep, BPF_ANY);
	if (lock->mark != OH_KEEP_SECRET)
		mark_mount(BPF_CORE_READ(file, f_path.mnt));
	if (keep & (OH_KEEP_WHOLE | OH_KEEP_SECRET)) {
		key.inode = 0;
		bpf_map_update_elem(&oh_inodes, &key, &nothing, BPF_ANY);
	}
}

/* A file handle leads to a file without a path: such a dentry has no folder yet to check. */
static __always_inline bool has_no_path(struct dentry *dentry, struct inode *inode)
{
	return BPF_CORE_READ(dentry, d_parent) == dentry && (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG;
}

static __always_inline bool is_kept_device(struct inode *inode)
{
	struct oh_inode key = { .device = BPF_CORE_READ(inode, i_sb, s_dev) };

	return bpf_map_lookup_elem(&oh_inodes, &key);
}

SEC("lsm/file_open")
int BPF_PROG(oh_open, struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct oh_lock *lock = the_lock();
	bool writes = BPF_CORE_READ(file, f_mode) & FMODE_WRITE;
	__u32 keep, above;

	if (!lock || !lock->on)
		return 0;
	take(lock);
	if (is_trusted()) {
		if (lock->mark)
			mark(lock, file);
		return 0;
	}
	keep = kept(inode);
	above = kept_above(dentry);
	if (keep & OH_KEEP_DOOR && task_state(bpf_get_current_task())) {
		set_task_state(TASK_TRUSTED);
		return 0;
	}
	if ((keep | above) & OH_KEEP_SECRET || (writes && (keep | above) & OH_KEEP_WHOLE))
		return -EPERM;
	return refuse_if(has_no_path(dentry, inode) && is_kept_device(inode));
}

static __always_inline int refuse_change(struct dentry *dentry, __u32 which)
{
	return refuse_if(kept_at(dentry) & which && is_stranger());
}

#define OH_KEEP_NAME (OH_KEEP_BINARY | OH_KEEP_WHOLE | OH_KEEP_SECRET | OH_KEEP_PATH)

SEC("lsm/inode_unlink")
int BPF_PROG(oh_unlink, struct inode *folder, struct dentry *dentry)
{
	return refuse_change(dentry, OH_KEEP_NAME);
}

SEC("lsm/inode_rmdir")
int BPF_PROG(oh_rmdir, struct inode *folder, struct dentry *dentry)
{
	return refuse_change(dentry, OH_KEEP_NAME);
}

SEC("lsm/inode_rename")
int BPF_PROG(oh_rename, struct inode *old_folder, struct dentry *old, struct inode *new_folder, struct dentry *new)
{
	return refuse_if((kept_at(old) | kept_at(new)) & OH_KEEP_NAME && is_stranger());
}

static __always_inline int refuse_attributes(struct dentry *dentry)
{
	return refuse_if((kept_at(dentry) | kept_above(dentry)) & (OH_KEEP_WHOLE | OH_KEEP_SECRET) && is_stranger());
}

/* Another name, in an unprotected folder, would be another way to the file. */
SEC("lsm/inode_link")
int BPF_PROG(oh_link, struct dentry *old, struct inode *folder, struct dentry *new)
{
	return refuse_if((kept_at(old) | kept_above(old)) & (OH_KEEP_WHOLE | OH_KEEP_SECRET) && is_stranger());
}

/* Truncation too. The first argument of the second form came with idmapped mounts; the loader takes the one that
 * fits. */
SEC("lsm/inode_setattr")
int BPF_PROG(oh_setattr, struct dentry *dentry)
{
	return refuse_attributes(dentry);
}

SEC("lsm/inode_setattr")
int BPF_PROG(oh_setattr_idmap, void *idmap, struct dentry *dentry)
{
	return refuse_attributes(dentry);
}

/* ---- mounts ---- */

/* Whether trusted tasks see what is mounted on that mount: it is one of theirs, or may spread to one. */
static __always_inline bool spreads(struct vfsmount *mount)
{
	struct mount *m = (void *)mount - FIELD_OFFSET(struct mount, mnt);

	return is_kept_mount(mount) || BPF_CORE_READ(m, mnt_group_id);
}

static __always_inline bool among_trusted_mounts(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct oh_lock *lock = the_lock();

	return lock && (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns) == lock->mounts;
}

static __always_inline int refuse_mount_on(const struct path *path)
{
	struct dentry *dentry = BPF_CORE_READ(path, dentry);

	return refuse_if((kept_at(dentry) & OH_KEEP_NAME || kept_above(dentry)) && spreads(BPF_CORE_READ(path, mnt)) &&
	       is_stranger());
}

SEC("lsm/sb_mount")
int BPF_PROG(oh_mount, const char *device, const struct path *path, const char *type, unsigned long flags)
{
	if (flags & (MOUNT_PROPAGATION | MOUNT_REMOUNT))	/* these move nothing */
		return 0;
	/* the hook is not told which mount moves */
	if (flags & MOUNT_MOVE && among_trusted_mounts() && is_stranger())
		return -EPERM;
	return refuse_mount_on(path);
}

SEC("lsm/move_mount")
int BPF_PROG(oh_move_mount, const struct path *from, const struct path *to)
{
	if (is_kept_mount(BPF_CORE_READ(from, mnt)) && is_stranger())
		return -EPERM;
	return refuse_mount_on(to);
}

SEC("lsm/sb_umount")
int BPF_PROG(oh_umount, struct vfsmount *mount, int flags)
{
	struct mount *m = (void *)mount - FIELD_OFFSET(struct mount, mnt);
	struct mount *parent = BPF_CORE_READ(m, mnt_parent);

	if (!is_stranger() || (!is_kept_mount(mount) && !(kept_at(BPF_CORE_READ(mount, mnt_root)) & OH_KEEP_NAME)))
		return 0;
	return refuse_if(is_kept_mount(mount) || BPF_CORE_READ(parent, mnt_group_id));
}

SEC("lsm/sb_pivotroot")
int BPF_PROG(oh_pivot, const struct path *old, const struct path *new)
{
	return refuse_if(among_trusted_mounts() && is_stranger());
}
