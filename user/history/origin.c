// SPDX-License-Identifier: MIT
#include "history/origin.h"

#include <stdio.h>
#include <string.h>

#include "engine/conntrack.h"
#include "engine/hooks.h"
#include "engine/told.h"

/* The name that was asked for, or NULL. The event holds it last letter first. The root is "." */
static const char *name_of(const struct oh_event *event, char buffer[OH_EVENT_NAME_MAX + 1])
{
	size_t n = strnlen(event->name, sizeof(event->name));

	if (event->others || (!n && event->reason != OH_DNS_NAME_NOT_ALLOWED))
		return NULL;
	for (size_t i = 0; i < n; i++)
		buffer[i] = event->name[n - 1 - i];
	buffer[n] = '\0';
	return n ? buffer : ".";
}

static void find_cgroup(struct history_origin *o, uint64_t cgroup)
{
	if (cgroup == o->cgroup)
		return;
	o->cgroup = cgroup;
	engine_cgroup_path(cgroup, o->path);
	if (!container_by_cgroup(o->path, &o->container))
		o->container = (struct container){ 0 };
}

static void take_container(struct history_origin *o, const struct container *c, const char *by,
			   struct history_record *r)
{
	memcpy(o->id, c->id, CONTAINER_SHORT);
	r->container = o->id;
	r->container_name = *c->name ? c->name : NULL;
	r->container_by = by;
}

static void find_where(struct history_origin *o, const struct oh_event *event, struct history_record *r)
{
	struct oh_address source = event->source;

	find_cgroup(o, event->cgroup);
	if (*o->path)
		r->cgroup = o->path;
	if (event->interface) {
		if (!if_indextoname(event->interface, o->interface))
			snprintf(o->interface, sizeof(o->interface), "%u", event->interface);
		r->interface = o->interface;
		if (!event->others && conntrack_source(event, &source))
			r->original_source = source;
	}
	if (*o->container.id)
		take_container(o, &o->container, "cgroup", r);
	else if (history_address_is_set(&source) && event->hook != OH_HOOK_INBOUND &&
		 container_by_address(&source, &o->by_address))
		take_container(o, &o->by_address, "address", r);
}

void history_of_event(struct history_origin *o, const struct oh_event *event, int64_t boot_at,
		      struct history_record *ret)
{
	struct history_record r = {
		.first = boot_at + (int64_t)(event->time / 1000000000), .count = 1, .reason = event->reason,
		.hook = event->hook, .protocol = event->protocol, .observed = event->observed, .reply = event->reply,
		.others = event->others, .source = event->source, .destination = event->destination,
		.source_port = event->source_port, .destination_port = event->destination_port, .pid = event->pid,
		.uid = event->uid,
	};

	r.last = r.first;
	r.name = name_of(event, o->name);
	if (event->pid) {
		snprintf(o->command, sizeof(o->command), "%.*s", OH_COMMAND_MAX, event->command);
		r.command = o->command;
	}
	find_where(o, event, &r);
	/* what a query asks for has nothing to do with its resolver */
	if (event->reason != OH_DNS_NAME_NOT_ALLOWED && history_address_is_set(&event->destination) &&
	    told_find_target(o->engine, &event->destination, o->target))
		r.target = o->target;
	*ret = r;
}
