// SPDX-License-Identifier: MIT
#include "engine/hooks.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

/* linux/bpf.h since 6.6 */
#define TCX_INGRESS 46
#define TCX_EGRESS 47

const char *const engine_hook_names[OH_HOOK_MAX] = {
#define OH_HOOK(number, symbol, name) [number] = name,
	OH_HOOKS
#undef OH_HOOK
};

const struct hook engine_hooks[OH_HOOK_MAX] = {
	[OH_HOOK_EGRESS] = { "oh_egress", BPF_CGROUP_INET_EGRESS },
	[OH_HOOK_CONNECT4] = { "oh_connect4", BPF_CGROUP_INET4_CONNECT },
	[OH_HOOK_CONNECT6] = { "oh_connect6", BPF_CGROUP_INET6_CONNECT },
	[OH_HOOK_SENDMSG4] = { "oh_sendmsg4", BPF_CGROUP_UDP4_SENDMSG },
	[OH_HOOK_SENDMSG6] = { "oh_sendmsg6", BPF_CGROUP_UDP6_SENDMSG },
	[OH_HOOK_SOCK_CREATE] = { "oh_sock_create", BPF_CGROUP_INET_SOCK_CREATE },
	[OH_HOOK_INGRESS] = { "oh_ingress", BPF_CGROUP_INET_INGRESS },
	[OH_HOOK_UPLINK_EGRESS] = { "oh_uplink_egress", TCX_EGRESS, true, BPF_TC_EGRESS },
	[OH_HOOK_UPLINK_INGRESS] = { "oh_uplink_ingress", TCX_INGRESS, true, BPF_TC_INGRESS },
	[OH_HOOK_INBOUND] = { "oh_inbound", BPF_XDP, true },
	[OH_HOOK_SOCK_OPS] = { "oh_sock_ops", BPF_CGROUP_SOCK_OPS },
	[OH_HOOK_SOCKOPT] = { "oh_sockopt", BPF_CGROUP_SETSOCKOPT },
	[OH_HOOK_BIND4] = { "oh_bind4", BPF_CGROUP_INET4_BIND },
	[OH_HOOK_BIND6] = { "oh_bind6", BPF_CGROUP_INET6_BIND },
};

int engine_read_link(int link, struct bpf_link_info *ret_link, struct bpf_prog_info *ret_program)
{
	__u32 size = sizeof(*ret_link);
	int fd, r;

	memset(ret_link, 0, sizeof(*ret_link));
	if (bpf_obj_get_info_by_fd(link, ret_link, &size))
		return -errno;
	fd = bpf_prog_get_fd_by_id(ret_link->prog_id);
	if (fd < 0)
		return -errno;
	size = sizeof(*ret_program);
	memset(ret_program, 0, sizeof(*ret_program));
	r = bpf_obj_get_info_by_fd(fd, ret_program, &size) ? -errno : 0;
	close(fd);
	return r;
}

int engine_open_link(const char *pins, enum oh_hook hook)
{
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", pins, engine_hook_names[hook]);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

void engine_cgroup_path(uint64_t id, char ret[PATH_MAX])
{
	struct {
		struct file_handle handle;
		uint64_t id;
	} by_id = { .handle = { .handle_bytes = sizeof(uint64_t), .handle_type = 0xfe /* FILEID_KERNFS */ }, .id = id };
	char mount[PATH_MAX], link[64];
	struct error e;
	ssize_t len;
	int mount_fd, fd;

	ret[0] = '\0';
	if (!id || file_find_mount("cgroup2", mount, &e))
		return;
	mount_fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mount_fd < 0)
		return;
	fd = open_by_handle_at(mount_fd, &by_id.handle, O_RDONLY | O_CLOEXEC);
	close(mount_fd);
	if (fd < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, ret, PATH_MAX - 1);
	ret[len > 0 ? len : 0] = '\0';
	close(fd);
}

bool engine_wants(const struct oh_settings *settings, enum oh_hook hook)
{
	bool uplink = *settings->uplink[0];

	if (hook == OH_HOOK_SOCK_OPS)
		return settings->inspect || settings->ask;
	if (hook == OH_HOOK_SOCKOPT)
		return settings->answer || settings->ask;
	if (hook == OH_HOOK_INGRESS)	/* answers are learned at only one place */
		return settings->inspect && !uplink;
	if (hook == OH_HOOK_INBOUND)	/* where nothing is refused, all would be told twice */
		return uplink && settings->xdp && !settings->observe;
	return uplink || !engine_hooks[hook].uplink;
}

void engine_read_hooks(const char *pins, struct engine_hook ret[OH_HOOK_MAX])
{
	for (int i = 0; i < OH_HOOK_MAX; i++) {
		struct bpf_prog_info program;
		struct bpf_link_info info;
		int link = engine_hooks[i].uplink ? -1 : engine_open_link(pins, (enum oh_hook)i);

		ret[i] = (struct engine_hook){ .name = engine_hook_names[i] };
		if (link < 0)
			continue;
		if (!engine_read_link(link, &info, &program)) {
			ret[i].cgroup = info.cgroup.cgroup_id;
			ret[i].attached = info.cgroup.cgroup_id;
			ret[i].program = program.id;
			ret[i].since = clock_boot_at() + (int64_t)(program.load_time / 1000000000);
			engine_cgroup_path(ret[i].cgroup, ret[i].where);
		}
		close(link);
	}
}

int engine_pin(int fd, const char *path, struct error *e)
{
	char temporary[PATH_MAX + 512];
	int r = 0;

	snprintf(temporary, sizeof(temporary), "%s-new", path);
	unlink(temporary);
	if (bpf_obj_pin(fd, temporary) || rename(temporary, path)) {
		r = error_set(e, errno, "%s: %s", path, strerror(errno));
		unlink(temporary);
	}
	return r;
}
