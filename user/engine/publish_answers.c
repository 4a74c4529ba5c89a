// SPDX-License-Identifier: MIT
#include "engine/publish_answers.h"

#include <bpf/bpf.h>

#include "base/clock.h"

/* An entry stays this long after its end, so that none is removed that the kernel renews at this moment. */
#define SWEEP_AFTER 300

static bool is_over(const struct oh_entry *entry, __u32 boot)
{
	for (int i = 0; i < OH_GRANTS_MAX; i++) {
		const struct oh_grant *g = &entry->grant[i];

		if (g->service != OH_SERVICE_NONE && g->expires > boot - SWEEP_AFTER)
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

int publish_sweep_answers(const struct engine *engine, struct error *e)
{
	const struct sweep s = { .fd = engine->map[ENGINE_LEARNED], .boot = (__u32)clock_boot() };

	return s.boot > SWEEP_AFTER ? engine_remove_keys(engine, ENGINE_LEARNED, is_swept, &s, e) : 0;
}
