// SPDX-License-Identifier: MIT
#include "guard/held.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "names/reply.h"

#define HELD_MAX 256	/* the oldest makes room */
#define HELD_FOR 5000	/* milliseconds: whoever has not asked again by then is gone, and its port may be another's */
#define IP_ENDS 12	/* a packet's addresses, ports and content, without what differs at each try */

struct held {
	struct one {
		struct oh_refused query;
		int64_t came;	/* milliseconds of CLOCK_MONOTONIC */
	} list[HELD_MAX];
	size_t count;
};

int held_open(struct held **ret, struct error *e)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : error_set(e, ENOMEM, "out of memory");
}

void held_free(struct held *h)
{
	free(h);
}

static void drop(struct held *h, size_t i)
{
	h->count--;
	for (; i < h->count; i++)
		h->list[i] = h->list[i + 1];
}

static bool is_same(const struct oh_refused *a, const struct oh_refused *b)
{
	return a->netns == b->netns && a->length == b->length && a->length > IP_ENDS &&
	       !memcmp(a->packet + IP_ENDS, b->packet + IP_ENDS, a->length - IP_ENDS);
}

void held_add(struct held *h, const struct oh_refused *query)
{
	size_t i = 0;

	while (i < h->count && !is_same(&h->list[i].query, query))
		i++;
	if (i < h->count)
		drop(h, i);
	else if (h->count == HELD_MAX)
		drop(h, 0);
	h->list[h->count++] = (struct one){ .query = *query, .came = clock_monotonic_ms() };
}

bool held_any(const struct held *h)
{
	return h->count;
}

/* What its question has come to: REPLY_RESET stands for nothing yet. Without a question the name is allowed, or asking
 * again makes it one. */
static enum reply_kind outcome(const struct oh_refused *query, const struct engine *engine)
{
	struct oh_question_key key = { .cgroup = query->cgroup, .name = query->name,
				       .reason = OH_DNS_NAME_NOT_ALLOWED };
	struct oh_question q;

	if (bpf_map_lookup_elem(engine->map[ENGINE_QUESTIONS], &key, &q))
		return errno == ENOENT ? REPLY_AGAIN : REPLY_RESET;
	return q.denied || (uint64_t)clock_boot_ns() >= q.until ? REPLY_NO_NAME : REPLY_RESET;
}

void held_settle(struct held *h, const struct engine *engine, struct inject *inject)
{
	size_t i = 0;

	while (i < h->count) {
		const struct oh_refused *r = &h->list[i].query;
		enum reply_kind kind = outcome(r, engine);
		struct reply reply;

		if (clock_monotonic_ms() - h->list[i].came >= HELD_FOR) {
			drop(h, i);
			continue;
		}
		if (kind == REPLY_RESET) {
			i++;
			continue;
		}
		if (reply_make(r->packet, r->length, kind, &reply) && reply.count)
			inject_send(inject, r->netns, (pid_t)r->pid, reply.family, reply.packets[0].bytes,
				    reply.packets[0].length);
		drop(h, i);
	}
}
