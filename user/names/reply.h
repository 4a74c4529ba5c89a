/* SPDX-License-Identifier: MIT */
/* The answer to a packet that was refused for its name: "no such name" to a DNS query (RFC 1035; with the extended
 * error "Blocked" of RFC 8914 where the query has EDNS), a reset to any other TCP segment (RFC 9293, 3.10.7). The
 * packet is whatever a workload made of it, so all of it is hostile input. */
#ifndef OHGUARD_REPLY_H
#define OHGUARD_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLY_PACKETS_MAX 2
#define REPLY_BYTES_MAX 2048

/* IP packets from the far side's address to the sender's, in the order in which they are to arrive. */
struct reply {
	struct reply_packet {
		uint8_t bytes[REPLY_BYTES_MAX];
		size_t length;
	} packets[REPLY_PACKETS_MAX];
	size_t count;
	int family;	/* 4 or 6 */
};

/* packet: length bytes from the IP header on. It may be cut behind its transport header. name_refused: what was refused
 * is a DNS query for a name. False where there is nothing to say. */
bool reply_make(const uint8_t *packet, size_t length, bool name_refused, struct reply *ret);

#endif
