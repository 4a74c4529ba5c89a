/* SPDX-License-Identifier: MIT */
/* Where a packet came from before NAT gave it another source. */
#ifndef OHGUARD_CONNTRACK_H
#define OHGUARD_CONNTRACK_H

#include <ohguard/abi.h>
#include <stdbool.h>

/* Asks the kernel's connection table of this network namespace for a TCP or UDP flow as it stood on the wire. False
 * where there is no such flow (any more), and where the source is what it was. */
bool conntrack_source(const struct oh_event *event, struct oh_address *ret);

#endif
