/* SPDX-License-Identifier: MIT */
/* The source of a packet before NAT. */
#ifndef OHGUARD_CONNTRACK_H
#define OHGUARD_CONNTRACK_H

#include <ohguard/abi.h>
#include <stdbool.h>

/* Looks up a TCP or UDP flow, as seen on the wire, in the connection table of this network namespace. False if there
 * is no such flow (any more), or if its source was not changed. */
bool conntrack_source(const struct oh_event *event, struct oh_address *ret);

#endif
