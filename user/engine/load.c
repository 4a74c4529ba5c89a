// SPDX-License-Identifier: MIT
#include "engine/load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/hooks.h"
#include "engine/object.h"
#include "engine/kernel_types.h"

#define BPF_FS_MAGIC 0xcafe4a11		/* linux/magic.h */

struct engine_program_set {
	int program[OH_HOOK_MAX];	/* descriptors, -1: not needed */
};

static int check_capabilities(struct error *e)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} needed[] = { { 12, "CAP_NET_ADMIN" }, { 21, "CAP_SYS_ADMIN" }, { 39, "CAP_BPF" } };
	unsigned long long effective = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return error_set(e, errno, "/proc/self/status: %s: is /proc mounted?", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	}
	fclose(f);
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
		if (!(effective >> needed[i].bit & 1))
			return error_set(e, EPERM, "no %s: run it as root on the host, outside of containers",
					 needed[i].name);
	}
	return 0;
}

/* We make the pins' folder. Its nearest existing parent must be a bpffs, or a place to mount one. */
static int ensure_bpffs(const char *pins, struct error *e)
{
	char path[PATH_MAX];
	struct statfs fs;

	snprintf(path, sizeof(path), "%s", pins);
	while (statfs(path, &fs)) {
		char *slash = strrchr(path, '/');

		if (errno != ENOENT || !slash || slash == path)
			return error_set(e, errno, "%s: %s", path, strerror(errno));
		*slash = '\0';
	}
	if ((unsigned long)fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (strcmp(path, "/sys/fs/bpf"))
		return error_set(e, EINVAL,
				 "%s: not on a bpffs: set [paths] pins below /sys/fs/bpf, or mount one there",
				 pins);
	if (file_mounts_are_own())	/* what is pinned there would end with the mounts */
		return error_set(e, EINVAL, "/sys/fs/bpf: no bpffs is mounted here, and these are not the mounts of "
				 "process 1: run this there (nsenter -t 1 -m), or mount a bpffs first");
	if (mount("bpf", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700"))
		return error_set(e, errno, "/sys/fs/bpf: no bpffs there, and mounting one failed: %s", strerror(errno));
	return 0;
}

int engine_check_system(const char *pins, struct error *e)
{
	int r = check_capabilities(e);

	return r ? r : ensure_bpffs(pins, e);
}

/* The cookie of this process's network namespace. 0 before Linux 5.14: it stands for the initial one. */
static uint64_t own_netns(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, 71 /* SO_NETNS_COOKIE */, &cookie, &size))
		cookie = 0;
	if (fd >= 0)
		close(fd);
	return cookie;
}

/* The same, as /proc shows it. */
static uint32_t own_netns_inode(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : (uint32_t)st.st_ino;
}

/* What the configuration says; what the kernel is asked for is still missing. */
static struct oh_settings settings_of(const struct config *c, bool observe)
{
	struct oh_settings settings = { .observe = observe, .metadata = c->metadata, .inspect = c->inspect,
		.nts = c->nts, .answer = c->inspect && c->answer, .xdp = c->xdp,
					.inbound_count = (__u32)c->inbound_count, .min_ttl = c->min_ttl,
					.max_ttl = c->max_ttl, .grace = c->grace, .netns = own_netns(),
					.ask = observe ? 0 : c->ask * 1000000000ULL,
					.nat64_count = (__u32)c->nat64.count, .netns_inode = own_netns_inode(),
					.build = object_build(),
					.inside = c->uplink_count && (c->local_auto || c->local_count) };

	memcpy(settings.inbound, c->inbound, c->inbound_count * sizeof(*c->inbound));
	memcpy(settings.uplink, c->uplinks, sizeof(settings.uplink));
	memcpy(settings.nat64, c->nat64.list, sizeof(settings.nat64));
	return settings;
}

static int fill_settings(struct bpf_object *object, const struct config *c, bool observe, struct oh_settings *ret,
			 struct error *e)
{
	*ret = settings_of(c, observe);
	kernel_types_find(ret);
	return object_set_constant(object, OBJECT_SETTINGS, ret, sizeof(*ret), e);
}

/* The verifier does not even see programs that are not wanted. */
static int choose_programs(struct bpf_object *object, const struct config *c, const struct oh_settings *settings,
			   struct error *e)
{
	for (int i = 0; i < OH_HOOK_MAX; i++) {
		bool wanted = engine_wants(settings, i) && !(i == OH_HOOK_INGRESS && c->no_names);
		struct bpf_program *program;

		if (!engine_hook_names[i])
			continue;
		program = bpf_object__find_program_by_name(object, engine_hooks[i].program);
		if (!program || bpf_program__set_autoload(program, wanted))
			return error_set(e, EIO, "there is no program %s", engine_hooks[i].program);
	}
	return 0;
}

/* It is allocated in full. */
static uint32_t flows_max(const struct config *c)
{
	return c->uplink_count ? OH_FLOWS_MAX : 1;
}

/* True if new programs can take over a map. */
static bool same_layout(int fd, const struct bpf_map *map, const struct config *c, enum engine_map which)
{
	struct bpf_map_info info;
	__u32 size = sizeof(info), max = bpf_map__max_entries(map);

	if (which == ENGINE_ADDRESSES)
		max = c->max_addresses;
	if (which == ENGINE_FLOWS)
		max = flows_max(c);
	memset(&info, 0, sizeof(info));
	return !bpf_obj_get_info_by_fd(fd, &info, &size) && info.type == bpf_map__type(map) &&
	       info.key_size == bpf_map__key_size(map) && info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == max && info.map_flags == bpf_map__map_flags(map);
}

/* Targets, addresses and connections refer to each other by id: they are taken over together or not at all. */
static int take_over_maps(struct bpf_object *object, const struct config *c, const struct engine *previous,
			  bool *ret_fresh, struct error *e)
{
	static const enum engine_map policy[] = {
		ENGINE_TARGETS, ENGINE_CONTROL, ENGINE_USE, ENGINE_SHARES, ENGINE_RANGES, ENGINE_LEARNED,
		ENGINE_OPENED, ENGINE_NAMES, ENGINE_CONNECTIONS, ENGINE_ADDRESSES,
	};
	struct bpf_map *maps[ENGINE_MAPS];
	bool keep[ENGINE_MAPS], together = true;

	for (int i = 0; i < ENGINE_MAPS; i++) {
		maps[i] = bpf_object__find_map_by_name(object, engine_map_names[i]);
		if (!maps[i])
			return error_set(e, EIO, "the programs have no map %s", engine_map_names[i]);
		keep[i] = previous && previous->map[i] >= 0 &&
			same_layout(previous->map[i], maps[i], c, (enum engine_map)i);
	}
	for (size_t i = 0; i < sizeof(policy) / sizeof(*policy); i++) {
		/* addresses are filled again from the records: their limit may change while connections live on */
		if (policy[i] != ENGINE_ADDRESSES)
			together &= keep[policy[i]];
	}
	for (size_t i = 0; i < sizeof(policy) / sizeof(*policy); i++)
		keep[policy[i]] &= together;
	keep[ENGINE_FLOWS] &= together;	/* it refers to targets, as connections do */
	for (int i = 0; i < ENGINE_MAPS; i++) {
		if (keep[i] && bpf_map__reuse_fd(maps[i], previous->map[i]))
			return error_set(e, EIO, "%s cannot be taken over", engine_map_names[i]);
	}
	*ret_fresh = !together;
	if (!keep[ENGINE_FLOWS] && bpf_map__set_max_entries(maps[ENGINE_FLOWS], flows_max(c)))
		return error_set(e, EIO, "%s cannot be sized", engine_map_names[ENGINE_FLOWS]);
	if (!keep[ENGINE_ADDRESSES] && bpf_map__set_max_entries(maps[ENGINE_ADDRESSES], c->max_addresses))
		return error_set(e, EIO, "%s cannot be sized", engine_map_names[ENGINE_ADDRESSES]);
	return 0;
}

/* Maps that nothing fills under these settings are not allocated in full. */
static int shrink_maps(struct bpf_object *object, const struct oh_settings *settings, struct error *e)
{
	const struct {
		const char *name;
		bool used;
	} maps[] = {
		{ "oh_sent", *settings->uplink[0] },
		{ "oh_openings", *settings->uplink[0] },
		{ "oh_seen", settings->observe },
	};

	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++) {
		if (!maps[i].used &&
		    bpf_map__set_max_entries(bpf_object__find_map_by_name(object, maps[i].name), 1))
			return error_set(e, EIO, "%s cannot be sized", maps[i].name);
	}
	return 0;
}

/* Kernels before 5.11 count maps against this limit. */
static void raise_memlock(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

static int load_object(struct bpf_object *object, const struct config *c, bool observe, const struct engine *previous,
		       struct engine *ret, struct error *e)
{
	int r = fill_settings(object, c, observe, &ret->settings, e);

	if (!r)
		r = choose_programs(object, c, &ret->settings, e);
	if (!r)
		r = take_over_maps(object, c, previous, &ret->fresh, e);
	if (!r)
		r = shrink_maps(object, &ret->settings, e);
	if (r)
		return r;
	raise_memlock();
	r = bpf_object__load(object);
	return r ? error_set(e, -r,
			     "the kernel refuses the programs: %s%s%s (needs Linux 5.10 or newer; OHGUARD_DEBUG=1 "
			     "shows the verifier's words)", strerror(-r), *object_warning() ? ": " : "",
			     object_warning()) : 0;
}

/* Descriptors are copied and the object is freed before the policy is read: never both are in memory. */
static int copy_programs(struct bpf_object *object, struct engine_program_set *ret, struct error *e)
{
	for (int i = 0; i < OH_HOOK_MAX; i++) {
		struct bpf_program *program = engine_hook_names[i] ?
					      bpf_object__find_program_by_name(object, engine_hooks[i].program) : NULL;

		if (!program || !bpf_program__autoload(program))
			continue;
		ret->program[i] = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 0);
		if (ret->program[i] < 0)
			return error_set(e, errno, "%s: %s", engine_hooks[i].program, strerror(errno));
	}
	return 0;
}

static int copy_maps(struct bpf_object *object, struct engine *ret, struct error *e)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		int *to = NULL;

		for (int i = 0; !to && i < ENGINE_MAPS; i++) {
			if (!strcmp(bpf_map__name(map), engine_map_names[i]))
				to = &ret->map[i];
		}
		if (!to)
			continue;
		*to = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 0);
		if (*to < 0)
			return error_set(e, errno, "%s: %s", bpf_map__name(map), strerror(errno));
	}
	ret->open = true;
	return 0;
}

int engine_prepare(const struct config *c, bool observe, const struct engine *previous, struct engine_program_set **ret,
		   struct engine *ret_engine, struct error *e)
{
	struct engine_program_set *set = malloc(sizeof(*set));
	struct engine engine = ENGINE_EMPTY;
	struct bpf_object *object = NULL;
	int r;

	if (!set)
		return error_set(e, ENOMEM, "out of memory");
	memset(set->program, 0xff, sizeof(set->program));	/* -1 */
	r = object_open(OBJECT_ENGINE, &object, e);
	if (!r)
		r = load_object(object, c, observe, previous, &engine, e);
	if (!r)
		r = copy_programs(object, set, e);
	if (!r)
		r = copy_maps(object, &engine, e);
	/* So that it is found through the egress link, like the other maps. */
	if (!r && bpf_prog_bind_map(set->program[OH_HOOK_EGRESS], engine.map[ENGINE_FLOWS], NULL))
		r = error_set(e, errno, "%s cannot be bound: %s", engine_map_names[ENGINE_FLOWS], strerror(errno));
	bpf_object__close(object);
	if (r) {
		engine_close(&engine);
		engine_free_set(set);
		return r;
	}
	*ret = set;
	*ret_engine = engine;
	return 0;
}

/* ---- the programs in force ---- */

/* What the kernel was asked for under the settings in force holds while it runs. */
static bool same_settings(const struct config *c, bool observe, const struct engine *in_force)
{
	const struct oh_settings *now = &in_force->settings;
	struct oh_settings s = settings_of(c, observe);
	struct bpf_map_info addresses;
	__u32 size = sizeof(addresses);

	s.skb_head = now->skb_head;
	s.skb_end = now->skb_end;
	s.shared_at = now->shared_at;
	s.shared_mask = now->shared_mask;
	s.own = now->own;
	s.links = now->links;
	memset(&addresses, 0, sizeof(addresses));
	return !memcmp(&s, now, sizeof(s)) &&
	       !bpf_obj_get_info_by_fd(in_force->map[ENGINE_ADDRESSES], &addresses, &size) &&
	       addresses.max_entries == c->max_addresses;
}

/* The program that a pin stands for: of a link, or at an uplink the program itself. -1: none. */
static int open_program(const char *pins, int hook)
{
	int pinned = engine_open_link(pins, (enum oh_hook)hook), program = -1;
	struct bpf_prog_info info;
	struct bpf_link_info link;

	if (pinned < 0 || engine_hooks[hook].uplink)
		return pinned < 0 ? -1 : pinned;
	if (!engine_read_link(pinned, &link, &info))
		program = bpf_prog_get_fd_by_id(info.id);
	close(pinned);
	return program;
}

#define MAPS_MAX 64

/* Its name, and the id of its constants. All programs of one load have the same, and no others. 0: not known. */
static __u32 constants_of(int program, struct bpf_prog_info *ret)
{
	__u32 ids[MAPS_MAX] = { 0 }, size = sizeof(*ret), found = 0;

	*ret = (struct bpf_prog_info){ .nr_map_ids = MAPS_MAX, .map_ids = (__u64)(uintptr_t)ids };
	if (bpf_obj_get_info_by_fd(program, ret, &size))
		return 0;
	for (__u32 i = 0; !found && i < ret->nr_map_ids && i < MAPS_MAX; i++) {
		struct bpf_map_info map = { 0 };
		int fd = bpf_map_get_fd_by_id(ids[i]);

		size = sizeof(map);
		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &map, &size) && object_is_constants(map.name))
			found = ids[i];
		if (fd >= 0)
			close(fd);
	}
	return found;
}

/* All that these settings want, of one load: after a load that was killed some hooks have the programs of another. */
static bool take_programs(const char *pins, const struct oh_settings *settings, struct engine_program_set *ret)
{
	__u32 constants = 0;

	for (int i = 0; i < OH_HOOK_MAX; i++) {
		struct bpf_prog_info info;
		__u32 its;

		if (!engine_hook_names[i] || !engine_wants(settings, i))
			continue;
		ret->program[i] = open_program(pins, i);
		its = ret->program[i] < 0 ? 0 : constants_of(ret->program[i], &info);
		if (!constants)
			constants = its;
		if (!its || its != constants || strncmp(info.name, engine_hooks[i].program, sizeof(info.name) - 1))
			return false;
	}
	return true;
}

int engine_take_programs(const struct config *c, bool observe, const char *pins, const struct engine *in_force,
			 struct engine_program_set **ret)
{
	struct engine_program_set *set = malloc(sizeof(*set));

	if (!set)
		return -ENOMEM;
	memset(set->program, 0xff, sizeof(set->program));	/* -1 */
	if (!same_settings(c, observe, in_force) || !take_programs(pins, &in_force->settings, set)) {
		engine_free_set(set);
		return -ENOENT;
	}
	*ret = set;
	return 0;
}

int engine_program(const struct engine_program_set *set, enum oh_hook hook)
{
	return set->program[hook];
}

void engine_free_set(struct engine_program_set *set)
{
	for (int i = 0; set && i < OH_HOOK_MAX; i++) {
		if (set->program[i] >= 0)
			close(set->program[i]);
	}
	free(set);
}
