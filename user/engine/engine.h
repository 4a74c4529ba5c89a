/* SPDX-License-Identifier: MIT */
/* The kernel side as the user side sees it: programs, links and maps of one instance. The pinned links are the only
 * root: programs and maps are found through them, so that what is read and written is what is enforced. */
#ifndef OHGUARD_ENGINE_H
#define OHGUARD_ENGINE_H

#include <limits.h>
#include <ohguard/abi.h>
#include <stdbool.h>
#include <stdint.h>

#include "policy/config.h"
#include "base/error.h"
#include "engine/uplink.h"

enum engine_map {
	ENGINE_ADDRESSES,
	ENGINE_LEARNED,
	ENGINE_PENDING,
	ENGINE_PAID,
	ENGINE_RANGES,
	ENGINE_TARGETS,
	ENGINE_NAMES,
	ENGINE_LOCAL,
	ENGINE_CONTROL,
	ENGINE_CONNECTIONS,
	ENGINE_FLOWS,
	ENGINE_COUNTS,
	ENGINE_USE,
	ENGINE_EVENTS,
	ENGINE_MAPS
};

struct engine {
	int map[ENGINE_MAPS];		/* descriptors, -1: none */
	bool open;			/* false: nothing is loaded, and all else says nothing */
	struct oh_settings settings;	/* those of the programs, which keep them for life */
	bool fresh;			/* just loaded, with targets and addresses still empty */
};

/* One hook, as the kernel tells of it. */
struct engine_hook {
	const char *name;
	bool attached;
	char where[PATH_MAX];		/* the cgroup's path, "" where it is not found; or the interface's name */
	uint64_t cgroup;		/* its id, 0: the link is dead, or the hook is an uplink's */
	int64_t since;			/* seconds of CLOCK_REALTIME: when its program was loaded */
	uint32_t program;		/* its id */
};

#define ENGINE_EMPTY { .map = { [0 ... ENGINE_MAPS - 1] = -1 } }

extern const char *const engine_map_names[ENGINE_MAPS];
extern const char *const engine_hook_names[OH_HOOK_MAX];	/* NULL: a number that no hook has */

/* Finds the maps of a loaded instance through its pinned egress link. pins is the instance's own folder.
 * 0, -ENOENT (not loaded), -EPROTO (loaded by a version with another layout), or another negative errno. */
int engine_open(const char *pins, struct engine *ret, struct error *e);
void engine_close(struct engine *engine);

struct engine_program_set;	/* loaded programs that are not attached yet */

/* Says in one line what this system lacks for loading: capabilities, bpffs (mounted here where it is missing).
 * 0 or a negative errno. */
int engine_check_system(const char *pins, struct error *e);

/* Loads the programs and opens their maps: those of `previous` (NULL: none) where the layout agrees, else new ones. */
int engine_prepare(const struct config *c, bool observe, const struct engine *previous, struct engine_program_set **ret,
		   struct engine *ret_engine, struct error *e);
/* Puts the programs in force at the cgroup: by updating the pinned links, in one step each; by new links, pinned in
 * place of the old, where there is none, it is dead or at another cgroup. */
int engine_attach(struct engine_program_set *set, const char *pins, const char *cgroup, struct error *e);
/* A program's descriptor, -1 where it is not needed, which the set keeps owning: for tests that run it without attaching it. */
int engine_program(const struct engine_program_set *set, enum oh_hook hook);
void engine_free_set(struct engine_program_set *set);

/* Removes the links, verdict last, and the folder. */
int engine_detach(const char *pins, struct error *e);

/* Whether a hook has anything to do under these settings: one that has not is not attached. */
bool engine_wants(const struct oh_settings *settings, enum oh_hook hook);
/* Asks the kernel about each hook of the cgroup; those of uplinks are not attached in its eyes. */
void engine_read_hooks(const char *pins, struct engine_hook ret[OH_HOOK_MAX]);

/* Uplinks: see uplink_hooks.c. */
bool engine_is_uplink_hook(enum oh_hook hook);
/* Puts the programs in force at these interfaces: links are updated in one step each. Others that are guarded are given up,
 * unless one that is wanted is missing. */
int engine_attach_uplinks(struct engine_program_set *set, const char *pins, const struct uplinks *wanted,
			  struct error *e);
/* Attaches the programs in force to those of the interfaces that lack one. */
int engine_add_uplinks(const char *pins, const struct uplinks *uplinks, struct error *e);
/* Detaches from all interfaces but those in `but` (NULL: none). */
int engine_detach_uplinks(const char *pins, const struct uplinks *but, struct error *e);
/* Asks the kernel about a hook at an interface. */
void engine_read_uplink_hook(const char *pins, enum oh_hook hook, const struct uplink *uplink, struct engine_hook *ret);

int engine_read_control(const struct engine *engine, struct oh_control *ret, struct error *e);
int engine_write_control(const struct engine *engine, const struct oh_control *control, struct error *e);

/* Sums over the CPUs. */
int engine_read_count(const struct engine *engine, uint32_t index, struct oh_count *ret, struct error *e);
int engine_read_use(const struct engine *engine, uint32_t target, struct oh_use *ret, struct error *e);
int engine_clear_use(const struct engine *engine, uint32_t target, struct error *e);

/* Removes the keys of a map that go. context is handed on to goes(). */
int engine_remove_keys(const struct engine *engine, enum engine_map map,
		       bool (*goes)(const void *key, const void *context), const void *context, struct error *e);
/* Reads count targets from id `first` on, at most ENGINE_TARGETS_AT_ONCE: one call for many. */
int engine_read_targets(const struct engine *engine, uint32_t first, uint32_t count, struct oh_target *ret,
			struct error *e);
#define ENGINE_TARGETS_AT_ONCE 256

/* How many entries a map holds, and how many it can. */
int engine_map_fill(const struct engine *engine, enum engine_map map, uint64_t *ret_entries, uint64_t *ret_max,
		    struct error *e);

/* The path of a cgroup below the cgroup2 mount, by its id; "" where there is none. */
void engine_cgroup_path(uint64_t id, char ret[PATH_MAX]);

#endif
