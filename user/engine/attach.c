// SPDX-License-Identifier: MIT
#include "engine/attach.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/hooks.h"
#include "engine/packet.h"
#include "engine/uplink_hooks.h"

/* Names a program that was attached with flags 0 at the cgroup or above it: it keeps all others out. */
static void explain_refusal(const char *cgroup, enum bpf_attach_type type, struct error *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", cgroup);
	while (*path) {
		__u32 ids[64], count = 64, flags = 0;
		int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		char *slash = strrchr(path, '/');

		if (fd < 0)
			return;
		if (!bpf_prog_query(fd, type, 0, &flags, ids, &count) && count && !flags)
			error_set(e, EPERM,
				  "%s: another program (id %u) is attached there with flags 0, which keeps every "
				  "other out: see `bpftool cgroup show %s`, and detach it", path, ids[0], path);
		close(fd);
		if (!slash)
			return;
		*slash = '\0';
	}
}

static int attach_new(int program, int hook, int cgroup_fd, const char *pin, const char *cgroup, struct error *e)
{
	enum bpf_attach_type type = (enum bpf_attach_type)engine_hooks[hook].type;
	int link = bpf_link_create(program, cgroup_fd, type, NULL), r;

	if (link < 0) {
		r = error_set(e, errno, "%s: %s cannot be attached: %s", cgroup, engine_hook_names[hook],
			      strerror(errno));
		if (r == -EPERM)
			explain_refusal(cgroup, type, e);
		return r;
	}
	r = engine_pin(link, pin, e);
	close(link);
	return r;
}

static int attach_hook(int program, int hook, int cgroup_fd, uint64_t cgroup_id, const char *pins, const char *cgroup,
		       struct error *e)
{
	char pin[PATH_MAX + 64];
	struct bpf_link_info info;
	__u32 size = sizeof(info);
	int link, r;

	snprintf(pin, sizeof(pin), "%s/%s", pins, engine_hook_names[hook]);
	link = engine_open_link(pins, (enum oh_hook)hook);
	memset(&info, 0, sizeof(info));
	if (link < 0 || bpf_obj_get_info_by_fd(link, &info, &size) || info.cgroup.cgroup_id != cgroup_id)
		r = attach_new(program, hook, cgroup_fd, pin, cgroup, e);
	else
		r = bpf_link_update(link, program, NULL) ?
		    error_set(e, errno, "%s: the program cannot be replaced: %s", pin, strerror(errno)) : 0;
	if (link >= 0)
		close(link);
	return r;
}

static int unpin(const char *pins, int hook, struct error *e)
{
	char path[PATH_MAX + 64];

	if (!engine_hook_names[hook])
		return 0;
	snprintf(path, sizeof(path), "%s/%s-new", pins, engine_hook_names[hook]);
	unlink(path);
	snprintf(path, sizeof(path), "%s/%s", pins, engine_hook_names[hook]);
	return unlink(path) && errno != ENOENT ? error_set(e, errno, "%s: %s", path, strerror(errno)) : 0;
}

int engine_attach(struct engine_program_set *set, const char *pins, const char *cgroup, struct error *e)
{
	struct stat st;
	int fd, r;

	fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(e, errno, "cgroup %s: %s", cgroup, strerror(errno));
	if (fstat(fd, &st)) {
		r = error_set(e, errno, "cgroup %s: %s", cgroup, strerror(errno));
		goto out;
	}
	r = file_make_folder(pins, 0700, e);
	for (int i = 0; !r && i < OH_HOOK_MAX; i++) {
		int program = engine_program(set, (enum oh_hook)i);

		if (engine_hooks[i].uplink)
			continue;
		if (program < 0)
			r = unpin(pins, i, e);
		else	/* a cgroup's id is its inode */
			r = attach_hook(program, i, fd, st.st_ino, pins, cgroup, e);
		if (r && i == OH_HOOK_SOCK_OPS)		/* it refuses nothing: `status` says what is missing */
			r = 0;
	}
out:
	close(fd);
	return r;
}

/* Detaches at once: a link that loses its pin ends only when the kernel's workers get to it. */
static void end_link(const char *pins, int hook)
{
	int fd = engine_open_link(pins, (enum oh_hook)hook);

	if (fd < 0)
		return;
	bpf_link_detach(fd);	/* if this fails, the link ends with its pin */
	close(fd);
}

int engine_detach(const char *pins, struct error *e)
{
	int r = engine_detach_uplinks(pins, NULL, e);

	if (!r)
		r = packet_unload(pins, e);
	for (int i = OH_HOOK_MAX - 1; !r && i >= 0; i--) {
		if (engine_hook_names[i] && !engine_hooks[i].uplink)
			end_link(pins, i);
		r = unpin(pins, i, e);
	}
	if (r)
		return r;
	if (rmdir(pins) && errno != ENOENT)
		return error_set(e, errno, "%s: %s", pins, strerror(errno));
	return 0;
}
