// SPDX-License-Identifier: MIT
/* The programs of an uplink, by designated frames: what leaves without a socket, what comes in, and what each leaves
 * behind in counters, events and flows. */
#include "policy/address.h"
#include "table.h"

#define API_4 "203.0.113.10"
#define API_6 "2001:db8:10::10"
#define STALE_4 "203.0.113.11"		/* its time is over */
#define EVIL_4 "203.0.113.66"
#define EVIL_6 "2001:db8:66::66"
#define RESOLVER_4 "10.0.0.2"
#define ADMIN_4 "10.1.2.3"
#define ADMIN_6 "fd01::3"

enum { T_API = 1, T_DNS, T_DEAD };
#define PASSES OH_NONE

static struct lab lab, observing;

struct way {
	const char *name;
	struct packet packet;
	enum oh_reason reason;		/* PASSES, or why it is refused */
	enum oh_reason forwarded;	/* the same where it came in by another interface; egress only */
};

static void put_address(const struct lab *l, const char *text, struct oh_grant g)
{
	const struct oh_address a = packet_address(text);
	struct oh_entry entry = { .grant[0] = g };

	entry.grant[0].generation = 7;
	lab_set(l, ENGINE_ADDRESSES, &a, &entry);
}

static void put_flow(const struct lab *l, const char *remote, __u16 remote_port, const char *local, __u16 local_port,
		     __u8 protocol, __u32 target, __u32 generation)
{
	const struct oh_flow_key key = { .remote = packet_address(remote), .local = packet_address(local),
					 .remote_port = remote_port, .local_port = local_port, .protocol = protocol };
	const struct oh_connection flow = { .to = key.remote, .port = remote_port, .admitted = 1, .target = target,
					    .generation = generation };

	lab_set(l, ENGINE_FLOWS, &key, &flow);
}

static bool has_flow(const char *remote, __u16 remote_port, const char *local, __u8 protocol, struct oh_connection *ret)
{
	const struct oh_flow_key key = { .remote = packet_address(remote), .local = packet_address(local),
					 .remote_port = remote_port, .local_port = TEST_SOURCE_PORT,
					 	.protocol = protocol };

	return !bpf_map_lookup_elem(lab.engine.map[ENGINE_FLOWS], &key, ret);
}

static void fill(struct lab *l, bool observe)
{
	struct config c = { .max_addresses = 1024, .uplinks = { "eth0" }, .uplink_count = 1, .inbound_count = 2,
			    .xdp = true };

	c.inbound[0] = (struct oh_inbound){ .address = packet_address(ADMIN_4), .port = 22 };
	c.inbound[1] = (struct oh_inbound){ .address = packet_address(ADMIN_6), .port = 22 };
	memset(&c.inbound[0].mask, 0xff, sizeof(c.inbound[0].mask));
	memset(&c.inbound[1].mask, 0xff, sizeof(c.inbound[1].mask));
	table_lab(l, &c, observe);
	lab_ready(l, true);
	lab_target(l, T_API, 7, OH_FOREVER);
	lab_target(l, T_DNS, 7, OH_FOREVER);
	lab_target(l, T_DEAD, 8, OH_FOREVER);
	put_address(l, API_4, (struct oh_grant){ .expires = OH_FOREVER, .target = T_API, .port = 443,
						   .service = OH_SERVICE_TCP });
	put_address(l, API_6, (struct oh_grant){ .expires = OH_FOREVER, .target = T_API, .port = 443,
						   .service = OH_SERVICE_TCP });
	put_address(l, STALE_4, (struct oh_grant){ .expires = 1, .target = T_API, .port = 443,
						   .service = OH_SERVICE_TCP });
	put_address(l, RESOLVER_4, (struct oh_grant){ .expires = OH_FOREVER, .target = T_DNS, .port = 53,
						   .service = OH_SERVICE_DNS });
	put_flow(l, STALE_4, 443, THIS_4, TEST_SOURCE_PORT, TCP, T_API, 7);
	put_flow(l, STALE_4, 443, THIS_4, 40001, TCP, T_DEAD, 7);
	put_flow(l, API_6, 443, THIS_6, 40001, TCP, T_API, 7);
	put_flow(l, RESOLVER_4, 53, THIS_4, 40001, UDP, T_DNS, 7);
}

/* Runs a frame through a hook's program: what it returned, or a negative errno. */
static int run(struct lab *l, enum oh_hook hook, const struct frame *f, bool forwarded, struct outcome *o)
{
	struct oh_count before[OH_COUNTS];
	struct __sk_buff context = { .ifindex = l->device, .ingress_ifindex = forwarded ? l->device : 0 };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f->byte, .data_size_in = (__u32)f->length,
		.repeat = 1);

	if (hook != OH_HOOK_INBOUND) {
		options.ctx_in = &context;
		options.ctx_size_in = sizeof(context);
	}
	lab_read_counts(l, before);
	told_forget(&l->engine);
	l->events = 0;
	if (bpf_prog_test_run_opts(engine_program(l->set, hook), &options))
		return -errno;
	lab_read_counts(l, o->counted);
	for (int i = 0; i < OH_COUNTS; i++)
		o->counted[i].packets -= before[i].packets;
	packets_judged++;
	return ring_buffer__consume(l->ring) < 0 ? -EPROTO : (int)options.retval;
}

static bool check(struct lab *l, const char *name, enum oh_hook hook, const struct frame *f, bool forwarded,
		  enum oh_reason reason)
{
	bool xdp = hook == OH_HOOK_INBOUND, inbound = xdp || hook == OH_HOOK_UPLINK_INGRESS;
	bool drop = reason && l != &observing;
	int pass = xdp ? 2 /* XDP_PASS */ : -1, got;
	struct outcome o;

	got = run(l, hook, f, forwarded, &o);
	if (got != (drop ? xdp ? 1 : 2 : pass))
		return table_fail(name, f, forwarded ? "forwarded, verdict" : "verdict", got,
			drop ? xdp ? 1 : 2 : pass);
	for (unsigned int i = OH_REASON_FIRST_REFUSAL; i < OH_REASON_MAX; i++) {
		unsigned int counter = i + (l == &observing ? OH_COUNT_OBSERVED : 0);

		if (o.counted[counter].packets != (i == (unsigned int)reason))
			return table_fail(name, f, reason_name(i) ? reason_name(i) : "a counter",
				(long long)o.counted[counter].packets, i == (unsigned int)reason);
	}
	if (l->events && (!reason || l->event.hook != hook || l->event.reason != reason))
		return table_fail(name, f, "event", l->event.reason, reason);
	if (!inbound && l->events != !!reason)
		return table_fail(name, f, "events", l->events, !!reason);
	return true;
}

static const struct way egress[] = {
	{ "allowed", { .to = API_4, .protocol = TCP, .port = 443, .flags = SYN } },
	{ "allowed", { .to = API_6, .protocol = TCP, .port = 443, .flags = SYN } },
	{ "another address", { .to = EVIL_4, .protocol = TCP, .port = 443, .flags = SYN }, OH_ADDRESS_NOT_ALLOWED,
		OH_FORWARDED },
	{ "another address", { .to = EVIL_6, .protocol = TCP, .port = 443, .flags = SYN }, OH_ADDRESS_NOT_ALLOWED,
		OH_FORWARDED },
	{ "another port", { .to = API_4, .protocol = TCP, .port = 80, .flags = SYN }, OH_PORT_NOT_ALLOWED,
		OH_FORWARDED },
	{ "udp", { .to = API_4, .protocol = UDP, .port = 443 }, OH_PROTOCOL_NOT_ALLOWED, OH_FORWARDED },
	{ "icmp", { .to = API_4, .protocol = ICMP, .type = 8 }, OH_PROTOCOL_NOT_ALLOWED, OH_FORWARDED },
	{ "ipip", { .to = API_4, .protocol = 4, .payload = 40 }, OH_PROTOCOL_NOT_ALLOWED, OH_FORWARDED },
	{ "resolver", { .to = RESOLVER_4, .protocol = UDP, .port = 53 } },
	{ "another resolver", { .to = EVIL_4, .protocol = UDP, .port = 53 }, OH_DNS_RESOLVER_NOT_ALLOWED,
	  OH_DNS_RESOLVER_NOT_ALLOWED },
	{ "metadata", { .to = "169.254.169.254", .protocol = TCP, .port = 80, .flags = SYN }, OH_METADATA_SERVICE,
	  OH_METADATA_SERVICE },
	{ "a pod's credentials", { .to = "fd00:ec2::23", .protocol = TCP, .port = 80, .flags = SYN },
	  OH_METADATA_SERVICE, OH_METADATA_SERVICE },
	{ "dhcp is the host's need alone",
		{ .to = "10.0.0.1", .protocol = UDP, .source_port = 68, .port = 67, .payload = 300 },
	  PASSES, OH_FORWARDED },
	{ "reply on an inbound rule",
		{ .to = ADMIN_4, .protocol = TCP, .source_port = 22, .port = 50000, .flags = SYN | ACK } },
	{ "SYN from an inbound port",
		{ .to = ADMIN_4, .protocol = TCP, .source_port = 22, .port = 50000, .flags = SYN },
	  OH_ADDRESS_NOT_ALLOWED, OH_FORWARDED },
	{ "flow outlives its address",
		{ .to = STALE_4, .protocol = TCP, .port = 443, .flags = PSH | ACK, .payload = 9 } },
	{ "but not a new one", { .to = STALE_4, .protocol = TCP, .port = 443, .flags = SYN }, OH_ADDRESS_EXPIRED,
		OH_FORWARDED },
	{ "flow ends with its target",
		{ .to = STALE_4, .protocol = TCP, .source_port = 40001, .port = 443, .flags = ACK },
	  OH_ADDRESS_EXPIRED, OH_FORWARDED },
	{ "another's source",
	  { .from = EVIL_4, .to = API_4, .protocol = TCP, .port = 443, .flags = SYN }, OH_SOURCE_NOT_OURS,
	  OH_SOURCE_NOT_OURS },
	{ "another's source",
	  { .from = EVIL_6, .to = API_6, .protocol = TCP, .port = 443, .flags = SYN }, OH_SOURCE_NOT_OURS,
	  OH_SOURCE_NOT_OURS },
	{ "a neighbour's source",
	  { .from = "10.0.1.11", .to = RESOLVER_4, .protocol = UDP, .port = 53 }, OH_SOURCE_NOT_OURS,
	  OH_SOURCE_NOT_OURS },
	{ "dhcp without an address",
	  { .from = "0.0.0.0", .to = "255.255.255.255", .protocol = UDP, .source_port = 68, .port = 67,
	  .payload = 300 }, PASSES, OH_FORWARDED },
	{ "dhcp with another's",
	  { .from = EVIL_4, .to = "10.0.0.1", .protocol = UDP, .source_port = 68, .port = 67, .payload = 300 },
	  OH_SOURCE_NOT_OURS, OH_FORWARDED },
	{ "reply with another's source",
	  { .from = EVIL_4, .to = ADMIN_4, .protocol = TCP, .source_port = 22, .port = 50000,
	  .flags = SYN | ACK }, PASSES, OH_SOURCE_NOT_OURS },
	{ "where it must not go, that comes first",
	  { .from = EVIL_4, .to = EVIL_4, .protocol = TCP, .port = 443, .flags = SYN },
	  OH_ADDRESS_NOT_ALLOWED, OH_FORWARDED },
	{ "fragment", { .to = API_4, .protocol = TCP, .port = 443, .flags = SYN, .fragment = 0x2000 }, OH_FRAGMENT,
		OH_FRAGMENT },
	{ "solicitation",
		{ .to = "ff02::1:ff00:1", .protocol = ICMPV6, .type = 135, .hop_limit = 255, .payload = 16 } },
	{ "vlan tag", { .to = API_4, .protocol = TCP, .port = 443, .flags = SYN, .ethertype = 0x8100 },
		OH_PACKET_MALFORMED,
	  OH_PACKET_MALFORMED },
	{ "another ethertype", { .to = API_4, .protocol = TCP, .port = 443, .flags = SYN, .ethertype = 0x88b5 },
	  OH_PACKET_MALFORMED, OH_PACKET_MALFORMED },
	{ "bytes behind the packet", { .to = API_4, .protocol = TCP, .port = 443, .flags = SYN, .behind = 4 },
	  OH_PACKET_MALFORMED, OH_PACKET_MALFORMED },
};

static void egress_is_judged_as_the_table_says(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(egress) / sizeof(*egress); i++) {
		const struct way *w = &egress[i];
		struct frame f;

		packet_build(&w->packet, &f);
		wrong += !check(&lab, w->name, OH_HOOK_UPLINK_EGRESS, &f, false, w->reason);
		wrong += !check(&lab, w->name, OH_HOOK_UPLINK_EGRESS, &f, true, w->forwarded);
		wrong += !check(&observing, w->name, OH_HOOK_UPLINK_EGRESS, &f, false, w->reason);
	}
	assert_int_equal(wrong, 0);
}

static void number(struct frame *f, __u32 sequence, __u32 acknowledged)
{
	const __u32 numbers[2] = { htonl(sequence), htonl(acknowledged) };

	memcpy(f->byte + ETHERNET + f->headers + 4, numbers, sizeof(numbers));
}

static void what_is_let_out_is_a_flow_once_it_is_answered(void **state)
{
	const struct packet syn = { .to = API_4, .from = OTHER_4, .protocol = TCP, .port = 443, .flags = SYN };
	const struct packet evil = { .to = EVIL_4, .from = OTHER_4, .protocol = TCP, .port = 443, .flags = SYN };
	const struct packet answer = { .to = OTHER_4, .from = API_4, .protocol = TCP, .source_port = 443,
				       .port = TEST_SOURCE_PORT, .flags = SYN | ACK };
	struct oh_connection flow;
	struct frame f, reply;

	(void)state;
	packet_build(&syn, &f);
	assert_false(has_flow(API_4, 443, OTHER_4, TCP, &flow));
	number(&f, 0xffffffff, 0);
	packet_build(&answer, &reply);
	number(&reply, 77, 0);
	assert_true(check(&lab, "answer to nothing", OH_HOOK_INBOUND, &reply, false, OH_INBOUND_NOT_ALLOWED));
	assert_true(check(&lab, "flow", OH_HOOK_UPLINK_EGRESS, &f, true, PASSES));
	assert_false(has_flow(API_4, 443, OTHER_4, TCP, &flow));
	number(&reply, 77, 1);
	assert_true(check(&lab, "answer to another", OH_HOOK_INBOUND, &reply, false, OH_INBOUND_NOT_ALLOWED));
	assert_false(has_flow(API_4, 443, OTHER_4, TCP, &flow));
	number(&reply, 77, 0);
	assert_true(check(&lab, "answer", OH_HOOK_INBOUND, &reply, false, PASSES));
	assert_true(has_flow(API_4, 443, OTHER_4, TCP, &flow));
	assert_true(flow.admitted && flow.target == T_API && flow.generation == 7 && flow.port == 443);
	packet_build(&evil, &f);
	assert_true(check(&lab, "no flow", OH_HOOK_UPLINK_EGRESS, &f, true, OH_FORWARDED));
	assert_false(has_flow(EVIL_4, 443, OTHER_4, TCP, &flow));
}

static void arp_is_let_out_where_it_is_plain(void **state)
{
	static const uint8_t plain[42] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1,
					   2, 0, 0, 0, 0, 1, 10, 0, 1, 10, 0, 0, 0, 0, 0, 0, 10, 0, 1, 1 };
	/* the byte to change, and its value there; the frame's length */
	static const struct {
		const char *name;
		size_t at;
		uint8_t value;
		size_t length;
		enum oh_reason reason;
	} rows[] = {
		{ "plain", 0, 255, 42 }, { "padded", 0, 255, 60 }, { "reply", 21, 2, 42 },
		{ "other padding", 0, 255, 50, OH_PACKET_MALFORMED }, { "longer", 0, 255, 61, OH_PACKET_MALFORMED },
		{ "cut", 0, 255, 41, OH_PACKET_MALFORMED }, { "data in the padding", 59, 1, 60, OH_PACKET_MALFORMED },
		{ "another sender", 27, 2, 42, OH_PACKET_MALFORMED }, { "hardware", 15, 6, 42, OH_PACKET_MALFORMED },
		{ "protocol", 17, 1, 42, OH_PACKET_MALFORMED }, { "operation", 21, 3, 42, OH_PACKET_MALFORMED },
		{ "operation", 20, 1, 42, OH_PACKET_MALFORMED }, { "lengths", 18, 7, 42, OH_PACKET_MALFORMED },
		{ "lengths", 19, 5, 42, OH_PACKET_MALFORMED },
	};
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct frame f = { .length = rows[i].length };

		memcpy(f.byte, plain, sizeof(plain));
		f.byte[rows[i].at] = rows[i].value;
		wrong += !check(&lab, rows[i].name, OH_HOOK_UPLINK_EGRESS, &f, false, rows[i].reason);
	}
	assert_int_equal(wrong, 0);
}

/* From there to here; the usual port is the far one's. */
#define FROM(remote) .from = remote, .to = THIS_4
#define FROM6(remote) .from = remote, .to = THIS_6

static const struct way inbound[] = {
	{ "reply",
		{ FROM(STALE_4), .protocol = TCP, .source_port = 443, .port = TEST_SOURCE_PORT, .flags = RST | ACK } },
	{ "SYN-ACK that nobody asked for",
		{ FROM(STALE_4), .protocol = TCP, .source_port = 443, .port = TEST_SOURCE_PORT,
	  .flags = SYN | ACK }, OH_INBOUND_NOT_ALLOWED },
	{ "reply", { FROM6(API_6), .protocol = TCP, .source_port = 443, .port = 40001, .flags = ACK, .payload = 100 } },
	{ "reply", { FROM(RESOLVER_4), .protocol = UDP, .source_port = 53, .port = 40001, .payload = 100 } },
	{ "of a dead flow", { FROM(STALE_4), .protocol = TCP, .source_port = 443, .port = 40001, .flags = ACK },
		OH_INBOUND_NOT_ALLOWED },
	{ "to another port", { FROM(STALE_4), .protocol = TCP, .source_port = 443, .port = 40002, .flags = ACK },
		OH_INBOUND_NOT_ALLOWED },
	{ "from another port",
		{ FROM(STALE_4), .protocol = TCP, .source_port = 80, .port = TEST_SOURCE_PORT, .flags = ACK },
	  OH_INBOUND_NOT_ALLOWED },
	{ "from another host",
		{ FROM(EVIL_4), .protocol = TCP, .source_port = 443, .port = TEST_SOURCE_PORT, .flags = ACK },
	  OH_INBOUND_NOT_ALLOWED },
	{ "of another protocol", { FROM(STALE_4), .protocol = UDP, .source_port = 443, .port = TEST_SOURCE_PORT },
		OH_INBOUND_NOT_ALLOWED },
	{ "to another address",
		{ .from = STALE_4, .to = "10.0.1.11", .protocol = TCP, .source_port = 443, .port = TEST_SOURCE_PORT,
	  .flags = ACK }, OH_INBOUND_NOT_ALLOWED },
	{ "inbound rule", { FROM(ADMIN_4), .protocol = TCP, .source_port = 50000, .port = 22, .flags = SYN } },
	{ "inbound rule", { FROM6(ADMIN_6), .protocol = TCP, .source_port = 50000, .port = 22, .flags = PSH | ACK,
		.payload = 9 } },
	{ "its port from elsewhere", { FROM("10.1.2.4"), .protocol = TCP, .port = 22, .flags = SYN },
		OH_INBOUND_NOT_ALLOWED },
	{ "its source to another port", { FROM(ADMIN_4), .protocol = TCP, .port = 23, .flags = SYN },
		OH_INBOUND_NOT_ALLOWED },
	{ "its source from that port", { FROM(ADMIN_4), .protocol = TCP, .source_port = 22, .port = 80, .flags = ACK },
	  OH_INBOUND_NOT_ALLOWED },
	{ "its port by UDP", { FROM(ADMIN_4), .protocol = UDP, .port = 22, .payload = 9 }, OH_INBOUND_NOT_ALLOWED },
	{ "echo", { FROM(ADMIN_4), .protocol = ICMP, .type = 8 }, OH_INBOUND_NOT_ALLOWED },
	{ "echo reply", { FROM6(ADMIN_6), .protocol = ICMPV6, .type = 129 }, OH_INBOUND_NOT_ALLOWED },
	{ "another protocol", { FROM(ADMIN_4), .protocol = 47, .payload = 40 }, OH_INBOUND_NOT_ALLOWED },
	{ "dhcp", { FROM("10.0.0.1"), .protocol = UDP, .source_port = 67, .port = 68, .payload = 300 } },
	{ "dhcp, broadcast", { .from = "192.168.0.1", .to = "255.255.255.255", .protocol = UDP, .source_port = 67,
		.port = 68, .payload = 300 } },
	{ "dhcp from afar", { FROM(EVIL_4), .protocol = UDP, .source_port = 67, .port = 68, .payload = 300 },
		OH_INBOUND_NOT_ALLOWED },
	{ "a dhcp client's", { FROM("10.0.0.1"), .protocol = UDP, .source_port = 68, .port = 67, .payload = 300 },
		OH_INBOUND_NOT_ALLOWED },
	{ "dhcp6", { FROM6("fe80::1"), .protocol = UDP, .source_port = 547, .port = 546, .payload = 100 } },
	{ "dhcp6 from afar", { FROM6(EVIL_6), .protocol = UDP, .source_port = 547, .port = 546, .payload = 100 },
		OH_INBOUND_NOT_ALLOWED },
	{ "router advertisement", { .from = "fe80::1", .to = "ff02::1", .protocol = ICMPV6, .type = 134,
		.hop_limit = 255, .payload = 24 } },
	{ "solicitation", { FROM6("fe80::1"), .protocol = ICMPV6, .type = 135, .hop_limit = 255, .payload = 16 } },
	{ "advertisement", { FROM6("fe80::1"), .protocol = ICMPV6, .type = 136, .hop_limit = 255, .payload = 16 } },
	{ "forwarded advertisement",
		{ FROM6(EVIL_6), .protocol = ICMPV6, .type = 134, .hop_limit = 254, .payload = 24 },
	  OH_INBOUND_NOT_ALLOWED },
	{ "its code", { FROM6("fe80::1"), .protocol = ICMPV6, .type = 134, .code = 1, .hop_limit = 255, .payload = 24 },
		OH_INBOUND_NOT_ALLOWED },
	{ "redirect", { FROM6("fe80::1"), .protocol = ICMPV6, .type = 137, .hop_limit = 255, .payload = 40 },
		OH_INBOUND_NOT_ALLOWED },
	{ "redirect", { FROM("10.0.1.1"), .protocol = ICMP, .type = 5, .payload = 40 }, OH_INBOUND_NOT_ALLOWED },
	{ "listener query",
		{ FROM6("fe80::1"), .protocol = ICMPV6, .chain = "H", .type = 130, .hop_limit = 255, .payload = 16 },
	  OH_INBOUND_NOT_ALLOWED },
	{ "first fragment", { FROM(ADMIN_4), .protocol = TCP, .port = 22, .flags = SYN, .fragment = 0x2000 },
		OH_FRAGMENT },
	{ "later fragment", { FROM(ADMIN_4), .protocol = TCP, .port = 22, .flags = SYN, .fragment = 185 },
		OH_FRAGMENT },
	{ "fragment", { FROM6(ADMIN_6), .protocol = TCP, .port = 22, .flags = SYN, .chain = "f" }, OH_FRAGMENT },
	{ "atomic fragment", { FROM6(ADMIN_6), .protocol = TCP, .port = 22, .flags = SYN, .chain = "a" }, OH_FRAGMENT },
	{ "ports in the options", { FROM(ADMIN_4), .protocol = TCP, .source_port = 50000, .port = 80, .flags = SYN,
	  .options = "c3 50 00 16" }, OH_INBOUND_NOT_ALLOWED },
	{ "options", { FROM(ADMIN_4), .protocol = TCP, .port = 22, .flags = SYN, .options = "01 01 01 00" },
		OH_INBOUND_NOT_ALLOWED },
	{ "extension header", { FROM6(ADMIN_6), .protocol = TCP, .port = 22, .flags = SYN, .chain = "D" },
		OH_INBOUND_NOT_ALLOWED },
	{ "vlan tag", { FROM(ADMIN_4), .protocol = TCP, .port = 22, .flags = SYN, .ethertype = 0x8100 },
		OH_INBOUND_NOT_ALLOWED },
	{ "another ethertype", { FROM(ADMIN_4), .protocol = TCP, .port = 22, .flags = SYN, .ethertype = 0x88b5 },
		OH_INBOUND_NOT_ALLOWED },
	{ "version", { FROM(ADMIN_4), .protocol = TCP, .port = 22, .flags = SYN, .version = 6 }, OH_PACKET_MALFORMED },
	{ "longer than the frame", { FROM(ADMIN_4), .protocol = TCP, .port = 22, .flags = SYN, .length = 1 },
		OH_PACKET_MALFORMED },
	{ "longer than the frame", { FROM6(ADMIN_6), .protocol = TCP, .port = 22, .flags = SYN, .length = 1 },
		OH_PACKET_MALFORMED },
	{ "padded", { FROM(ADMIN_4), .protocol = TCP, .port = 22, .flags = SYN, .behind = 6 } },
	{ "cut", { FROM(ADMIN_4), .protocol = TCP, .port = 22, .flags = SYN, .keep = 23 }, OH_PACKET_MALFORMED },
	{ "mapped source", { FROM6("::ffff:10.1.2.3"), .protocol = TCP, .port = 22, .flags = SYN },
		OH_PACKET_MALFORMED },
};

static void inbound_is_judged_as_the_table_says(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(inbound) / sizeof(*inbound); i++) {
		struct frame f;

		packet_build(&inbound[i].packet, &f);
		wrong += !check(&lab, inbound[i].name, OH_HOOK_INBOUND, &f, false, inbound[i].reason);
		wrong += !check(&lab, inbound[i].name, OH_HOOK_UPLINK_INGRESS, &f, true, inbound[i].reason);
		wrong += !check(&observing, inbound[i].name, OH_HOOK_UPLINK_INGRESS, &f, true, inbound[i].reason);
	}
	assert_int_equal(wrong, 0);
}

struct error_row {
	const char *name;
	struct packet outer, about;
	size_t keep;		/* of what it is about, 0: all */
	enum oh_reason reason;
};

static const struct error_row errors[] = {
	{ "too big", { FROM("10.0.1.1"), .protocol = ICMP, .type = 3, .code = 4 },
	  { .to = STALE_4, .protocol = TCP, .port = 443, .flags = ACK } },
	{ "too big", { FROM6("fe80::1"), .protocol = ICMPV6, .type = 2 },
	  { .to = API_6, .protocol = TCP, .source_port = 40001, .port = 443, .flags = ACK } },
	{ "unreachable", { FROM(EVIL_4), .protocol = ICMP, .type = 3, .code = 1 },
	  { .to = RESOLVER_4, .protocol = UDP, .source_port = 40001, .port = 53 } },
	{ "time exceeded", { FROM(EVIL_4), .protocol = ICMP, .type = 11 },
		{ .to = STALE_4, .protocol = TCP, .port = 443, .flags = ACK } },
	{ "about a reply on an inbound rule", { FROM("10.0.1.1"), .protocol = ICMP, .type = 3, .code = 4 },
	  { .to = ADMIN_4, .protocol = TCP, .source_port = 22, .port = 50000, .flags = ACK } },
	{ "eight bytes of TCP are enough", { FROM("10.0.1.1"), .protocol = ICMP, .type = 3, .code = 4 },
	  { .to = STALE_4, .protocol = TCP, .port = 443, .flags = ACK }, 28 },
	{ "about no flow", { FROM("10.0.1.1"), .protocol = ICMP, .type = 3, .code = 4 },
	  { .to = EVIL_4, .protocol = TCP, .port = 443, .flags = ACK }, 0, OH_INBOUND_NOT_ALLOWED },
	{ "about a dead flow", { FROM("10.0.1.1"), .protocol = ICMP, .type = 3, .code = 4 },
	  { .to = STALE_4, .protocol = TCP, .source_port = 40001, .port = 443, .flags = ACK }, 0,
	  OH_INBOUND_NOT_ALLOWED },
	{ "about what came in", { FROM("10.0.1.1"), .protocol = ICMP, .type = 3, .code = 4 },
	  { .from = STALE_4, .to = THIS_4, .protocol = TCP, .source_port = 443, .port = TEST_SOURCE_PORT,
	  	.flags = ACK }, 0,
	  OH_INBOUND_NOT_ALLOWED },
	{ "about a ping", { FROM("10.0.1.1"), .protocol = ICMP, .type = 3, .code = 1 },
		{ .to = STALE_4, .protocol = ICMP, .type = 8 }, 0,
	  OH_INBOUND_NOT_ALLOWED },
	{ "parameter problem", { FROM("10.0.1.1"), .protocol = ICMP, .type = 12 },
	  { .to = STALE_4, .protocol = TCP, .port = 443, .flags = ACK }, 0, OH_INBOUND_NOT_ALLOWED },
	{ "cut before the ports", { FROM("10.0.1.1"), .protocol = ICMP, .type = 3, .code = 4 },
	  { .to = STALE_4, .protocol = TCP, .port = 443, .flags = ACK }, 22, OH_PACKET_MALFORMED },
	{ "cut in the header", { FROM("10.0.1.1"), .protocol = ICMP, .type = 3, .code = 4 },
	  { .to = STALE_4, .protocol = TCP, .port = 443, .flags = ACK }, 16, OH_PACKET_MALFORMED },
};

static void icmp_errors_come_in_about_known_flows(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		struct packet outer = errors[i].outer;
		struct frame f, about;

		packet_build(&errors[i].about, &about);
		outer.payload = errors[i].keep ? errors[i].keep : about.length - ETHERNET;
		packet_build(&outer, &f);
		memcpy(f.byte + ETHERNET + f.headers + 8, about.byte + ETHERNET, outer.payload);
		wrong += !check(&lab, errors[i].name, OH_HOOK_INBOUND, &f, false, errors[i].reason);
		wrong += !check(&lab, errors[i].name, OH_HOOK_UPLINK_INGRESS, &f, true, errors[i].reason);
	}
	assert_int_equal(wrong, 0);
}

/* In lockdown the inbound rules and the host's needs still come in: the machine can be repaired. */
static void lockdown_lets_the_administrator_in(void **state)
{
	const struct packet admin = { FROM(ADMIN_4), .protocol = TCP, .port = 22, .flags = SYN };
	const struct packet allowed = { .to = API_4, .from = "10.0.1.78", .protocol = TCP, .port = 443, .flags = SYN };
	struct frame f;

	(void)state;
	lab_ready(&lab, false);
	packet_build(&admin, &f);
	assert_true(check(&lab, "administrator", OH_HOOK_INBOUND, &f, false, PASSES));
	packet_build(&allowed, &f);
	assert_true(check(&lab, "lockdown", OH_HOOK_UPLINK_EGRESS, &f, false, OH_LOCKDOWN));
	lab_ready(&lab, true);
}

static int start(void **state)
{
	(void)state;
	fill(&lab, false);
	fill(&observing, true);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	lab_stop(&lab);
	lab_stop(&observing);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(egress_is_judged_as_the_table_says),
		cmocka_unit_test(what_is_let_out_is_a_flow_once_it_is_answered),
		cmocka_unit_test(arp_is_let_out_where_it_is_plain),
		cmocka_unit_test(inbound_is_judged_as_the_table_says),
		cmocka_unit_test(icmp_errors_come_in_about_known_flows),
		cmocka_unit_test(lockdown_lets_the_administrator_in),
	};

	return table_end(run_as_root(tests, start, stop), &lab);
}
