// SPDX-License-Identifier: MIT
#include "history/buffer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "engine/answerer.h"
#include "engine/told.h"
#include "history/origin.h"

#define EVENTS_MAX (OH_EVENTS_BYTES / sizeof(struct oh_event))

struct held {
	struct oh_event event[EVENTS_MAX];
	size_t count;
	int64_t after;
	struct history_origin origin;
	struct oh_folded folds[OH_FOLDS_MAX];
	int fold_count;
};

static void keep(void *context, const struct oh_event *event)
{
	struct held *h = context;

	if (h->count < EVENTS_MAX && (int64_t)event->time > h->after)
		h->event[h->count++] = *event;
}

/* True if it is a repeat of one that comes before it. */
static bool is_told(const struct held *h, size_t at)
{
	for (size_t i = 0; i < at && h->event[at].fold; i++) {
		if (h->event[i].fold == h->event[at].fold)
			return true;
	}
	return false;
}

static void add_repeats(const struct held *h, const struct oh_event *event, int64_t boot_at, struct history_record *r)
{
	for (int i = 0; i < h->fold_count && event->fold; i++) {
		const struct oh_folded *f = &h->folds[i];

		if (f->id != event->fold || f->count < event->count)
			continue;
		r->count = f->count - event->count + 1;
		r->last = boot_at + f->last;
	}
	if (r->last < r->first)
		r->last = r->first;
}

int history_read_buffer(const struct engine *engine, struct history_buffer *buffer, const struct history_filter *filter,
			history_visit visit, void *context, struct error *e)
{
	struct held *h = calloc(1, sizeof(*h));
	int64_t boot_at = clock_boot_at();
	int r;

	if (!h)
		return error_set(e, ENOMEM, "out of memory");
	h->after = buffer->seen;
	h->origin.engine = engine;
	r = told_peek(engine, keep, h, e);
	if (!r) {
		h->fold_count = told_read_folds(engine, h->folds, OH_FOLDS_MAX, e);
		r = h->fold_count < 0 ? h->fold_count : 0;
	}
	for (size_t i = 0; !r && i < h->count; i++) {
		struct history_record record;

		buffer->seen = (int64_t)h->event[i].time;
		if (is_told(h, i))
			continue;
		history_of_event(&h->origin, &h->event[i], boot_at, &record);
		add_repeats(h, &h->event[i], boot_at, &record);
		if (history_takes(filter, &record))
			r = visit(context, &record);
	}
	free(h);
	return r;
}

int history_read_all(const char *path, const struct engine *engine, const struct history_filter *filter,
		     history_visit visit, void *context, struct error *e)
{
	struct history_buffer buffer = { 0 };
	int r = history_read(path, filter, visit, context, e);

	return r || answerer_is_alive(engine) ? r : history_read_buffer(engine, &buffer, filter, visit, context, e);
}
