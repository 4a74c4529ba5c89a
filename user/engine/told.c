// SPDX-License-Identifier: MIT
#include "engine/told.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BATCH 512

/* linux/bpf.h: the first page holds the reader's position; the second the writer's, and behind it the data lies twice,
 * so that no record is split. Mapped for reading, nothing can be taken. */
int told_peek(const struct engine *engine, told_event each, void *context, struct error *e)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), mask = OH_EVENTS_BYTES - 1;
	int fd = engine->map[ENGINE_EVENTS];
	const unsigned long *taken = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
	const char *rest = taken == MAP_FAILED ? MAP_FAILED :
			   mmap(NULL, page + 2UL * OH_EVENTS_BYTES, PROT_READ, MAP_SHARED, fd, (off_t)page);
	unsigned long at, end;
	int r = 0;

	if (rest == MAP_FAILED) {
		r = error_set(e, errno, "the event buffer cannot be mapped: %s", strerror(errno));
	} else {
		at = __atomic_load_n(taken, __ATOMIC_ACQUIRE);
		end = __atomic_load_n((const unsigned long *)rest, __ATOMIC_ACQUIRE);
		while (at < end) {
			const char *record = rest + page + (at & mask);
			uint32_t header = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);
			uint32_t size = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
			struct oh_event event;

			if (header & BPF_RINGBUF_BUSY_BIT)
				break;
			if (!(header & BPF_RINGBUF_DISCARD_BIT) && size >= sizeof(event)) {
				memcpy(&event, record + BPF_RINGBUF_HDR_SZ, sizeof(event));
				each(context, &event);
			}
			at += (size + BPF_RINGBUF_HDR_SZ + 7) & ~7U;
		}
	}
	if (rest != MAP_FAILED)
		munmap((void *)rest, page + 2UL * OH_EVENTS_BYTES);
	if (taken != MAP_FAILED)
		munmap((void *)taken, page);
	return r;
}

int told_read_folds(const struct engine *engine, struct oh_folded *ret, uint32_t room, struct error *e)
{
	struct oh_fold_key *keys = malloc(BATCH * sizeof(*keys));
	__u32 position, have = 0;
	bool first = true;
	int code = keys ? 0 : ENOMEM;

	while (!code && have + BATCH <= room) {
		__u32 count = BATCH;

		code = bpf_map_lookup_batch(engine->map[ENGINE_FOLDS], first ? NULL : &position, &position, keys,
					    ret + have, &count, NULL) ? errno : 0;
		if (!code || code == ENOENT)	/* the end, which may come with some */
			have += count;
		first = false;
	}
	free(keys);
	return code && code != ENOENT ? error_set(e, code, "%s: %s", engine_map_names[ENGINE_FOLDS], strerror(code)) :
					(int)have;
}

/* Also one that has lapsed, until it is removed: then that is what was refused, and not just an address. */
bool told_find_target(const struct engine *engine, const struct oh_address *address, char ret[OH_TARGET_TEXT_MAX])
{
	static const enum engine_map tables[] = { ENGINE_ADDRESSES, ENGINE_LEARNED };
	struct oh_target target;
	struct oh_entry entry;
	struct error e;

	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		if (bpf_map_lookup_elem(engine->map[tables[i]], address, &entry))
			continue;
		for (int n = 0; n < OH_GRANTS_MAX; n++) {
			const struct oh_grant *g = &entry.grant[n];

			if (g->service == OH_SERVICE_NONE || engine_read_target(engine, g->target, &target, &e) ||
			    target.state != OH_TARGET_LIVE || target.generation != g->generation)
				continue;
			memcpy(ret, target.text, OH_TARGET_TEXT_MAX);
			return true;
		}
	}
	return false;
}
