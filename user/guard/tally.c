// SPDX-License-Identifier: MIT
#include "guard/tally.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "engine/told.h"

static struct tally_entry *find(const struct tally *t, uint64_t fold)
{
	for (size_t i = t->count; fold && i-- > 0;) {
		if (t->list[i].fold == fold)
			return &t->list[i];
	}
	return NULL;
}

void tally_take(struct tally *t, const struct oh_event *event)
{
	struct tally_entry *known = find(t, event->fold), *grown;
	struct history_record record;

	if (known) {
		known->record->count = event->count;
		return;
	}
	/* getaddrinfo() connects datagram sockets to no port, to sort addresses, and sends nothing */
	if (event->protocol == IPPROTO_UDP && !event->destination_port && !event->others)
		return;
	history_of_event(&t->origin, event, clock_boot_at(), &record);
	grown = list_grow(t->list, t->count, sizeof(*grown));
	if (!grown) {
		t->incomplete = true;
		return;
	}
	t->list = grown;
	record.count = event->count;
	t->list[t->count] = (struct tally_entry){ event->fold, history_copy(&record) };
	if (t->list[t->count].record)
		t->count++;
	else
		t->incomplete = true;
}

int tally_count(struct tally *t, struct error *e)
{
	struct oh_folded *folds = calloc(OH_FOLDS_MAX, sizeof(*folds));
	int n = folds ? told_read_folds(t->origin.engine, folds, OH_FOLDS_MAX, e) :
			error_set(e, ENOMEM, "out of memory");

	for (int i = 0; i < n; i++) {
		struct tally_entry *known = find(t, folds[i].id);

		if (known)
			known->record->count = folds[i].count;
	}
	free(folds);
	return n < 0 ? n : 0;
}
