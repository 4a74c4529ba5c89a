// SPDX-License-Identifier: MIT
/* ohguard events: refused attempts, from the kernel's ring buffer. What one reader has taken, no other sees. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/reason.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "engine/conntrack.h"
#include "engine/container.h"
#include "engine/hooks.h"
#include "guard/guard.h"
#include "policy/address.h"

struct reader {
	bool json;
	int64_t boot_at;	/* CLOCK_REALTIME seconds of boot */
	uint64_t cgroup;	/* of the last event: to find its path takes longer than all else */
	char path[PATH_MAX];
	struct container container;	/* of that cgroup; id "": none */
};

static const struct oh_address no_address;
static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* What user space knows about an event besides what the kernel said. */
struct origin {
	const char *cgroup;		/* "": not known */
	char interface[IF_NAMESIZE];	/* that it was forwarded from; "": none */
	struct oh_address source;	/* before NAT */
	bool has_source, rewritten;
	struct container container;	/* id "": none */
	const char *by;			/* what told the container: its cgroup, or an address that Docker gave it */
};

static void find_origin(struct reader *reader, const struct oh_event *event, struct origin *o)
{
	if (event->cgroup != reader->cgroup) {
		reader->cgroup = event->cgroup;
		engine_cgroup_path(event->cgroup, reader->path);
		if (!container_by_cgroup(reader->path, &reader->container))
			reader->container = (struct container){ 0 };
	}
	*o = (struct origin){ .cgroup = reader->path, .container = reader->container, .source = event->source };
	if (event->interface && !if_indextoname(event->interface, o->interface))
		snprintf(o->interface, sizeof(o->interface), "%u", event->interface);
	o->has_source = memcmp(&event->source, &no_address, sizeof(no_address));
	o->rewritten = event->interface && conntrack_source(event, &o->source);
	if (*o->container.id)
		o->by = "cgroup";
	else if (o->has_source && event->hook != OH_HOOK_INBOUND && container_by_address(&o->source, &o->container))
		o->by = "address";
}

static const char *protocol_name(uint8_t protocol, char buffer[8])
{
	switch (protocol) {
	case 1:
		return "icmp";
	case 6:
		return "tcp";
	case 17:
		return "udp";
	case 58:
		return "icmpv6";
	}
	snprintf(buffer, 8, "%u", protocol);
	return buffer;
}

/* The name that was asked for, or NULL. The event holds it last letter first. The root is "." */
static const char *event_name(const struct oh_event *event, char ret[OH_EVENT_NAME_MAX + 1])
{
	size_t n = strnlen(event->name, sizeof(event->name));

	if (!n && event->reason != OH_DNS_NAME_NOT_ALLOWED)
		return NULL;
	for (size_t i = 0; i < n; i++)
		ret[i] = event->name[n - 1 - i];
	ret[n] = '\0';
	return n ? ret : ".";
}

static const char *short_id(const struct origin *o, char ret[CONTAINER_SHORT + 1])
{
	memcpy(ret, o->container.id, CONTAINER_SHORT);
	ret[CONTAINER_SHORT] = '\0';
	return ret;
}

static void print_json(const struct oh_event *event, const char *when, const struct origin *o)
{
	char address[ADDRESS_TEXT_MAX], protocol[8], name[OH_EVENT_NAME_MAX + 1], id[CONTAINER_SHORT + 1];
	bool destination = memcmp(&event->destination, &no_address, sizeof(no_address));
	struct json j;

	json_start(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "time", when);
	json_string(&j, "verdict", event->observed ? "observed" : "refused");
	json_string(&j, "reason", reason_name(event->reason));
	json_string(&j, "hook", event->hook < OH_HOOK_MAX ? engine_hook_names[event->hook] :
		    event->hook == OH_HOOK_LSM ? "lsm" : NULL);
	json_string(&j, "protocol", protocol_name(event->protocol, protocol));
	json_string(&j, "source", o->has_source ? address_format(&event->source, address) : NULL);
	json_number(&j, "source_port", event->source_port);
	json_string(&j, "destination", destination ? address_format(&event->destination, address) : NULL);
	json_number(&j, "destination_port", event->destination_port);
	json_string(&j, "name", event_name(event, name));
	json_number(&j, "pid", event->pid);
	json_number(&j, "uid", event->uid);
	json_string(&j, "command", event->pid ? event->command : NULL);
	json_string(&j, "cgroup", *o->cgroup ? o->cgroup : NULL);
	json_string(&j, "container", o->by ? short_id(o, id) : NULL);
	json_string(&j, "container_name", *o->container.name ? o->container.name : NULL);
	json_string(&j, "container_by", o->by);
	json_string(&j, "interface", *o->interface ? o->interface : NULL);
	json_string(&j, "original_source", o->rewritten ? address_format(&o->source, address) : NULL);
	json_object_end(&j);
	json_end(&j);
}

static void print_who(const struct oh_event *event, const struct origin *o)
{
	char address[ADDRESS_TEXT_MAX], id[CONTAINER_SHORT + 1];

	if (event->pid) {
		fputs("by ", stdout);
		text_print(stdout, event->command);
		printf("[%u] uid %u", event->pid, event->uid);
	} else if (*o->interface) {
		fputs("forwarded from ", stdout);
		text_print(stdout, o->interface);
		if (o->rewritten)
			printf(" (%s)", address_format(&o->source, address));
	} else {
		fputs("by an unknown process", stdout);
	}
	if (o->by) {
		/* found by its address: the process may be another one, which asks for the container */
		fputs(event->pid && strcmp(o->by, "cgroup") ? " for container " : " in container ", stdout);
		text_print(stdout, *o->container.name ? o->container.name : short_id(o, id));
		if (*o->container.name)
			printf(" (%s)", short_id(o, id));
	} else if (*o->cgroup) {
		fputs(" in ", stdout);
		text_print(stdout, o->cgroup);
	}
}

static void print_text(const struct oh_event *event, const char *when, const struct origin *o)
{
	char address[ADDRESS_TEXT_MAX], protocol[8], buffer[OH_EVENT_NAME_MAX + 1];
	const char *name = event_name(event, buffer);

	printf("%s %s %s %s ", when, event->observed ? "would refuse" : "refused",
	       reason_name(event->reason) ? reason_name(event->reason) : "?", protocol_name(event->protocol, protocol));
	if (name) {
		fputs("for ", stdout);
		text_print(stdout, name);
		putchar(' ');
	}
	if (event->hook == OH_HOOK_SOCK_CREATE || event->hook == OH_HOOK_LSM)
		fputs("socket ", stdout);
	else
		printf("to %s port %u ", address_format(&event->destination, address), event->destination_port);
	print_who(event, o);
	putchar('\n');
}

static int show(void *context, void *data, size_t size)
{
	struct reader *reader = context;
	char when[TEXT_TIME_MAX];
	struct oh_event event;
	struct origin origin;

	if (size < sizeof(event))
		return 0;
	memcpy(&event, data, sizeof(event));
	event.command[sizeof(event.command) - 1] = '\0';
	text_time(reader->boot_at + (int64_t)(event.time / 1000000000), when);
	find_origin(reader, &event, &origin);
	if (reader->json)
		print_json(&event, when, &origin);
	else
		print_text(&event, when, &origin);
	return 0;
}

/* Two readers would each get only some events: the second is refused. */
static int lock_reader(const struct guard *g, struct error *e)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/events", g->run);
	return file_try_lock(path, "another `ohguard events` is reading", e);
}

/* Reads one buffer until it ends, or another has taken its place. */
static int read_ring(struct guard *g, struct reader *reader, bool follow, bool *ret_other, struct error *e)
{
	struct ring_buffer *ring = ring_buffer__new(g->engine.map[ENGINE_EVENTS], show, reader, NULL);
	int r = (int)libbpf_get_error(ring), r_ring = 0;

	*ret_other = false;
	if (r)
		return error_set(e, -r, "the event buffer cannot be mapped: %s", strerror(-r));
	r = ring_buffer__consume(ring);
	while (r >= 0 && !r_ring && follow && !*ret_other && !stopped && !ferror(stdout)) {
		fflush(stdout);
		r = ring_buffer__poll(ring, 1000);
		if (r == -EINTR)
			r = 0;
		else if (!r)
			r_ring = engine_renew(&g->engine, g->pins, ENGINE_EVENTS, ret_other, e);
	}
	ring_buffer__free(ring);
	return r < 0 ? error_set(e, -r, "the event buffer cannot be read: %s", strerror(-r)) : r_ring;
}

static int read_events(struct guard *g, const struct cmd_options *o, bool follow, struct error *e)
{
	struct reader reader = { .json = o->json, .boot_at = clock_boot_at() };
	bool other;
	int r;

	do
		r = read_ring(g, &reader, follow, &other, e);
	while (!r && other);
	return r;
}

int cmd_events(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	int follow = 0, r, lock;
	struct oh_count lost;
	struct guard g;
	struct error e;
	struct poptOption options[] = {
		{ "follow", 'f', POPT_ARG_NONE, &follow, 0, "Wait for more and print them as they come", NULL },
		POPT_TABLEEND
	};

	r = cmd_parse(argc, argv, options, NULL, &common);
	if (r != CMD_GO_ON)
		return r;
	r = guard_open(&common.guard, &g, &e);
	if (r)
		return cmd_open_failed(r, &e);
	lock = lock_reader(&g, &e);
	if (lock < 0) {
		guard_close(&g);
		return cmd_fail(&e);
	}
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	r = read_events(&g, &common, follow, &e);
	if (!r && !engine_read_count(&g.engine, OH_COUNT_EVENTS_LOST, &lost, &e) && lost.packets)
		error_warn("%llu events were lost since the load: the buffer was full and nobody read it",
			   (unsigned long long)lost.packets);
	close(lock);
	guard_close(&g);
	return r ? cmd_open_failed(r, &e) : CMD_OK;
}
