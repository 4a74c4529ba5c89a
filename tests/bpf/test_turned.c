// SPDX-License-Identifier: MIT
/* A frame that an uplink's program refuses for its name and turns into its answer: what it says, compared with what
 * `ohguard serve` says to the same query, and that every checksum and length in it is right. */
#include "names/reply.h"
#include "table.h"

#define RESOLVER_4 "10.0.0.2"
#define RESOLVER_6 "2001:db8:1::53"
#define REDIRECTED 7		/* TC_ACT_REDIRECT */

enum { T_DNS = 1 };

static struct lab lab;

static const struct query {
	const char *what, *name;	/* the name in hex, as on the wire */
	const char *edns;		/* what follows the question, in hex; "": nothing */
} queries[] = {
	{ "no EDNS", "03626164 0474657374 00", "" },
	{ "no EDNS, one byte more", "0462616432 0474657374 00", "" },
	{ "EDNS", "03626164 0474657374 00", "00 0029 04d0 0000 0000 0000" },
	{ "EDNS, one byte more", "0462616432 0474657374 00", "00 0029 04d0 0000 8000 0000" },
	{ "a cookie", "03626164 0474657374 00", "00 0029 04d0 0000 0000 000c 000a 0008 0102030405060708" },
	{ "a cookie, one byte more", "0462616432 0474657374 00",
	  "00 0029 04d0 0000 0000 000c 000a 0008 0102030405060708" },
	{ "padding of an odd length", "03626164 0474657374 00", "00 0029 04d0 0000 0000 0005 000c 0001 00" },
	{ "padding of an odd length, one byte more", "0462616432 0474657374 00",
	  "00 0029 04d0 0000 0000 0005 000c 0001 00" },
	/* 250 bytes of options: the low byte of their length carries */
	{ "a carry in the length", "03626164 0474657374 00", "00 0029 04d0 0000 0000 00fe 000c 00fa" },
	{ "a carry in the length, one byte more", "0462616432 0474657374 00",
	  "00 0029 04d0 0000 0000 00fe 000c 00fa" },
};
#define QUERIES (sizeof(queries) / sizeof(*queries))

static uint32_t add_words(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static unsigned int fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

/* The sum over the transport header, payload and pseudo header: 0xffff where the checksum in it is right. */
static unsigned int transport_sum(const uint8_t *ip, size_t length, bool six)
{
	size_t header = six ? 40 : 20;
	uint32_t sum = add_words(ip[six ? 6 : 9], ip + (six ? 8 : 12), six ? 32 : 8);

	return fold(add_words(sum + (uint32_t)(length - header), ip + header, length - header));
}

static void put_checksums(struct frame *f, bool six)
{
	uint8_t *ip = f->byte + ETHERNET;

	memcpy(f->byte, "\2\1\1\1\1\1\2\2\2\2\2\2", 12);
	put16(ip + f->headers + (f->protocol == TCP ? 16 : 6), 0xffff ^ transport_sum(ip, f->length - ETHERNET, six));
	if (!six)
		put16(ip + 10, 0xffff ^ fold(add_words(0, ip, 20)));
}

/* Lengths and checksums, and that it goes back where the frame came from. */
static void assert_is_sound(const char *what, const uint8_t *frame, size_t length, bool six)
{
	const uint8_t *ip = frame + ETHERNET;

	assert_memory_equal(frame, "\2\2\2\2\2\2\2\1\1\1\1\1", 12);
	assert_int_equal(get16(ip + (six ? 4 : 2)), length - (six ? 40 : 0));
	if (transport_sum(ip, length, six) != 0xffff || (!six && fold(add_words(0, ip, 20)) != 0xffff))
		fail_msg("%s (IPv%d): a checksum is wrong", what, six ? 6 : 4);
}

/* What the program made of the frame; its length with the Ethernet header. */
static size_t turn(const struct frame *f, uint8_t *ret, size_t room)
{
	struct __sk_buff context = { .ifindex = lab.device };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f->byte, .data_size_in = (__u32)f->length,
			    .data_out = ret, .data_size_out = (__u32)room, .ctx_in = &context,
			    .ctx_size_in = sizeof(context), .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(engine_program(lab.set, OH_HOOK_UPLINK_EGRESS), &options), 0);
	assert_int_equal((int)options.retval, REDIRECTED);
	return options.data_size_out;
}

static void build(const struct query *q, bool six, struct frame *f)
{
	struct packet packet = { .to = six ? RESOLVER_6 : RESOLVER_4, .protocol = UDP, .port = 53 };
	uint8_t message[OH_REFUSED_PACKET_MAX] = { 0 }, *opt;

	memcpy(message, dns_query, 12);
	message[11] = *q->edns ? 1 : 0;
	opt = message + 12 + put_hex(message + 12, q->name);
	opt += put_hex(opt, "0001 0001");
	packet.payload = (size_t)(opt - message);
	if (put_hex(opt, q->edns))
		packet.payload += 11 + get16(opt + 9);	/* options that are not written down are zero */
	packet_build(&packet, f);
	memcpy(f->byte + ETHERNET + f->headers + 8, message, packet.payload);
	put_checksums(f, six);
}

static void compare(const struct query *q, bool six)
{
	uint8_t out[ETHERNET + 1024], *ip = out + ETHERNET;
	struct reply reply;
	struct frame f;
	size_t length, header = six ? 40 : 20;
	const uint8_t *told = reply.packets[0].bytes;

	build(q, six, &f);
	length = turn(&f, out, sizeof(out)) - ETHERNET;
	assert_true(reply_make(f.byte + ETHERNET, f.length - ETHERNET, true, &reply));
	if (length != reply.packets[0].length || memcmp(ip + header + 8, told + header + 8, length - header - 8))
		fail_msg("%s (IPv%d): %zu bytes, and serve says %zu", q->what, six ? 6 : 4, length,
			 reply.packets[0].length);
	assert_memory_equal(ip + (six ? 8 : 12), told + (six ? 8 : 12), six ? 32 : 8);
	assert_memory_equal(ip + header, told + header, 6);	/* ports, UDP's length */
	assert_is_sound(q->what, out, length, six);
}

/* A forwarded connection to the resolver, of which nothing has been sent yet. */
static void put_flow(const struct frame *f)
{
	const struct oh_flow_key key = { .remote = f->destination, .local = f->source, .protocol = TCP,
					 .remote_port = f->destination_port, .local_port = f->source_port };
	const struct oh_connection flow = { .to = key.remote, .port = 53, .admitted = 1, .look = OH_LOOK_QUERIES,
					    .target = T_DNS, .generation = 7 };

	lab_set(&lab, ENGINE_FLOWS, &key, &flow);
}

static void segment_is_reset_as_serve_resets_it(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		const struct packet packet = { .to = six ? RESOLVER_6 : RESOLVER_4, .protocol = TCP, .port = 53,
					       .flags = PSH | ACK };	/* for api.openai.com */
		uint8_t out[ETHERNET + 1024];
		size_t header = six ? 40 : 20;
		struct reply reply;
		struct frame f;

		packet_build(&packet, &f);
		put16(f.byte + ETHERNET + f.headers + 14, 0x1234);	/* its window */
		put_checksums(&f, six);
		put_flow(&f);
		assert_int_equal(turn(&f, out, sizeof(out)), ETHERNET + header + 20);
		assert_true(reply_make(f.byte + ETHERNET, f.length - ETHERNET, false, &reply));
		assert_memory_equal(out + ETHERNET + header, reply.packets[0].bytes + header, 20);
		assert_is_sound("a reset", out, header + 20, six);
	}
}

static void query_is_answered_as_serve_answers_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < QUERIES; i++) {
		compare(&queries[i], false);
		compare(&queries[i], true);
	}
}

static int start(void **state)
{
	const struct config c = { .max_addresses = 1024, .uplinks = { "eth0" }, .uplink_count = 1, .inspect = true,
				  .answer = true };
	const struct oh_entry entry = { .grant[0] = { .expires = OH_FOREVER, .target = T_DNS, .generation = 7,
						      .port = 53, .service = OH_SERVICE_DNS } };
	const struct oh_address four = packet_address(RESOLVER_4), six = packet_address(RESOLVER_6);

	*state = &lab;
	table_lab(&lab, &c, false);
	lab_ready(&lab, true);
	lab_target(&lab, T_DNS, 7, OH_FOREVER);
	lab_set(&lab, ENGINE_ADDRESSES, &four, &entry);
	lab_set(&lab, ENGINE_ADDRESSES, &six, &entry);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_is_answered_as_serve_answers_it),
		cmocka_unit_test(segment_is_reset_as_serve_resets_it),
	};

	return run_as_root(tests, start, lab_stop_group);
}
