// SPDX-License-Identifier: MIT
/* What a refused packet is answered with. The packets are a workload's, so they may say anything. */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "names/reply.h"

static const uint8_t question[] = "\6secret\7example\0\0\1\0\1";

enum { HEADER4 = 20, HEADER6 = 40, UDP = 8, TCP = 20, QUESTION = sizeof(question) - 1, QUERY = 12 + QUESTION };

static const uint8_t opt[] = { 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0 };

static struct packet {
	uint8_t bytes[1500];
	size_t length;
} packet;

static void put(const void *bytes, size_t n)
{
	memcpy(packet.bytes + packet.length, bytes, n);
	packet.length += n;
}

static void put16(unsigned int n)
{
	const uint8_t two[] = { (uint8_t)(n >> 8), (uint8_t)n };

	put(two, 2);
}

/* The addresses differ in each byte, so that a mix-up shows. */
static void start(int family, int protocol, size_t rest)
{
	uint8_t h[HEADER6] = { 0 };

	packet.length = 0;
	if (family == 4) {
		h[0] = 0x45;
		h[9] = (uint8_t)protocol;
		memcpy(h + 12, "\1\2\3\4\5\6\7\10", 8);
		put(h, HEADER4);
	} else {
		h[0] = 0x60;
		h[5] = (uint8_t)rest;
		h[6] = (uint8_t)protocol;
		for (int i = 0; i < 32; i++)
			h[8 + i] = (uint8_t)(i + 1);
		put(h, HEADER6);
	}
}

static size_t query(int type, bool edns)
{
	uint8_t head[12] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns };
	size_t before = packet.length;

	put(head, sizeof(head));
	put(question, QUESTION);
	packet.bytes[packet.length - 3] = (uint8_t)type;
	if (edns)
		put(opt, sizeof(opt));
	return packet.length - before;
}

static void udp(int family, bool edns)
{
	start(family, IPPROTO_UDP, 0);
	put16(40000);
	put16(53);
	put16(0);
	put16(0);
	query(1, edns);
}

static void tcp(int family)
{
	uint8_t h[TCP] = { 0x9c, 0x40, 0, 53, 0, 0, 0, 9, 0, 0, 0, 77, 0x50, 0x18, 1, 2 };

	start(family, IPPROTO_TCP, 0);
	put(h, sizeof(h));
}

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

/* RFC 1071 over the pseudo header and all behind the IP header: 0 where the checksum is right. */
static unsigned int sum(const struct reply_packet *p, int family)
{
	size_t header = family == 4 ? HEADER4 : HEADER6, addresses = family == 4 ? 8 : 32;
	uint32_t total = p->bytes[family == 4 ? 9 : 6] + (uint32_t)(p->length - header);

	for (size_t i = header - addresses; i < p->length; i++)
		total += i & 1 ? p->bytes[i] : (uint32_t)p->bytes[i] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total ^ 0xffff;
}

static const uint8_t *check_packet(const struct reply_packet *p, int family)
{
	size_t half = family == 4 ? 4 : 16, at = family == 4 ? 12 : 8, header = family == 4 ? HEADER4 : HEADER6;

	assert_memory_equal(p->bytes + at, packet.bytes + at + half, half);
	assert_memory_equal(p->bytes + at + half, packet.bytes + at, half);
	assert_int_equal(family == 4 ? get16(p->bytes + 2) : get16(p->bytes + 4) + HEADER6, p->length);
	assert_int_equal(sum(p, family), 0);
	assert_int_equal(get16(p->bytes + header), 53);
	assert_int_equal(get16(p->bytes + header + 2), 40000);
	return p->bytes + header;
}

/* A query is at `query`; its answer, n bytes long, at `answer`. */
static void check_answer(const uint8_t *answer, size_t n, const uint8_t *asked, bool edns)
{
	const uint8_t counts[] = { 0, 1, 0, 0, 0, 0, 0, edns };
	size_t end = QUERY;

	assert_int_equal(n, end + (edns ? sizeof(opt) + 6 : 0));
	assert_memory_equal(answer, asked, 2);
	assert_int_equal(get16(answer + 2), 0x8183);
	assert_memory_equal(answer + 4, counts, sizeof(counts));
	assert_memory_equal(answer + 12, asked + 12, end - 12);
	if (edns) {
		assert_int_equal(get16(answer + end + 9), 6);
		assert_memory_equal(answer + end + 11, "\0\17\0\2\0\17", 6);
	}
}

static void query_is_answered_as_no_such_name(void **state)
{
	struct reply r;

	(void)state;
	for (int i = 0; i < 4; i++) {
		int family = i & 1 ? 4 : 6;
		const uint8_t *at;

		udp(family, i & 2);
		assert_true(reply_make(packet.bytes, packet.length, REPLY_NO_NAME, &r));
		assert_int_equal(r.count, 1);
		assert_int_equal(r.family, family);
		at = check_packet(&r.packets[0], family);
		assert_int_equal(get16(at + 4), r.packets[0].length - (size_t)(at - r.packets[0].bytes));
		check_answer(at + UDP, get16(at + 4) - UDP, packet.bytes + (family == 4 ? HEADER4 : HEADER6) + UDP,
			     i & 2);
	}
}

static void query_over_tcp_is_answered_and_then_reset(void **state)
{
	const uint8_t *at, *end;
	struct reply r;
	size_t n;

	(void)state;
	tcp(4);
	put16(QUERY);
	query(1, false);
	put16(QUERY);
	query(28, false);
	assert_true(reply_make(packet.bytes, packet.length, REPLY_NO_NAME, &r));
	assert_int_equal(r.count, 2);
	at = check_packet(&r.packets[0], 4);
	n = 2 * (2 + QUERY);
	assert_int_equal(r.packets[0].length, HEADER4 + TCP + n);
	assert_int_equal(at[13], TH_ACK | TH_PUSH);
	assert_memory_equal(at + 4, "\0\0\0\115\0\0\0\11", 8);
	check_answer(at + TCP + 2, get16(at + TCP), packet.bytes + HEADER4 + TCP + 2, false);
	end = check_packet(&r.packets[1], 4);
	assert_int_equal(end[13], TH_RST | TH_ACK);
	assert_int_equal(get16(end + 6), 77 + n);
	assert_int_equal(get16(end + 10), 9);
}

static void queries_for_two_names_are_only_reset(void **state)
{
	struct reply r;

	(void)state;
	tcp(4);
	put16(QUERY);
	query(1, false);
	put16(QUERY);
	query(1, false);
	packet.bytes[packet.length - 10] ^= 1;
	assert_true(reply_make(packet.bytes, packet.length, REPLY_NO_NAME, &r));
	assert_int_equal(r.count, 1);
	assert_int_equal(check_packet(&r.packets[0], 4)[13], TH_RST | TH_ACK);
}

static void other_segment_is_reset(void **state)
{
	struct reply r;

	(void)state;
	for (int i = 0; i < 2; i++) {
		tcp(i ? 6 : 4);
		put("\26\3\1 a hello", 10);
		assert_true(reply_make(packet.bytes, packet.length, REPLY_RESET, &r));
		assert_int_equal(r.count, 1);
		assert_memory_equal(check_packet(&r.packets[0], r.family) + 4, "\0\0\0\115\0\0\0\11", 8);
	}
}

/* With its SYN acknowledged: otherwise a socket that connects would not take it for its own. */
static void first_segment_is_reset(void **state)
{
	struct reply r;

	(void)state;
	for (int i = 0; i < 2; i++) {
		tcp(i ? 6 : 4);
		memset(packet.bytes + packet.length - TCP + 8, 0, 4);
		packet.bytes[packet.length - TCP + 13] = TH_SYN;
		assert_true(reply_make(packet.bytes, packet.length, REPLY_RESET, &r));
		assert_int_equal(r.count, 1);
		assert_memory_equal(check_packet(&r.packets[0], r.family) + 4, "\0\0\0\0\0\0\0\12", 8);
		assert_int_equal(check_packet(&r.packets[0], r.family)[13], TH_RST | TH_ACK);
	}
}

/* Over TCP: with nothing in it but the question, and marked as truncated (RFC 1035, 4.1.1). */
static void query_that_may_leave_now_is_asked_for_again(void **state)
{
	static const uint8_t counts[] = { 0, 1, 0, 0, 0, 0, 0, 0 };
	struct reply r;

	(void)state;
	for (int i = 0; i < 4; i++) {
		int family = i & 1 ? 4 : 6;
		const uint8_t *dns;

		udp(family, i & 2);
		assert_true(reply_make(packet.bytes, packet.length, REPLY_AGAIN, &r));
		assert_int_equal(r.count, 1);
		dns = check_packet(&r.packets[0], family) + UDP;
		assert_int_equal(r.packets[0].length - (size_t)(dns - r.packets[0].bytes), QUERY);
		assert_int_equal(get16(dns), 0x1234);
		assert_int_equal(get16(dns + 2), 0x8380);
		assert_memory_equal(dns + 4, counts, sizeof(counts));
		assert_memory_equal(dns + 12, question, QUESTION);
	}
}

/* Each beginning, and each byte changed: within bounds (the tests run under valgrind and sanitizers too), and never
 * longer than what was asked with what EDNS adds. */
static void hostile_packets_are_answered_shortly_or_not_at_all(void **state)
{
	struct reply r;

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		struct packet whole;

		if (kind < 2) {
			udp(kind ? 6 : 4, true);
		} else {
			tcp(kind == 2 ? 4 : 6);
			put16(QUERY + sizeof(opt));
			query(1, true);
		}
		whole = packet;
		for (size_t n = 0; n <= whole.length; n++) {
			uint8_t *copy = malloc(n ? n : 1);

			for (int change = 0; change < 256; change += n == whole.length ? 1 : 256) {
				for (size_t at = 0; at < (change ? n : 1); at++) {
					memcpy(copy, whole.bytes, n);
					if (n)
						copy[at] ^= (uint8_t)change;
					if (!reply_make(copy, n, REPLY_NO_NAME, &r))
						continue;
					for (size_t i = 0; i < r.count; i++)
						assert_in_range(r.packets[i].length, 1, n + 6 + TCP);
				}
			}
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_is_answered_as_no_such_name),
		cmocka_unit_test(query_over_tcp_is_answered_and_then_reset),
		cmocka_unit_test(queries_for_two_names_are_only_reset),
		cmocka_unit_test(other_segment_is_reset),
		cmocka_unit_test(first_segment_is_reset),
		cmocka_unit_test(query_that_may_leave_now_is_asked_for_again),
		cmocka_unit_test(hostile_packets_are_answered_shortly_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
