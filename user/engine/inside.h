/* SPDX-License-Identifier: MIT */
/* What stays on this machine ([guard] local): the networks behind bridges that have no way out, and this machine's own
 * addresses as containers ask them. The kernel's side: bpf/decide/inside.h. */
#ifndef OHGUARD_INSIDE_H
#define OHGUARD_INSIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

/* A network, or an own address (index 0, prefix 128). */
struct inside_network {
	struct oh_range range;
	unsigned int index;	/* of its bridge */
};

struct inside {
	struct inside_network *list;
	size_t count;
	unsigned int bridges[OH_BRIDGES_MAX];
	size_t bridge_count;
};

/* Looks at interfaces, addresses and routes as they are now. within: only what lies in one of these ranges, count 0:
 * all. A bridge leads to nothing else if its ports are veths, taps and dummies alone, no route goes on by a gateway
 * behind it, and it is no uplink. Of its networks those are left out that a route, or the network of another
 * interface, has too. Free with inside_free(). */
int inside_find(const struct engine *engine, const struct oh_range *within, size_t count, struct inside *ret,
		struct error *e);
void inside_free(struct inside *inside);

/* Makes the kernel know exactly that, or nothing where the settings say none. */
int inside_publish(const struct engine *engine, const struct oh_range *within, size_t count, struct error *e);

/* What the kernel knows now, for `status`. Free with inside_free(). */
int inside_read(const struct engine *engine, struct inside *ret, struct error *e);

#endif
