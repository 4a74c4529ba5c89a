// SPDX-License-Identifier: MIT
/* The hooks of uplinks. A pin HOOK-INDEX in the instance's folder stands for what is attached to one interface: a
 * link, or, if the kernel has none for tc (before 6.6), the program that a clsact filter runs. A pin HOOK is the
 * program in force: interfaces that appear later get it. */
#include "engine/uplink_hooks.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "engine/device.h"

#define PIN_MAX (PATH_MAX + 96)

static void pin_path(const char *pins, int hook, unsigned int index, char ret[PIN_MAX])
{
	if (index)
		snprintf(ret, PIN_MAX, "%s/%s-%u", pins, engine_hook_names[hook], index);
	else
		snprintf(ret, PIN_MAX, "%s/%s", pins, engine_hook_names[hook]);
}

/* What a pin stands for. */
struct pinned {
	int fd;			/* -1: there is no pin */
	bool link;
	uint32_t index;		/* a link's interface, 0: it has gone */
	struct bpf_prog_info program;
};

static bool is_link(int fd)
{
	char path[64], what[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, what, sizeof(what) - 1) > 0 && strstr(what, "bpf-link");
}

static void read_program(int fd, struct bpf_prog_info *ret)
{
	__u32 size = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	if (bpf_obj_get_info_by_fd(fd, ret, &size))
		memset(ret, 0, sizeof(*ret));
}

static struct pinned open_pin(const char *pins, int hook, unsigned int index)
{
	struct pinned p = { .fd = -1 };
	struct bpf_link_info info;
	__u32 size = sizeof(info);
	char path[PIN_MAX];
	int fd;

	pin_path(pins, hook, index, path);
	p.fd = bpf_obj_get(path);
	if (p.fd < 0)
		return (struct pinned){ .fd = -1 };
	p.link = is_link(p.fd);
	if (!p.link) {
		read_program(p.fd, &p.program);
		return p;
	}
	memset(&info, 0, sizeof(info));
	if (!bpf_obj_get_info_by_fd(p.fd, &info, &size)) {
		p.index = info.xdp.ifindex;	/* a tcx link has it in the same place */
		fd = bpf_prog_get_fd_by_id(info.prog_id);
		if (fd >= 0) {
			read_program(fd, &p.program);
			close(fd);
		}
	}
	return p;
}

static void close_pin(struct pinned *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

/* Asks the interface, since the link may belong to an older interface that had the same number. */
static bool is_there(const struct hook *kind, unsigned int index, const struct pinned *p)
{
	if (p->fd < 0 || !p->program.id)
		return false;
	return p->link ? p->index == index : device_has_filter(kind, index, p->program.id);
}

/* A program before ours could let packets pass that ours would never judge. */
static bool is_in_force(const struct hook *kind, unsigned int index, const struct pinned *p)
{
	struct device_first first;

	if (!is_there(kind, index, p))
		return false;
	device_first(kind, index, !p->link, &first);
	return first.program == p->program.id;
}

/* For kernels without tcx. The pin comes first, so that no filter of ours is ever without one. */
static int attach_filter(int program, int hook, const struct uplink *u, const char *path, struct error *e)
{
	int r;

	if (access(path, F_OK) && device_has_any_filter(&engine_hooks[hook], u->index))
		return error_set(e, EBUSY, "uplink %s: another instance guards it already", u->name);
	r = engine_pin(program, path, e);
	if (r)
		return r;
	r = device_filter(program, &engine_hooks[hook], u->index);
	return r ? error_set(e, -r, "uplink %s: %s cannot be attached: %s (see `tc filter show dev %s`)", u->name,
			     engine_hook_names[hook], strerror(-r), u->name) : 0;
}

/* After a load was killed before its last rename: what it attached is in force, and XDP has room for only one. */
static void finish_pin(const char *path)
{
	char temporary[PIN_MAX + 8];

	snprintf(temporary, sizeof(temporary), "%s-new", path);
	rename(temporary, path);
}

static int attach_one(int program, int hook, const struct uplink *u, const char *pins, struct error *e)
{
	const struct hook *kind = &engine_hooks[hook];
	char path[PIN_MAX];
	struct pinned old;
	int link, r;

	pin_path(pins, hook, u->index, path);
	finish_pin(path);
	old = open_pin(pins, hook, u->index);
	if (old.link && is_in_force(kind, u->index, &old)) {
		r = bpf_link_update(old.fd, program, NULL) ?
		    error_set(e, errno, "uplink %s: %s cannot be replaced: %s", u->name, engine_hook_names[hook],
			      strerror(errno)) : 0;
		close_pin(&old);
		return r;
	}
	link = device_link(program, kind, u->index);
	if (link == -EEXIST && old.link && is_there(kind, u->index, &old))
		link = device_link_first(old.fd, program, kind, u->index);
	close_pin(&old);
	if (link == -EINVAL && kind->point)
		return attach_filter(program, hook, u, path, e);
	if (link == -EBUSY)
		return error_set(e, EBUSY,
				 "uplink %s: another XDP program is attached there (of another instance, or see "
				 "`bpftool net`): detach it, or name another uplink", u->name);
	if (link < 0)
		return error_set(e, -link, "uplink %s: %s cannot be attached: %s", u->name, engine_hook_names[hook],
				 strerror(-link));
	r = engine_pin(link, path, e);
	close(link);
	return r;
}

/* A pin's hook and interface, from its name. False if it is not an uplink's pin. */
static bool parse_pin(const char *name, int *ret_hook, unsigned int *ret_index)
{
	for (int hook = 0; hook < OH_HOOK_MAX; hook++) {
		size_t n = strlen(engine_hook_names[hook]);
		char *end;

		if (!engine_hooks[hook].uplink || strncmp(name, engine_hook_names[hook], n) || name[n] != '-')
			continue;
		*ret_index = (unsigned int)strtoul(name + n + 1, &end, 10);
		*ret_hook = hook;
		return *ret_index && (!*end || !strcmp(end, "-new"));
	}
	return false;
}

/* Adds the interfaces that are guarded now. */
static void add_guarded(const char *pins, struct uplinks *u)
{
	DIR *folder = opendir(pins);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)) && u->count < UPLINKS_MAX) {
		struct uplink *next = &u->list[u->count];
		unsigned int index;
		int hook;

		if (!parse_pin(entry->d_name, &hook, &index) || uplink_is_in(u, index) ||
		    !if_indextoname(index, next->name))
			continue;
		next->index = index;
		u->count++;
	}
	if (folder)
		closedir(folder);
}

/* Detaches our program from the interface. If another program has taken its place, that one stays. */
static int detach_one(const char *pins, int hook, unsigned int index, struct error *e)
{
	struct pinned p = open_pin(pins, hook, index);
	char path[PIN_MAX];
	int r = 0;

	pin_path(pins, hook, index, path);
	if (!p.link && is_there(&engine_hooks[hook], index, &p))
		r = device_remove_filter(&engine_hooks[hook], index);
	close_pin(&p);
	if (r)
		return error_set(e, -r, "%s: %s", path, strerror(-r));
	return unlink(path) && errno != ENOENT ? error_set(e, errno, "%s: %s", path, strerror(errno)) : 0;
}

/* Of one hook, or of all (-1). */
static int detach(const char *pins, int only, const struct uplinks *but, struct error *e)
{
	DIR *folder = opendir(pins);
	struct dirent *entry;
	int r = 0;

	while (!r && folder && (entry = readdir(folder))) {
		char path[PIN_MAX + 256];
		unsigned int index;
		int hook;

		if (!parse_pin(entry->d_name, &hook, &index) || (only >= 0 && hook != only))
			continue;
		snprintf(path, sizeof(path), "%s/%s", pins, entry->d_name);
		if (strstr(entry->d_name, "-new"))
			unlink(path);
		else if (!but || !uplink_is_in(but, index))
			r = detach_one(pins, hook, index, e);
	}
	if (folder)
		closedir(folder);
	return r;
}

/* At each of the interfaces, or at those that lack it. XDP comes besides what tc judges in any case, and not every
 * driver takes it: `status` says where not. */
static int attach_all(int program, int hook, const struct uplinks *uplinks, bool lacking, const char *pins,
		      struct error *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < uplinks->count; i++) {
		const struct uplink *u = &uplinks->list[i];
		struct pinned there = open_pin(pins, hook, u->index);

		if (!lacking || !is_in_force(&engine_hooks[hook], u->index, &there))
			r = attach_one(program, hook, u, pins, e);
		close_pin(&there);
		if (r && hook == OH_HOOK_INBOUND)
			r = 0;
	}
	return r;
}

int engine_attach_uplinks(struct engine_program_set *set, const char *pins, const struct uplinks *wanted,
			  struct error *e)
{
	struct uplinks kept = *wanted;
	char path[PIN_MAX];
	int r = 0;

	/* One that is asked for is out of sight (its default route may be back in a moment): none is given up for
	 * that. */
	if (*wanted->missing[0])
		add_guarded(pins, &kept);
	for (int hook = 0; !r && hook < OH_HOOK_MAX; hook++) {
		int program = engine_program(set, (enum oh_hook)hook);

		if (!engine_hooks[hook].uplink)
			continue;
		pin_path(pins, hook, 0, path);
		if (program < 0) {
			unlink(path);
			r = detach(pins, hook, NULL, e);
			continue;
		}
		r = engine_pin(program, path, e);
		if (!r)
			r = attach_all(program, hook, &kept, false, pins, e);
	}
	return r ? r : engine_detach_uplinks(pins, &kept, e);
}

int engine_add_uplinks(const char *pins, const struct uplinks *uplinks, struct error *e)
{
	int r = 0;

	for (int hook = 0; !r && hook < OH_HOOK_MAX; hook++) {
		struct pinned program = engine_hooks[hook].uplink ? open_pin(pins, hook, 0) :
										    (struct pinned){ .fd = -1 };

		if (program.fd >= 0)
			r = attach_all(program.fd, hook, uplinks, true, pins, e);
		close_pin(&program);
	}
	return r;
}

int engine_detach_uplinks(const char *pins, const struct uplinks *but, struct error *e)
{
	return detach(pins, -1, but, e);
}

void engine_read_uplink_hook(const char *pins, enum oh_hook hook, const struct uplink *uplink, struct engine_hook *ret)
{
	const struct hook *kind = &engine_hooks[hook];
	struct pinned p = open_pin(pins, (int)hook, uplink->index);
	struct device_first first;

	*ret = (struct engine_hook){ .name = engine_hook_names[hook] };
	snprintf(ret->where, sizeof(ret->where), "%s", uplink->name);
	if (is_there(kind, uplink->index, &p)) {
		device_first(kind, uplink->index, !p.link, &first);
		ret->attached = first.program == p.program.id;
		if (!ret->attached)
			snprintf(ret->before, sizeof(ret->before), "%s", first.name);
	}
	ret->program = p.program.id;
	ret->since = clock_boot_at() + (int64_t)(p.program.load_time / 1000000000);
	close_pin(&p);
}
