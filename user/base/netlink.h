/* SPDX-License-Identifier: MIT */
/* What the kernel tells by netlink: dumps of its routing tables, and the attributes of a message. */
#ifndef OHGUARD_NETLINK_H
#define OHGUARD_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* An attribute among those that fill size bytes, or NULL; its content's size in *ret_size. */
const void *netlink_find(const void *from, size_t size, int type, size_t *ret_size);
/* An attribute's number, 0: there is none. */
uint32_t netlink_number(const void *from, size_t size, int type);

/* One entry of a dump: the structure at its head, and the attributes behind that. */
typedef void netlink_take(const void *head, const void *attributes, size_t size, void *context);

/* Asks NETLINK_ROUTE for all that a request (RTM_GETLINK, ...) selects, and calls back with each entry of that kind.
 * head is the request's structure, which the entries begin with too. Where things changed meanwhile it asks anew: an
 * entry may come twice. */
int netlink_dump(int request, const void *head, size_t head_size, netlink_take *take, void *context, struct error *e);

#endif
