// SPDX-License-Identifier: MIT
#include "engine/answerer.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

int answerer_beat(const struct engine *engine, bool alive, struct error *e)
{
	struct oh_answerer a = { .until = alive ? (__u64)clock_boot_ns() + OH_ANSWERER_ALIVE : 0,
				 .pid = (__u32)getpid() };
	__u32 zero = 0;

	if (bpf_map_update_elem(engine->map[ENGINE_ANSWERER], &zero, &a, BPF_ANY))
		return error_set(e, errno, "%s: %s", engine_map_names[ENGINE_ANSWERER], strerror(errno));
	return 0;
}

bool answerer_is_alive(const struct engine *engine)
{
	struct oh_answerer a;
	__u32 zero = 0;

	return !bpf_map_lookup_elem(engine->map[ENGINE_ANSWERER], &zero, &a) && (__u64)clock_boot_ns() < a.until;
}
