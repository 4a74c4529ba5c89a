// SPDX-License-Identifier: MIT
#include "names/reply.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#define DNS_HEADER 12
#define DNS_QUERY_MAX 512	/* what the kernel lets be a query: OH_DNS_QUERY_MAX */
#define DNS_NAME_MAX 255
#define DNS_TRUNCATED 0x02
#define DNS_OPT 41		/* RFC 6891 */
#define DNS_OPT_HEADER 11	/* root name, type, payload size, flags, length */
#define EDE_OPTION 15		/* RFC 8914, 2 */
#define EDE_BLOCKED 15		/* RFC 8914, 4.16 */
#define EDE_BYTES 6

/* The packet that was refused, taken apart. */
struct refused {
	const uint8_t *source, *destination;	/* addresses */
	size_t address;				/* bytes of each */
	int protocol;
	const uint8_t *transport;
	size_t length;				/* from the transport header on */
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned int value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static bool parse(const uint8_t *packet, size_t length, struct refused *ret)
{
	size_t header;

	if (length && packet[0] >> 4 == 4) {
		header = (size_t)(packet[0] & 15) * 4;
		if (header < sizeof(struct iphdr) || header > length)
			return false;
		*ret = (struct refused){ packet + 12, packet + 16, 4, packet[9], packet + header, length - header };
	} else if (length >= sizeof(struct ip6_hdr) && packet[0] >> 4 == 6) {
		header = sizeof(struct ip6_hdr);
		*ret = (struct refused){ packet + 8, packet + 24, 16, packet[6], packet + header, length - header };
	} else {
		return false;
	}
	if (ret->protocol == IPPROTO_UDP)
		return ret->length >= sizeof(struct udphdr);
	return ret->protocol == IPPROTO_TCP && ret->length >= sizeof(struct tcphdr);
}

/* RFC 1071 */
static uint32_t add_words(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += get16(p + i);
	if (n & 1)
		sum += (uint32_t)p[n - 1] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Where the transport header must be written. */
static uint8_t *transport_of(struct reply_packet *p, const struct refused *r)
{
	return p->bytes + (r->address == 4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr));
}

/* Puts the IP header before `length` bytes of transport header and payload, and the checksum at `check` into them. */
static void finish(struct reply_packet *p, const struct refused *r, size_t length, size_t check)
{
	uint8_t *transport = transport_of(p, r), *ip = p->bytes;
	size_t header = (size_t)(transport - ip);
	uint32_t sum;
	uint16_t checksum;

	memset(ip, 0, header);
	if (r->address == 4) {
		ip[0] = 0x45;
		put16(ip + 2, (unsigned int)(header + length));
		ip[6] = 0x40;	/* don't fragment */
		ip[8] = 64;
		ip[9] = (uint8_t)r->protocol;
		memcpy(ip + 12, r->destination, 4);
		memcpy(ip + 16, r->source, 4);
		put16(ip + 10, fold(add_words(0, ip, header)));
	} else {
		ip[0] = 0x60;
		put16(ip + 4, (unsigned int)length);
		ip[6] = (uint8_t)r->protocol;
		ip[7] = 64;
		memcpy(ip + 8, r->destination, 16);
		memcpy(ip + 24, r->source, 16);
	}
	put16(transport + check, 0);
	sum = add_words(add_words(0, r->source, r->address), r->destination, r->address);
	sum = add_words(sum + (uint32_t)r->protocol + (uint32_t)length, transport, length);
	checksum = fold(sum);
	/* RFC 768: 0 is "none" */
	put16(transport + check, checksum || r->protocol == IPPROTO_TCP ? checksum : 0xffff);
	p->length = header + length;
}

/* Where the question of a query ends, 0: it has none that is whole. */
static size_t question_end(const uint8_t *query, size_t length)
{
	size_t at = DNS_HEADER;

	if (length < DNS_HEADER || length > DNS_QUERY_MAX || query[2] & 0x80 || get16(query + 4) != 1)
		return 0;
	while (at < length && query[at]) {
		if (query[at] > 63 || at > DNS_HEADER + DNS_NAME_MAX)
			return 0;
		at += 1 + query[at];
	}
	return at + 5 <= length ? at + 5 : 0;
}

/* The answer to a query: its length, at most EDE_BYTES more than the query's, or 0. */
static size_t make_answer(const uint8_t *query, size_t length, bool again, uint8_t *ret)
{
	size_t end = question_end(query, length), opt = end;
	bool edns;

	if (!end)
		return 0;
	if (again) {
		memcpy(ret, query, end);
		ret[2] = 0x80 | DNS_TRUNCATED | (query[2] & 0x01);
		ret[3] = 0x80;
		memset(ret + 6, 0, 6);
		return end;
	}
	edns = length >= opt + DNS_OPT_HEADER && !query[opt] && get16(query + opt + 1) == DNS_OPT &&
	       opt + DNS_OPT_HEADER + get16(query + opt + 9) == length;
	memcpy(ret, query, edns ? length : end);
	ret[2] = 0x80 | (query[2] & 0x01);	/* a response, recursion as desired */
	ret[3] = 0x80 | 3;			/* available; NXDOMAIN */
	memset(ret + 6, 0, 6);
	if (!edns)
		return end;
	put16(ret + 10, 1);
	put16(ret + opt + 9, get16(query + opt + 9) + EDE_BYTES);
	put16(ret + length, EDE_OPTION);
	put16(ret + length + 2, 2);
	put16(ret + length + 4, EDE_BLOCKED);
	return length + EDE_BYTES;
}

static bool answer_udp(const struct refused *r, bool again, struct reply *ret)
{
	struct reply_packet *p = &ret->packets[0];
	uint8_t *udp = transport_of(p, r);
	size_t header = sizeof(struct udphdr);
	size_t n = make_answer(r->transport + header, r->length - header, again, udp + header);

	if (!n)
		return false;
	memcpy(udp, r->transport + 2, 2);
	memcpy(udp + 2, r->transport, 2);
	put16(udp + 4, (unsigned int)(header + n));
	finish(p, r, header + n, 6);
	ret->count = 1;
	return true;
}

/* A TCP header towards the sender: as if the far side had taken nothing of what was refused but its SYN. Its first byte
 * is `ahead` bytes behind what the sender expects next. */
static void put_tcp(uint8_t *tcp, const struct refused *r, size_t ahead, uint8_t flags)
{
	uint32_t sequence, taken;

	memcpy(&sequence, r->transport + 8, 4);
	sequence = htonl(ntohl(sequence) + (uint32_t)ahead);
	memcpy(&taken, r->transport + 4, 4);
	taken = htonl(ntohl(taken) + !!(r->transport[13] & TH_SYN));
	memset(tcp, 0, sizeof(struct tcphdr));
	memcpy(tcp, r->transport + 2, 2);
	memcpy(tcp + 2, r->transport, 2);
	memcpy(tcp + 4, &sequence, 4);
	memcpy(tcp + 8, &taken, 4);
	tcp[12] = sizeof(struct tcphdr) / 4 << 4;
	tcp[13] = flags;
	memcpy(tcp + 14, r->transport + 14, 2);
}

/* Answers each query of the segment where all ask for one name (A and AAAA come together), and none otherwise: one of
 * another name may have been allowed. Returns the bytes of the answers. */
static size_t answer_frames(const uint8_t *payload, size_t length, uint8_t *ret)
{
	const uint8_t *first = NULL;
	size_t first_end = 0, done = 0;

	for (size_t at = 0; at < length; at += 2 + get16(payload + at)) {
		const uint8_t *query = payload + at + 2;
		size_t n = at + 2 <= length ? get16(payload + at) : 0;
		size_t end = n && at + 2 + n <= length ? question_end(query, n) : 0;

		if (!end)
			return 0;
		if (!first) {
			first = query;
			first_end = end;
		}
		/* only the type, which follows the name, may differ */
		if (end != first_end || memcmp(query + DNS_HEADER, first + DNS_HEADER, end - DNS_HEADER - 4))
			return 0;
		n = make_answer(query, n, false, ret + done + 2);
		put16(ret + done, (unsigned int)n);
		done += 2 + n;
	}
	return done;
}

static bool answer_tcp(const struct refused *r, bool name_refused, struct reply *ret)
{
	size_t header = (size_t)(r->transport[12] >> 4) * 4, n = 0;
	struct reply_packet *p = ret->packets;

	if (header < sizeof(struct tcphdr) || header > r->length || !(r->transport[13] & (TH_ACK | TH_SYN)))
		return false;
	if (name_refused && r->transport[13] & TH_ACK && r->length - header <= 2 * DNS_QUERY_MAX)
		n = answer_frames(r->transport + header, r->length - header,
				  transport_of(p, r) + sizeof(struct tcphdr));
	if (n) {
		put_tcp(transport_of(p, r), r, 0, TH_ACK | TH_PUSH);
		finish(p++, r, sizeof(struct tcphdr) + n, 16);
	}
	put_tcp(transport_of(p, r), r, n, TH_RST | TH_ACK);
	finish(p++, r, sizeof(struct tcphdr), 16);
	ret->count = (size_t)(p - ret->packets);
	return true;
}

bool reply_make(const uint8_t *packet, size_t length, enum reply_kind kind, struct reply *ret)
{
	struct refused r;

	ret->count = 0;
	if (!parse(packet, length, &r))
		return false;
	ret->family = r.address == 4 ? 4 : 6;
	if (r.protocol == IPPROTO_TCP)
		return answer_tcp(&r, kind == REPLY_NO_NAME, ret);
	return kind != REPLY_RESET && answer_udp(&r, kind == REPLY_AGAIN, ret);
}
