// SPDX-License-Identifier: MIT
#include "guard/tally.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *event_name(const struct oh_event *event, char ret[OH_EVENT_NAME_MAX + 1])
{
	size_t n = strnlen(event->name, sizeof(event->name));

	for (size_t i = 0; i < n; i++)
		ret[i] = event->name[n - 1 - i];
	ret[n] = '\0';
	return n ? ret : event->reason == OH_DNS_NAME_NOT_ALLOWED ? "." : NULL;
}

static struct tally_entry *find(const struct tally *t, uint64_t fold)
{
	for (size_t i = t->count; fold && i-- > 0;) {
		if (t->list[i].fold == fold)
			return &t->list[i];
	}
	return NULL;
}

static bool make_room(struct tally *t)
{
	size_t room = t->room ? 2 * t->room : 64;
	struct tally_entry *grown = t->count < t->room ? t->list : realloc(t->list, room * sizeof(*grown));

	if (!grown)
		return false;
	if (t->count == t->room)
		t->room = room;
	t->list = grown;
	return true;
}

void tally_take(struct tally *t, const struct oh_event *event)
{
	char name[OH_EVENT_NAME_MAX + 1], command[OH_COMMAND_MAX + 1];
	struct tally_entry *known = find(t, event->fold);
	struct history_record record = {
		.first = time(NULL), .last = time(NULL), .count = event->count ? event->count : 1,
		.reason = event->reason, .hook = event->hook, .protocol = event->protocol,
		.observed = event->observed, .reply = event->reply, .others = event->others,
		.source = event->source, .destination = event->destination, .source_port = event->source_port,
		.destination_port = event->destination_port, .pid = event->pid, .uid = event->uid };

	if (known) {
		known->record->count = event->count;
		return;
	}
	/* getaddrinfo() connects datagram sockets to no port, to sort addresses, and sends nothing */
	if (event->protocol == IPPROTO_UDP && !event->destination_port && !event->others)
		return;
	snprintf(command, sizeof(command), "%.*s", OH_COMMAND_MAX, event->command);
	record.command = event->pid ? command : NULL;
	record.name = event_name(event, name);
	if (!make_room(t)) {
		t->incomplete = true;
		return;
	}
	t->list[t->count] = (struct tally_entry){ event->fold, history_copy(&record) };
	if (t->list[t->count].record)
		t->count++;
	else
		t->incomplete = true;
}

int tally_count(struct tally *t, const struct engine *engine, struct error *e)
{
	struct oh_fold_key key, next;
	int fd = engine->map[ENGINE_FOLDS];
	bool first = true;

	while (!bpf_map_get_next_key(fd, first ? NULL : &key, &next)) {
		struct tally_entry *known;
		struct oh_folded folded;

		first = false;
		key = next;
		if (bpf_map_lookup_elem(fd, &key, &folded))
			continue;
		known = find(t, folded.id);
		if (known)
			known->record->count = folded.count;
	}
	return errno == ENOENT ? 0 : error_set(e, errno, "the counts cannot be read: %s", strerror(errno));
}

void tally_free(struct tally *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->list[i].record);
	free(t->list);
	*t = (struct tally){ 0 };
}
