#include "object.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

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
	if (level == LIBBPF_WARN && strncmp(format, "libbpf: failed to load object", 29)) {	/* the one before says why */
		va_list copy;	/* it is read twice */

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

/* Unpacks the object. The caller frees it. */
static void *unpack(enum object which, size_t *ret_size)
{
	/* cppcheck-suppress comparePointers */
	z_stream z = { .next_in = (Bytef *)objects[which].start,
		       .avail_in = (uInt)(objects[which].end - objects[which].start) };
	Bytef *object = malloc(OBJECT_MAX), *fitting;
	bool whole;

	if (!object || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {	/* 16: a gzip header */
		free(object);
		return NULL;
	}
	z.next_out = object;
	z.avail_out = OBJECT_MAX;
	whole = inflate(&z, Z_FINISH) == Z_STREAM_END;
	*ret_size = z.total_out;
	inflateEnd(&z);
	fitting = whole ? realloc(object, *ret_size) : NULL;
	if (!fitting)
		free(object);
	return fitting;
}

int object_open(enum object which, struct bpf_object **ret, struct error *e)
{
	DECLARE_LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = objects[which].name);
	size_t size = 0;
	void *bytes = unpack(which, &size);
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
