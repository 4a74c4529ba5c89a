// SPDX-License-Identifier: MIT
#include "engine/publish_answers.h"

#include <bpf/bpf.h>

static bool is_over(const struct oh_entry *entry, __u32 boot)
{
	for (int i = 0; i < OH_GRANTS_MAX; i++) {
		const struct oh_grant *g = &entry->grant[i];

		if (g->service != OH_SERVICE_NONE && g->expires > boot - OH_KEPT)
			return false;
	}
	return true;
}

struct sweep {
	int fd;
	__u32 boot;
};

static bool is_swept(const void *key, const void *context)
{
	const struct sweep *s = context;
	struct oh_entry entry;

	return !bpf_map_lookup_elem(s->fd, key, &entry) && is_over(&entry, s->boot);
}

int publish_sweep_answers(const struct engine *engine, __u32 boot, struct error *e)
{
	static const enum engine_map taught[] = { ENGINE_LEARNED, ENGINE_OPENED };
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(taught) / sizeof(*taught); i++) {
		const struct sweep s = { .fd = engine->map[taught[i]], .boot = boot };

		if (boot > OH_KEPT)
			r = engine_remove_keys(engine, taught[i], is_swept, &s, e);
	}
	return r;
}
