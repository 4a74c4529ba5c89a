/* SPDX-License-Identifier: MIT */
/* The kernel side, seen from the user side: programs, links and maps of one instance. Programs and maps are found only
 * through the pinned links, so that what is read and written is what is enforced. */
#ifndef OHGUARD_ENGINE_H
#define OHGUARD_ENGINE_H

#include <ohguard/abi.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum engine_map {
	ENGINE_ADDRESSES,
	ENGINE_LEARNED,
	ENGINE_OPENED,
	ENGINE_PENDING,
	ENGINE_PAID,
	ENGINE_RANGES,
	ENGINE_TARGETS,
	ENGINE_NAMES,
	ENGINE_LOCAL,
	ENGINE_INSIDE,
	ENGINE_BRIDGES,
	ENGINE_CONTROL,
	ENGINE_CONNECTIONS,
	ENGINE_FLOWS,
	ENGINE_COUNTS,
	ENGINE_USE,
	ENGINE_EVENTS,
	ENGINE_FOLDS,
	ENGINE_REFUSED,
	ENGINE_ANSWERER,
	ENGINE_SHARES,
	ENGINE_QUESTIONS,
	ENGINE_MAPS
};

struct engine {
	int map[ENGINE_MAPS];		/* descriptors, -1: none */
	bool open;			/* false: nothing is loaded, and the rest is meaningless */
	struct oh_settings settings;	/* of the programs, fixed when they are loaded */
	bool fresh;			/* just loaded: targets and addresses are still empty */
};

#define ENGINE_EMPTY { .map = { [0 ... ENGINE_MAPS - 1] = -1 } }

extern const char *const engine_map_names[ENGINE_MAPS];

/* Finds the maps of a loaded instance through its pinned egress link. pins is the instance's own folder.
 * 0, -ENOENT (not loaded), -EPROTO (loaded by a version with another layout), or another negative errno. */
int engine_open(const char *pins, struct engine *ret, struct error *e);
void engine_close(struct engine *engine);
/* An unload and a load make other maps. If `map` is not the one in force any more, takes up those that are, and sets
 * *ret_other. -ENOENT: nothing is loaded. */
int engine_renew(struct engine *engine, const char *pins, enum engine_map map, bool *ret_other, struct error *e);

int engine_read_control(const struct engine *engine, struct oh_control *ret, struct error *e);
int engine_write_control(const struct engine *engine, const struct oh_control *control, struct error *e);
/* Says that the maps hold a policy: from now on all rules admit. */
int engine_set_ready(const struct engine *engine, struct error *e);

/* "enforce", "observe" or "ask". */
const char *engine_mode(const struct oh_settings *settings);

/* Sums over the CPUs. */
int engine_read_count(const struct engine *engine, uint32_t index, struct oh_count *ret, struct error *e);
int engine_read_use(const struct engine *engine, uint32_t target, struct oh_use *ret, struct error *e);
int engine_read_shares(const struct engine *engine, uint32_t target, struct oh_shares *ret, struct error *e);
int engine_clear_use(const struct engine *engine, uint32_t target, struct error *e);

/* Removes the keys of a map for which goes() says so. It gets context. */
int engine_remove_keys(const struct engine *engine, enum engine_map map,
		       bool (*goes)(const void *key, const void *context), const void *context, struct error *e);
int engine_read_target(const struct engine *engine, uint32_t id, struct oh_target *ret, struct error *e);
/* Calls visit() for each target that is live in the kernel, until it fails. */
typedef int engine_target_visit(uint32_t id, const struct oh_target *t, void *context, struct error *e);
int engine_walk_targets(const struct engine *engine, engine_target_visit *visit, void *context, struct error *e);

/* How many entries a map holds, and how many it can. */
int engine_map_fill(const struct engine *engine, enum engine_map map, uint64_t *ret_entries, uint64_t *ret_max,
		    struct error *e);

#endif
