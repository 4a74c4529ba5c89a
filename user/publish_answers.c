/* What the kernel learned from answers is its own: here only what is over is taken out. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy.h"

/* An entry is left for as long after its end: one that the kernel renews this very moment is not taken from it. */
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

int policy_sweep_answers(const struct engine *engine, struct error *e)
{
	struct oh_address key, *previous = NULL, *gone = NULL;
	size_t count = 0, room = 0;
	struct oh_entry entry;
	struct timespec boot;
	int fd = engine->map[ENGINE_LEARNED], r = 0;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	while (boot.tv_sec > SWEEP_AFTER && !bpf_map_get_next_key(fd, previous, &key)) {
		previous = &key;
		if (bpf_map_lookup_elem(fd, &key, &entry) || !is_over(&entry, (__u32)boot.tv_sec))
			continue;
		if (count == room) {
			struct oh_address *grown = realloc(gone, (room = room ? room * 2 : 64) * sizeof(*gone));

			if (!grown) {
				r = error_set(e, ENOMEM, "out of memory");
				break;
			}
			gone = grown;
		}
		gone[count++] = key;
	}
	for (size_t i = 0; !r && i < count; i++) {
		if (bpf_map_delete_elem(fd, &gone[i]) && errno != ENOENT)
			r = error_set(e, errno, "%s: %s", engine_map_names[ENGINE_LEARNED], strerror(errno));
	}
	free(gone);
	return r;
}
