/* SPDX-License-Identifier: MIT */
/* The real programs in the real kernel, attached to nothing: maps filled by hand, packets run through one program,
 * and a look at all that it left behind. Needs root; runs in network and mount state of its own. */
#ifndef OHGUARD_TEST_LAB_H
#define OHGUARD_TEST_LAB_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <time.h>

#include "bpf/told.h"
#include "engine/load.h"
#include "packet.h"

#include "device.h"

/* A target of these tests: its id, as a number that no other has. */
struct lab {
	struct engine_program_set *set;
	struct engine engine;
	struct ring_buffer *ring;
	struct oh_event event;		/* the last one */
	unsigned int events;		/* since lab_run() began */
	unsigned int device;		/* interface index, not that of loopback */
	unsigned int unmade;		/* packets that this kernel's test run refuses to make */
};

/* What one packet did. */
struct outcome {
	int verdict;			/* what the program returned: 1 passes */
	struct oh_count counted[OH_COUNTS];	/* by how much each counter rose */
};

static inline int lab_took_event(void *context, void *data, size_t size)
{
	struct lab *lab = context;

	lab->events++;
	memset(&lab->event, 0xee, sizeof(lab->event));
	memcpy(&lab->event, data, size < sizeof(lab->event) ? size : sizeof(lab->event));
	return size == sizeof(lab->event) ? 0 : -EPROTO;
}

static inline __u32 lab_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (__u32)now.tv_sec;
}

static inline int lab_start(struct lab *lab, const struct config *c, bool observe, const struct engine *previous,
			    struct error *e)
{
	*lab = (struct lab){ .engine = ENGINE_EMPTY };
	lab->device = device_index();
	if (!lab->device)
		return error_set(e, ENODEV, "no network device but loopback, and none can be made");
	if (engine_prepare(c, observe, previous, &lab->set, &lab->engine, e))
		return -EIO;
	lab->ring = ring_buffer__new(lab->engine.map[ENGINE_EVENTS], lab_took_event, lab, NULL);
	return lab->ring ? 0 : error_set(e, errno, "ring buffer: %s", strerror(errno));
}

static inline void lab_stop(struct lab *lab)
{
	ring_buffer__free(lab->ring);
	engine_free_set(lab->set);
	engine_close(&lab->engine);
}

/* cmocka_run_group_tests(), or 77 where it cannot. */
#define run_as_root(tests, start, stop) \
	(geteuid() ? fprintf(stderr, "needs root\n"), 77 : cmocka_run_group_tests(tests, start, stop))

/* A group's teardown: its state is its lab. */
static inline int lab_stop_group(void **state)
{
	lab_stop(*state);
	return 0;
}

static inline void lab_set(const struct lab *lab, enum engine_map map, const void *key, const void *value)
{
	if (bpf_map_update_elem(lab->engine.map[map], key, value, BPF_ANY)) {
		fprintf(stderr, "%s: %s\n", engine_map_names[map], strerror(errno));
		abort();
	}
}

static inline void lab_target(const struct lab *lab, __u32 id, __u32 generation, __u32 lapses)
{
	struct oh_target t = { .generation = generation, .lapses = lapses, .state = OH_TARGET_LIVE };

	lab_set(lab, ENGINE_TARGETS, &id, &t);
}

static inline void lab_ready(const struct lab *lab, bool ready)
{
	const struct oh_control control = { .ready = ready, .targets = OH_TARGETS_MAX };
	const __u32 zero = 0;

	lab_set(lab, ENGINE_CONTROL, &zero, &control);
}

static inline void lab_read_counts(const struct lab *lab, struct oh_count counts[OH_COUNTS])
{
	struct error e;

	for (__u32 i = 0; i < OH_COUNTS; i++) {
		if (engine_read_count(&lab->engine, i, &counts[i], &e))
			abort();
	}
}

/* Runs the packet through the egress program, as sent by a socket of no kind over the given interface. 0, or a
 * negative errno: the kernel did not make the packet. */
static inline int lab_run_on(struct lab *lab, unsigned int interface, const struct frame *f, struct outcome *ret)
{
	struct oh_count before[OH_COUNTS];
	struct __sk_buff context = { .ifindex = interface };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f->byte, .data_size_in = (__u32)f->length,
			    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1);

	lab_read_counts(lab, before);
	told_forget(&lab->engine);
	lab->events = 0;
	if (bpf_prog_test_run_opts(engine_program(lab->set, OH_HOOK_EGRESS), &options))
		return -errno;
	ret->verdict = (int)options.retval;
	lab_read_counts(lab, ret->counted);
	for (int i = 0; i < OH_COUNTS; i++) {
		ret->counted[i].packets -= before[i].packets;
		ret->counted[i].bytes -= before[i].bytes;
	}
	return ring_buffer__consume(lab->ring) < 0 ? -EPROTO : 0;
}

static inline int lab_run(struct lab *lab, const struct frame *f, struct outcome *ret)
{
	return lab_run_on(lab, lab->device, f, ret);
}

#endif
