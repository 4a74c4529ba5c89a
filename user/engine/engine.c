// SPDX-License-Identifier: MIT
#include "engine/engine.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/hooks.h"
#include "engine/object.h"

#define KEY_MAX 512	/* no map of ours has a longer key */
#define KEYS_AT_ONCE 512
#define TARGETS_AT_ONCE 256

const char *const engine_map_names[ENGINE_MAPS] = {
	[ENGINE_ADDRESSES] = "oh_addresses",
	[ENGINE_LEARNED] = "oh_learned",
	[ENGINE_OPENED] = "oh_opened",
	[ENGINE_PENDING] = "oh_pending",
	[ENGINE_PAID] = "oh_ntp_paid",
	[ENGINE_RANGES] = "oh_ranges",
	[ENGINE_TARGETS] = "oh_targets",
	[ENGINE_NAMES] = "oh_names",
	[ENGINE_LOCAL] = "oh_local",
	[ENGINE_INSIDE] = "oh_inside",
	[ENGINE_BRIDGES] = "oh_bridges",
	[ENGINE_CONTROL] = "oh_control",
	[ENGINE_CONNECTIONS] = "oh_connections",
	[ENGINE_FLOWS] = "oh_flows",
	[ENGINE_COUNTS] = "oh_counts",
	[ENGINE_USE] = "oh_target_use",
	[ENGINE_EVENTS] = "oh_events",
	[ENGINE_FOLDS] = "oh_folds",
	[ENGINE_REFUSED] = "oh_refused",
	[ENGINE_ANSWERER] = "oh_answerer",
	[ENGINE_SHARES] = "oh_shares",
	[ENGINE_QUESTIONS] = "oh_questions",
};

static const uint32_t value_sizes[ENGINE_MAPS] = {
	[ENGINE_ADDRESSES] = sizeof(struct oh_entry),
	[ENGINE_LEARNED] = sizeof(struct oh_entry),
	[ENGINE_OPENED] = sizeof(struct oh_entry),
	[ENGINE_PENDING] = OH_PENDING_SIZE,
	[ENGINE_PAID] = sizeof(__u64),
	[ENGINE_RANGES] = sizeof(struct oh_entry),
	[ENGINE_TARGETS] = sizeof(struct oh_target),
	[ENGINE_NAMES] = sizeof(struct oh_name_entry),
	[ENGINE_LOCAL] = sizeof(__u8),
	[ENGINE_INSIDE] = sizeof(__u32),
	[ENGINE_BRIDGES] = sizeof(__u8),
	[ENGINE_CONTROL] = sizeof(struct oh_control),
	[ENGINE_CONNECTIONS] = sizeof(struct oh_connection),
	[ENGINE_FLOWS] = sizeof(struct oh_connection),
	[ENGINE_COUNTS] = sizeof(struct oh_count),
	[ENGINE_USE] = sizeof(struct oh_use),
	[ENGINE_EVENTS] = 0,
	[ENGINE_FOLDS] = sizeof(struct oh_folded),
	[ENGINE_REFUSED] = 0,
	[ENGINE_ANSWERER] = sizeof(struct oh_answerer),
	[ENGINE_SHARES] = sizeof(struct oh_shares),
	[ENGINE_QUESTIONS] = sizeof(struct oh_question),
};

static int map_info(int fd, struct bpf_map_info *ret)
{
	__u32 size = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	return bpf_obj_get_info_by_fd(fd, ret, &size) ? -errno : 0;
}

/* Reads the settings from a map of constants. -ENOENT: it has none; -EPROTO: they have another size. */
static int take_settings(struct engine *engine, int fd, const struct bpf_map_info *map)
{
	struct btf *btf = btf__load_from_kernel_by_id(map->btf_id);
	char *values = malloc(map->value_size);
	__u32 zero = 0;
	int at;

	if (!values || libbpf_get_error(btf))
		at = -ENOENT;
	else
		at = object_find_constant(btf, map->btf_value_type_id, OBJECT_SETTINGS, sizeof(engine->settings));
	if (at >= 0 && bpf_map_lookup_elem(fd, &zero, values))
		at = -errno;
	if (at >= 0) {
		memcpy(&engine->settings, values + at, sizeof(engine->settings));
		engine->open = true;
	}
	if (!libbpf_get_error(btf))
		btf__free(btf);
	free(values);
	return at < 0 ? at : 0;
}

/* Keeps a map's descriptor if the map is one of ours. */
static int take_map(struct engine *engine, int fd, struct error *e)
{
	struct bpf_map_info info;
	int r = map_info(fd, &info);

	if (r)
		return error_set(e, -r, "map: %s", strerror(-r));
	if (object_is_constants(info.name)) {
		r = take_settings(engine, fd, &info);
		close(fd);
		return r != -EPROTO ? 0 :
		       error_set(e, EPROTO, "the guard in the kernel has another layout of its settings: run "
				 "`ohguard load` to replace it (it goes on enforcing)");
	}
	for (int i = 0; i < ENGINE_MAPS; i++) {
		if (strcmp(info.name, engine_map_names[i]))
			continue;
		if (value_sizes[i] && info.value_size != value_sizes[i]) {
			close(fd);
			return error_set(e, EPROTO, "the guard in the kernel has another layout of %s: "
					 "run `ohguard load` to replace it (it goes on enforcing)",
					 engine_map_names[i]);
		}
		engine->map[i] = fd;
		return 0;
	}
	close(fd);
	return 0;
}

static int open_maps(uint32_t program, struct engine *ret, struct error *e)
{
	__u32 ids[ENGINE_MAPS * 2] = { 0 };
	struct bpf_prog_info info = { .nr_map_ids = ENGINE_MAPS * 2, .map_ids = (__u64)(uintptr_t)ids };
	__u32 size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(program), r = 0;

	if (fd < 0)
		return error_set(e, errno, "program %u: %s", program, strerror(errno));
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		r = error_set(e, errno, "program %u: %s", program, strerror(errno));
	close(fd);
	for (__u32 i = 0; !r && i < info.nr_map_ids && i < ENGINE_MAPS * 2; i++) {
		int map = bpf_map_get_fd_by_id(ids[i]);

		r = map < 0 ? error_set(e, errno, "map %u: %s", ids[i], strerror(errno)) : take_map(ret, map, e);
	}
	for (int i = 0; !r && i < ENGINE_MAPS; i++) {
		if (ret->map[i] < 0)
			r = error_set(e, EPROTO,
				      "the guard in the kernel has no map %s: run `ohguard load` to replace it "
				      "(it goes on enforcing)", engine_map_names[i]);
	}
	if (!r && !ret->open)
		r = error_set(e, EPROTO, "the guard in the kernel has no settings: run `ohguard load` to replace it");
	return r;
}

int engine_open(const char *pins, struct engine *ret, struct error *e)
{
	struct engine engine = ENGINE_EMPTY;
	struct bpf_prog_info program;
	struct bpf_link_info info;
	int link = engine_open_link(pins, OH_HOOK_EGRESS), r;

	if (link == -ENOENT || link == -ENOTDIR)
		return error_set(e, ENOENT, "not loaded (no %s): run `ohguard load`", pins);
	if (link < 0)
		return error_set(e, -link, "%s: %s", pins, strerror(-link));
	r = engine_read_link(link, &info, &program);
	close(link);
	if (r)
		return error_set(e, -r, "%s: the link cannot be read: %s", pins, strerror(-r));
	r = open_maps(program.id, &engine, e);
	if (r) {
		engine_close(&engine);
		return r;
	}
	*ret = engine;
	return 0;
}

static __u32 map_id(int fd)
{
	struct bpf_map_info info;

	return map_info(fd, &info) ? 0 : info.id;
}

int engine_renew(struct engine *engine, const char *pins, enum engine_map map, bool *ret_other, struct error *e)
{
	struct engine now;
	int r = engine_open(pins, &now, e);

	if (r)
		return r;
	*ret_other = map_id(now.map[map]) != map_id(engine->map[map]);
	engine_close(*ret_other ? engine : &now);
	if (*ret_other)
		*engine = now;
	return 0;
}

void engine_close(struct engine *engine)
{
	for (int i = 0; i < ENGINE_MAPS; i++) {
		if (engine->map[i] >= 0)
			close(engine->map[i]);
	}
	*engine = (struct engine)ENGINE_EMPTY;
}

const char *engine_mode(const struct oh_settings *settings)
{
	return settings->observe ? "observe" : settings->ask ? "ask" : "enforce";
}

int engine_read_shares(const struct engine *engine, uint32_t target, struct oh_shares *ret, struct error *e)
{
	if (bpf_map_lookup_elem(engine->map[ENGINE_SHARES], &target, ret))
		return error_set(e, errno, "%s: %s", engine_map_names[ENGINE_SHARES], strerror(errno));
	return 0;
}

int engine_read_control(const struct engine *engine, struct oh_control *ret, struct error *e)
{
	__u32 zero = 0;

	if (bpf_map_lookup_elem(engine->map[ENGINE_CONTROL], &zero, ret))
		return error_set(e, errno, "%s: %s", engine_map_names[ENGINE_CONTROL], strerror(errno));
	return 0;
}

int engine_write_control(const struct engine *engine, const struct oh_control *control, struct error *e)
{
	__u32 zero = 0;

	if (bpf_map_update_elem(engine->map[ENGINE_CONTROL], &zero, control, BPF_ANY))
		return error_set(e, errno, "%s: %s", engine_map_names[ENGINE_CONTROL], strerror(errno));
	return 0;
}

int engine_set_ready(const struct engine *engine, struct error *e)
{
	struct oh_control control;
	int r = engine_read_control(engine, &control, e);

	if (r)
		return r;
	if (!control.since)
		control.since = (__u32)clock_boot();
	if (!control.seed && getrandom(&control.seed, sizeof(control.seed), GRND_NONBLOCK) < 0)
		control.seed = (__u32)clock_boot_ns();
	control.ready = 1;
	return engine_write_control(engine, &control, e);
}

static int count_cpus(int *ret, struct error *e)
{
	*ret = libbpf_num_possible_cpus();
	return *ret > 0 ? 0 : error_set(e, *ret ? -*ret : EIO, "the number of CPUs cannot be found: is /sys mounted?");
}

/* Reads a per-CPU value of `words` 64-bit counters and adds them up. */
static int read_sums(const struct engine *engine, enum engine_map map, uint32_t index, uint64_t *sums, size_t words,
		     struct error *e)
{
	uint64_t *values;
	int cpus, r = count_cpus(&cpus, e);

	if (r)
		return r;
	values = calloc((size_t)cpus, words * sizeof(*values));
	if (!values)
		return error_set(e, ENOMEM, "out of memory");
	if (bpf_map_lookup_elem(engine->map[map], &index, values)) {
		int code = errno;

		free(values);
		return error_set(e, code, "%s: %s", engine_map_names[map], strerror(code));
	}
	memset(sums, 0, words * sizeof(*sums));
	for (size_t i = 0; i < (size_t)cpus * words; i++)
		sums[i % words] += values[i];
	free(values);
	return 0;
}

int engine_read_count(const struct engine *engine, uint32_t index, struct oh_count *ret, struct error *e)
{
	uint64_t sums[2];
	int r = read_sums(engine, ENGINE_COUNTS, index, sums, 2, e);

	if (!r)
		*ret = (struct oh_count){ .packets = sums[0], .bytes = sums[1] };
	return r;
}

int engine_read_use(const struct engine *engine, uint32_t target, struct oh_use *ret, struct error *e)
{
	uint64_t sums[3];
	int r = read_sums(engine, ENGINE_USE, target, sums, 3, e);

	if (!r)
		*ret = (struct oh_use){ .packets = sums[0], .bytes = sums[1], .hits = sums[2] };
	return r;
}

int engine_clear_use(const struct engine *engine, uint32_t target, struct error *e)
{
	int cpus, r = count_cpus(&cpus, e);
	struct oh_use *values = r ? NULL : calloc((size_t)cpus, sizeof(*values));

	if (r)
		return r;
	if (!values)
		return error_set(e, ENOMEM, "out of memory");
	if (bpf_map_update_elem(engine->map[ENGINE_USE], &target, values, BPF_ANY))
		r = error_set(e, errno, "%s: %s", engine_map_names[ENGINE_USE], strerror(errno));
	free(values);
	return r;
}

/* Removes the keys that go, one by one, and counts the others: for maps without batches. */
static int remove_each(int fd, bool (*goes)(const void *key, const void *context), const void *context, uint64_t *kept)
{
	unsigned char key[2][KEY_MAX];
	bool more = !bpf_map_get_next_key(fd, NULL, key[0]);

	*kept = 0;
	for (int at = 0; more; at = !at) {
		/* before it goes: a walk can only go on from a key that exists */
		more = !bpf_map_get_next_key(fd, key[at], key[!at]);
		if (!goes(key[at], context))
			++*kept;
		else if (bpf_map_delete_elem(fd, key[at]) && errno != ENOENT)
			return -errno;
	}
	return 0;
}

/* The same in batches, for hashes. -ENOSPC: a bucket holds more than one batch. */
static int remove_batches(int fd, const struct bpf_map_info *info, bool (*goes)(const void *key, const void *context),
			  const void *context, uint64_t *kept)
{
	unsigned char *keys = malloc((size_t)KEYS_AT_ONCE * info->key_size);
	void *values = malloc((size_t)KEYS_AT_ONCE * info->value_size);
	__u32 position;
	int r = keys && values ? 0 : -ENOMEM;
	bool first = true;

	for (*kept = 0; !r; first = false) {
		__u32 count = KEYS_AT_ONCE;
		int code = bpf_map_lookup_batch(fd, first ? NULL : &position, &position, keys, values, &count, NULL) ?
			   errno : 0;

		if (code && code != ENOENT)	/* ENOENT is the end, and may come with keys */
			r = -code;
		for (__u32 i = 0; !r && i < count; i++) {
			const unsigned char *key = keys + (size_t)i * info->key_size;

			if (!goes(key, context))
				++*kept;
			else if (bpf_map_delete_elem(fd, key) && errno != ENOENT)
				r = -errno;
		}
		if (code)
			break;
	}
	free(keys);
	free(values);
	return r;
}

static int remove_keys(int fd, bool (*goes)(const void *key, const void *context), const void *context,
		       struct bpf_map_info *ret_info, uint64_t *ret_kept)
{
	int r = map_info(fd, ret_info);

	if (!r && ret_info->key_size > KEY_MAX)
		return -EPROTO;
	if (!r && ret_info->type == BPF_MAP_TYPE_HASH) {
		r = remove_batches(fd, ret_info, goes, context, ret_kept);
		if (r != -ENOSPC)
			return r;
	}
	return r && r != -ENOSPC ? r : remove_each(fd, goes, context, ret_kept);
}

int engine_remove_keys(const struct engine *engine, enum engine_map map,
		       bool (*goes)(const void *key, const void *context), const void *context, struct error *e)
{
	struct bpf_map_info info;
	uint64_t kept;
	int r = remove_keys(engine->map[map], goes, context, &info, &kept);

	return r ? error_set(e, -r, "%s: %s", engine_map_names[map], strerror(-r)) : 0;
}

/* Reads count targets from id `first` on, at most TARGETS_AT_ONCE: one call for many. */
static int read_targets(const struct engine *engine, uint32_t first, uint32_t count, struct oh_target *ret,
			struct error *e)
{
	uint32_t ids[TARGETS_AT_ONCE], before = first - 1, after;

	if (bpf_map_lookup_batch(engine->map[ENGINE_TARGETS], first ? &before : NULL, &after, ids, ret, &count, NULL) &&
	    errno != ENOENT)	/* the end of the map */
		return error_set(e, errno, "%s: %s", engine_map_names[ENGINE_TARGETS], strerror(errno));
	for (uint32_t i = 0; i < count; i++)
		ret[i].text[sizeof(ret[i].text) - 1] = '\0';
	return 0;
}

int engine_read_target(const struct engine *engine, uint32_t id, struct oh_target *ret, struct error *e)
{
	return read_targets(engine, id, 1, ret, e);
}

int engine_walk_targets(const struct engine *engine, engine_target_visit *visit, void *context, struct error *e)
{
	struct oh_target chunk[TARGETS_AT_ONCE];
	struct oh_control control = { 0 };
	int r = engine_read_control(engine, &control, e);
	uint32_t end = control.targets < OH_TARGETS_MAX ? control.targets : OH_TARGETS_MAX, count;

	for (uint32_t first = 1; !r && first < end; first += count) {
		count = end - first < TARGETS_AT_ONCE ? end - first : TARGETS_AT_ONCE;
		r = read_targets(engine, first, count, chunk, e);
		for (uint32_t i = 0; !r && i < count; i++) {
			if (chunk[i].state == OH_TARGET_LIVE)
				r = visit(first + i, &chunk[i], context, e);
		}
	}
	return r;
}

static bool none_goes(const void *key, const void *context)
{
	(void)key, (void)context;
	return false;
}

int engine_map_fill(const struct engine *engine, enum engine_map map, uint64_t *ret_entries, uint64_t *ret_max,
		    struct error *e)
{
	struct bpf_map_info info;
	int r = remove_keys(engine->map[map], none_goes, NULL, &info, ret_entries);

	if (r)
		return error_set(e, -r, "%s: %s", engine_map_names[map], strerror(-r));
	*ret_max = info.max_entries;
	return 0;
}
