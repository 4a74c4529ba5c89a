/* SPDX-License-Identifier: MIT */
/* Builds packets from designated fields: honest ones, and ones whose headers lie. */
#ifndef OHGUARD_TEST_PACKET_H
#define OHGUARD_TEST_PACKET_H

#include <arpa/inet.h>
#include <ohguard/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ETHERNET 14
#define PACKET_MAX 3200		/* a page, less what the kernel keeps for itself */

enum { ICMP = 1, TCP = 6, UDP = 17, ICMPV6 = 58 };
enum { FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10, ECE = 0x40, CWR = 0x80 };
enum { ETH_IP4 = 0x0800, ETH_IP6 = 0x86dd };

/* Zero is honest, and the usual. */
struct packet {
	const char *from, *to;		/* the family is that of `to`; NULL: THIS_4 or THIS_6 */
	uint8_t protocol;
	uint8_t hop_limit;		/* 0: 64 */
	uint16_t source_port, port;
	uint8_t flags;			/* of TCP */
	uint8_t type, code;		/* of ICMP */
	size_t payload;			/* bytes behind the last header; DNS and NTP bring their own */

	const char *options;		/* IPv4 options in hex, padded with zeroes to four bytes */
	/* IPv6 extension headers of 8 bytes, a letter each: H hop-by-hop, D destination, 0 2 4 routing header of that
	 * type, A authentication, N no next header, and of fragment headers: a atomic, f first, l later */
	const char *chain;
	uint8_t chain_length;		/* the length byte of the last one of them, in 8 bytes behind the first 8 */

	uint16_t ethertype;
	uint8_t version;		/* of the IP header */
	uint8_t header;			/* IPv4 header length in words, 16 + n */
	uint8_t offset;			/* TCP header length in words, 16 + n */
	int length;			/* added to the true IPv4 total or IPv6 payload length */
	bool length_zero;
	int udp_length;			/* added to the true one */
	uint16_t fragment;		/* IPv4 flags and offset */
	size_t keep;			/* cut the packet after so many bytes of IP, and let its lengths say so ... */
	bool keep_lengths;		/* ... or not */
	size_t behind;			/* bytes behind the packet that no length counts */
};

#define THIS_4 "10.0.1.10"
#define OTHER_4 "10.0.1.77"	/* of the same device */
#define THIS_6 "2001:db8:ffff::10"
#define TEST_SOURCE_PORT 40000

struct frame {
	uint8_t byte[ETHERNET + PACKET_MAX];
	size_t length;		/* with the Ethernet header */
	size_t headers;		/* of IP: length up to where the payload begins */
	/* What an event should say where all of it could be read: */
	struct oh_address source, destination;
	uint16_t source_port, destination_port;
	uint8_t protocol;
};

/* A query for api.openai.com, type A, recursion desired. */
static const uint8_t dns_query[] = {
	0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'a', 'p', 'i', 6, 'o', 'p', 'e', 'n', 'a', 'i', 3, 'c', 'o',
	'm', 0, 0, 1, 0, 1,
};
/* RFC 5905: version 4, client, all else zero but for the transmit timestamp, which a client may set to anything. */
static const uint8_t ntp_request[48] = { 0x23 };

static inline struct oh_address packet_address(const char *text)
{
	struct oh_address a = { .byte = { [10] = 0xff, 0xff } };

	if (inet_pton(AF_INET, text, a.byte + 12) != 1 && inet_pton(AF_INET6, text, a.byte) != 1)
		abort();
	return a;
}

static inline void put16(uint8_t *to, unsigned int value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static inline size_t put_hex(uint8_t *to, const char *hex)
{
	size_t n = 0;

	while (*hex) {
		const char pair[3] = { hex[0], hex[1], 0 };

		to[n++] = (uint8_t)strtoul(pair, NULL, 16);
		hex += hex[2] == ' ' ? 3 : 2;
	}
	return n;
}

static inline uint8_t chain_protocol(char letter)
{
	switch (letter) {
	case 'H':
		return 0;
	case 'D':
		return 60;
	case 'A':
		return 51;
	case 'N':
		return 59;
	case 'a':
	case 'f':
	case 'l':
		return 44;
	}
	return 43;
}

static inline size_t put_chain(uint8_t *to, const struct packet *p)
{
	size_t n = p->chain ? strlen(p->chain) : 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t *h = to + i * 8, kind = chain_protocol(p->chain[i]);

		h[0] = i + 1 < n ? chain_protocol(p->chain[i + 1]) : p->protocol;
		if (i + 1 == n)
			h[1] = p->chain_length;
		if (kind == 0 || kind == 60)
			put_hex(h + 2, "0104");		/* PadN over the rest */
		if (kind == 43)
			h[2] = (uint8_t)(p->chain[i] - '0');
		if (p->chain[i] == 'f')
			put16(h + 2, 1);		/* offset 0, more to come */
		if (p->chain[i] == 'l')
			put16(h + 2, 185 << 3);
	}
	return n * 8;
}

static inline size_t put_payload(uint8_t *to, const struct packet *p)
{
	if (p->port == 53 && !p->payload) {
		size_t prefix = p->protocol == TCP ? 2 : 0;

		if (p->protocol == TCP && p->flags != (PSH | ACK))
			return 0;
		put16(to, sizeof(dns_query));
		memcpy(to + prefix, dns_query, sizeof(dns_query));
		return prefix + sizeof(dns_query);
	}
	if (p->port == 123 && p->protocol == UDP && !p->payload) {
		memcpy(to, ntp_request, sizeof(ntp_request));
		return sizeof(ntp_request);
	}
	return p->payload;
}

/* The TCP, UDP or ICMP header, and what follows it. */
static inline size_t put_upper(uint8_t *to, const struct packet *p, size_t room)
{
	unsigned int source_port = p->source_port ? p->source_port : TEST_SOURCE_PORT;
	size_t n = 0;

	if (p->protocol == TCP) {
		put16(to, source_port);
		put16(to + 2, p->port);
		to[12] = p->offset ? (uint8_t)((p->offset & 15) << 4) : 0x50;
		to[13] = p->flags;
		n = 20 + put_payload(to + 20, p);
	} else if (p->protocol == UDP) {
		put16(to, source_port);
		put16(to + 2, p->port);
		n = 8 + put_payload(to + 8, p);
		put16(to + 4, (unsigned int)((int)(room < n ? room : n) + p->udp_length));
	} else if (p->protocol == ICMP || p->protocol == ICMPV6) {
		to[0] = p->type;
		to[1] = p->code;
		n = 8 + p->payload;
	} else {
		n = p->payload;
	}
	return n;
}

static inline size_t put_ip4(uint8_t *ip, const struct packet *p, const struct frame *f, size_t *ret_headers)
{
	size_t options = p->options ? (put_hex(ip + 20, p->options) + 3) & ~(size_t)3 : 0, header = 20 + options;
	size_t room = p->keep && !p->keep_lengths ? (p->keep > header ? p->keep - header : 0) : PACKET_MAX;
	size_t total = header + put_upper(ip + header, p, room);

	ip[0] = (uint8_t)((p->version ? p->version : 4) << 4 | (p->header ? p->header & 15 : header / 4));
	put16(ip + 2, (unsigned int)((int)(p->keep && !p->keep_lengths ? p->keep : total) + p->length));
	if (p->length_zero)
		put16(ip + 2, 0);
	put16(ip + 6, p->fragment);
	ip[8] = p->hop_limit ? p->hop_limit : 64;
	ip[9] = p->protocol;
	memcpy(ip + 12, f->source.byte + 12, 4);
	memcpy(ip + 16, f->destination.byte + 12, 4);
	*ret_headers = header;
	return total;
}

static inline size_t put_ip6(uint8_t *ip, const struct packet *p, const struct frame *f, size_t *ret_headers)
{
	size_t header = 40 + put_chain(ip + 40, p);
	size_t room = p->keep && !p->keep_lengths ? (p->keep > header ? p->keep - header : 0) : PACKET_MAX;
	size_t total = header + put_upper(ip + header, p, room);
	int kept = p->keep && !p->keep_lengths ? (int)p->keep : (int)total;

	ip[0] = (uint8_t)((p->version ? p->version : 6) << 4);
	put16(ip + 4, (unsigned int)((kept > 40 ? kept - 40 : 0) + p->length));
	if (p->length_zero)
		put16(ip + 4, 0);
	ip[6] = p->chain && *p->chain ? chain_protocol(*p->chain) : p->protocol;
	ip[7] = p->hop_limit ? p->hop_limit : 64;
	memcpy(ip + 8, f->source.byte, 16);
	memcpy(ip + 24, f->destination.byte, 16);
	*ret_headers = header;
	return total;
}

static inline void packet_build(const struct packet *p, struct frame *f)
{
	bool six = strchr(p->to, ':');
	uint8_t *ip = f->byte + ETHERNET;
	size_t total;

	memset(f, 0, sizeof(*f));
	f->source = packet_address(p->from ? p->from : six ? THIS_6 : THIS_4);
	f->destination = packet_address(p->to);
	f->protocol = p->protocol;
	if (p->protocol == TCP || p->protocol == UDP) {
		f->source_port = p->source_port ? p->source_port : TEST_SOURCE_PORT;
		f->destination_port = p->port;
	}
	put16(f->byte + 12, p->ethertype ? p->ethertype : six ? ETH_IP6 : ETH_IP4);
	total = six ? put_ip6(ip, p, f, &f->headers) : put_ip4(ip, p, f, &f->headers);
	if (p->keep && p->keep < total)
		total = p->keep;
	f->length = ETHERNET + total + p->behind;
}

#endif
