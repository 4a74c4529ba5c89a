/* SPDX-License-Identifier: MIT */
/* What the kernel tells by netlink: dumps of its routing tables and of sockets, and the attributes of a message. */
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

/* One entry of a dump: the structure at its head, and the attributes after it. */
typedef void netlink_take(const void *head, const void *attributes, size_t size, void *context);

/* Asks NETLINK_ROUTE for all that a request (RTM_GETLINK, ...) selects, and calls take() with each entry of that kind.
 * head is the request's structure; the entries begin with one too. If anything changes meanwhile it asks again:
 * an entry may come twice. */
int netlink_dump(int request, const void *head, size_t head_size, netlink_take *take, void *context, struct error *e);

/* Asks NETLINK_SOCK_DIAG of this network namespace for all sockets that a request selects: struct inet_diag_req_v2 and
 * its attributes, size bytes in all. Each entry begins with a struct inet_diag_msg (linux/inet_diag.h).
 * -ENOENT: the kernel has no such sockets. */
int netlink_sockets(const void *request, size_t size, netlink_take *take, void *context, struct error *e);

#endif
