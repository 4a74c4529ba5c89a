// SPDX-License-Identifier: MIT
#include "engine/object.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "base/unpack.h"

#define OBJECT_MAX (4 << 20)

extern const unsigned char object_engine[], object_engine_end[], object_lock[], object_lock_end[];	/* objects.S */

static const struct {
	const char *name;
	const unsigned char *start, *end;
} objects[] = {
	[OBJECT_ENGINE] = { "ohguard", object_engine, object_engine_end },
	[OBJECT_LOCK] = { "ohlock", object_lock, object_lock_end },
};

static char last_warning[256];

static int keep_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	/* the warning before it says why */
	if (level == LIBBPF_WARN && strncmp(format, "libbpf: failed to load object", 29)) {
		va_list copy;	/* the list is read twice */

		va_copy(copy, args);
		vsnprintf(last_warning, sizeof(last_warning), format, copy);
		va_end(copy);
		last_warning[strcspn(last_warning, "\n")] = '\0';
	}
	if (getenv("OHGUARD_DEBUG") && *getenv("OHGUARD_DEBUG"))
		return vfprintf(stderr, format, args);
	return 0;
}

const char *object_warning(void)
{
	return last_warning;
}

int object_open(enum object which, struct bpf_object **ret, struct error *e)
{
	DECLARE_LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = objects[which].name);
	size_t size = 0;
	void *bytes = unpack(objects[which].start, objects[which].end, OBJECT_MAX, &size);
	struct bpf_object *object;
	int r;

	libbpf_set_print(keep_warning);
	if (!bytes)
		return error_set(e, ENOMEM, "the programs inside this binary cannot be unpacked: out of memory?");
	object = bpf_object__open_mem(bytes, size, &options);
	r = (int)libbpf_get_error(object);
	free(bytes);	/* libbpf keeps no pointer into it */
	if (r)
		return error_set(e, -r, "the programs inside this binary cannot be read: %s", strerror(-r));
	*ret = object;
	return 0;
}

uint64_t object_build(void)
{
	uint64_t build = 0;

	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++) {
		uint8_t digest[32];
		uint64_t part;

		sha256(objects[i].start, (size_t)(objects[i].end - objects[i].start), digest);
		memcpy(&part, digest, sizeof(part));
		build = build * 31 + part;
	}
	return build;
}

bool object_is_constants(const char *map)
{
	return strstr(map, ".rodata");	/* behind the object's name */
}

int object_find_constant(const struct btf *btf, uint32_t section, const char *name, size_t size)
{
	const struct btf_type *t = btf__type_by_id(btf, section);

	for (uint32_t i = 0; t && btf_is_datasec(t) && i < btf_vlen(t); i++) {
		const struct btf_var_secinfo *info = &btf_var_secinfos(t)[i];
		const struct btf_type *var = btf__type_by_id(btf, info->type);
		const char *its = var ? btf__name_by_offset(btf, var->name_off) : NULL;

		if (its && !strcmp(its, name))
			return info->size == size ? (int)info->offset : -EPROTO;
	}
	return -ENOENT;
}

int object_set_constant(struct bpf_object *object, const char *name, const void *value, size_t size, struct error *e)
{
	const struct btf *btf = bpf_object__btf(object);
	int section = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC), at, r;
	struct bpf_map *map, *constants = NULL;
	size_t all = 0;
	char *values;

	at = section < 0 ? section : object_find_constant(btf, (uint32_t)section, name, size);
	bpf_object__for_each_map(map, object) {
		if (object_is_constants(bpf_map__name(map)))
			constants = map;
	}
	if (at < 0 || !constants || !bpf_map__initial_value(constants, &all) || (size_t)at + size > all)
		return error_set(e, EIO, "the programs have no place for %s", name);
	values = malloc(all);
	if (!values)
		return error_set(e, ENOMEM, "out of memory");
	memcpy(values, bpf_map__initial_value(constants, &all), all);
	memcpy(values + at, value, size);
	r = bpf_map__set_initial_value(constants, values, all);
	free(values);
	return r ? error_set(e, -r, "%s cannot be set: %s", name, strerror(-r)) : 0;
}
