/* SPDX-License-Identifier: MIT */
/* The hooks of an instance: which program each has, which of them apply, and what the kernel says about them. The pin
 * PINS/HOOK is the link of a cgroup's hook. */
#ifndef OHGUARD_HOOKS_H
#define OHGUARD_HOOKS_H

#include <bpf/libbpf.h>
#include <limits.h>
#include <linux/bpf.h>
#include <ohguard/abi.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* How a hook's program is attached. */
struct hook {
	const char *program;
	int type;			/* of its link: enum bpf_attach_type, also of newer kernels */
	bool uplink;			/* at interfaces, not at the cgroup */
	enum bpf_tc_attach_point point;	/* of the filter, if the kernel has no such link; 0: all kernels have it */
};

/* What the kernel says about one hook. */
struct engine_hook {
	const char *name;
	bool attached;
	/* what runs before it at an interface (it then does not count as attached); "": nothing */
	char before[64];
	char where[PATH_MAX];		/* the cgroup's path, "" if it is not found; or the interface's name */
	uint64_t cgroup;		/* its id, 0: the link is dead, or the hook is an uplink's */
	int64_t since;			/* seconds of CLOCK_REALTIME: when its program was loaded */
	uint32_t program;		/* its id */
};

extern const char *const engine_hook_names[OH_HOOK_MAX];	/* NULL: a number that no hook has */
extern const struct hook engine_hooks[OH_HOOK_MAX];		/* the verdict is attached first and detached last */

/* True if a hook has anything to do under these settings. Others are not attached. */
bool engine_wants(const struct oh_settings *settings, enum oh_hook hook);

/* The pinned link of a hook: a descriptor or -errno. */
int engine_open_link(const char *pins, enum oh_hook hook);
/* Pins a link or a program, by rename: what was pinned there ends only when the new one is in force. */
int engine_pin(int fd, const char *path, struct error *e);
/* What the kernel says about a link and its program. 0 or -errno. */
int engine_read_link(int link, struct bpf_link_info *ret_link, struct bpf_prog_info *ret_program);

/* Asks the kernel about each hook of the cgroup. Those of uplinks are shown as not attached. */
void engine_read_hooks(const char *pins, struct engine_hook ret[OH_HOOK_MAX]);

/* The path of a cgroup below the cgroup2 mount, by its id; "" if there is none. */
void engine_cgroup_path(uint64_t id, char ret[PATH_MAX]);

#endif
