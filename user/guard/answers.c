// SPDX-License-Identifier: MIT
#include "guard/answers.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "engine/answerer.h"
#include "engine/inject.h"
#include "guard/held.h"
#include "names/reply.h"

#define LOOK 100	/* milliseconds until questions are looked at again, while a query waits for one */

/* The ring buffer's callback. If a packet cannot be answered, its sender waits for its own time-out. */
static int answer(void *context, void *data, size_t size)
{
	const struct oh_refused *r = data;
	struct answers *a = context;
	struct reply reply;

	if (size < sizeof(*r) || r->length > sizeof(r->packet))
		return 0;
	if (r->reason == OH_NONE) {
		held_add(a->held, r);
		return 0;
	}
	if (!reply_make(r->packet, r->length, r->reason == OH_DNS_NAME_NOT_ALLOWED ? REPLY_NO_NAME : REPLY_RESET,
			&reply))
		return 0;
	for (size_t i = 0; i < reply.count; i++) {
		const struct reply_packet *p = &reply.packets[i];

		inject_send(a->inject, r->netns, (pid_t)r->pid, reply.family, p->bytes, p->length);
	}
	return 0;
}

int answers_renew(struct answers *a, const struct engine *engine, struct error *e)
{
	int r;

	ring_buffer__free(a->ring);
	a->ring = ring_buffer__new(engine->map[ENGINE_REFUSED], answer, a, NULL);
	r = (int)libbpf_get_error(a->ring);
	if (r)
		a->ring = NULL;
	return r ? error_set(e, -r, "the refused packets cannot be read: %s", strerror(-r)) : 0;
}

int answers_open(struct answers *a, const struct engine *engine, struct error *e)
{
	int r;

	*a = (struct answers){ 0 };
	r = inject_open(&a->inject, e);
	if (!r)
		r = held_open(&a->held, e);
	if (!r)
		r = answers_renew(a, engine, e);
	if (r)
		answers_close(a);
	return r;
}

void answers_close(struct answers *a)
{
	ring_buffer__free(a->ring);
	inject_close(a->inject);
	held_free(a->held);
	*a = (struct answers){ 0 };
}

int answers_fd(const struct answers *a)
{
	return ring_buffer__epoll_fd(a->ring);
}

int answers_wait(const struct answers *a, int most)
{
	return held_any(a->held) && most > LOOK ? LOOK : most;
}

int answers_give(struct answers *a, const struct engine *engine, struct error *e)
{
	/* First, since the raw sockets for an answer are refused to whom nobody has heard of for too long. */
	int r = answerer_beat(engine, true, e);

	if (r)
		return r;
	if (ring_buffer__consume(a->ring) < 0)
		return error_set(e, EIO, "the refused packets cannot be read");
	held_settle(a->held, engine, a->inject);
	return 0;
}
