/* SPDX-License-Identifier: MIT */
/* The answer to a packet that was refused for its name: "no such name" to a DNS query (RFC 1035; if it has EDNS, with
 * the extended error "Blocked" of RFC 8914), a reset to any other TCP segment (RFC 9293, 3.10.7). A workload made the
 * packet, so all of it is hostile input. */
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

enum reply_kind {
	REPLY_RESET,
	REPLY_NO_NAME,	/* it is a DNS query that was refused for its name */
	REPLY_AGAIN,	/* it is one over UDP that may leave now: truncated, so that the program asks over TCP */
};

/* packet: length bytes from the IP header on. It may be cut after its transport header. False if there is nothing to
 * say. */
bool reply_make(const uint8_t *packet, size_t length, enum reply_kind kind, struct reply *ret);

#endif
