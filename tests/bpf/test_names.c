// SPDX-License-Identifier: MIT
/* The egress program over DNS and NTP payloads: verdict, counter, event, and that each run gives its scratch back.
 * Attached to nothing; needs root, and runs in a network namespace of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpf/lab.h"
#include "parse/name_key.h"
#include "policy/address.h"
#include "policy/config_file.h"

#define LIVE 7		/* ids of targets */
#define REVOKED 8
#define RESOLVER "10.0.0.2"
#define TIME "169.254.169.123"

static struct engine_program_set *set;
static struct engine engine;
static struct ring_buffer *ring;
static struct oh_event last;
static unsigned int events, device;

static int took(void *context, void *data, size_t size)
{
	(void)context;
	assert_int_equal(size, sizeof(last));
	memcpy(&last, data, size);
	events++;
	return 0;
}

static void put(enum engine_map map, const void *key, const void *value)
{
	if (bpf_map_update_elem(engine.map[map], key, value, BPF_ANY))
		fail_msg("%s: %s", engine_map_names[map], strerror(errno));
}

static void put_rule(const char *name, struct oh_name_rule rule)
{
	struct oh_name_entry entry = { .rule[OH_GRANTS_MAX - 1] = rule };	/* the last place is read too */
	struct oh_name_key key;

	assert_int_equal(oh_key_from_text(&key, name), 0);
	put(ENGINE_NAMES, &key, &entry);
}

/* A name that a CNAME led to, in the last place. */
static void put_opened(const char *name, struct oh_grant grant)
{
	struct oh_entry entry = { .grant[OH_GRANTS_MAX - 1] = grant };
	struct oh_name_key key;

	assert_int_equal(oh_key_from_text(&key, name), 0);
	put(ENGINE_OPENED, &key, &entry);
}

static void put_server(const char *address, enum oh_service service, __u16 port)
{
	struct oh_entry entry = { .grant[0] = { .expires = OH_FOREVER, .target = LIVE, .generation = 3, .port = port,
						.service = service } };
	struct oh_address a;

	assert_int_equal(address_parse(address, &a), 0);
	put(ENGINE_ADDRESSES, &a, &entry);
}

static int start(void **state)
{
	struct oh_target live = { .generation = 3, .lapses = OH_FOREVER, .state = OH_TARGET_LIVE };
	struct oh_control control = { .ready = 1, .targets = 16 };
	__u32 id = LIVE, zero = 0;
	struct config c;
	struct error e;

	(void)state;
	if (unshare(CLONE_NEWNET) || system("ip link add names0 type veth peer name names1") ||
	    system("ip addr add 10.0.0.9 dev names0"))
		return -1;
	device = if_nametoindex("names0");
	if (config_default(&c, &e))
		return -1;
	c.inspect = true;
	if (engine_prepare(&c, false, NULL, &set, &engine, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	config_free(&c);
	ring = ring_buffer__new(engine.map[ENGINE_EVENTS], took, NULL, NULL);
	put(ENGINE_CONTROL, &zero, &control);
	put(ENGINE_TARGETS, &id, &live);
	id = REVOKED;
	live.generation = 4;
	put(ENGINE_TARGETS, &id, &live);
	put_server(RESOLVER, OH_SERVICE_DNS, 53);
	put_server(TIME, OH_SERVICE_NTP, 123);
	put_rule("allowed.example", (struct oh_name_rule){ .target = LIVE, .generation = 3, .port = 443,
							   .service = OH_SERVICE_TCP });
	put_rule("*.allowed.example", (struct oh_name_rule){ .target = LIVE, .generation = 3, .port = 443,
							     .service = OH_SERVICE_TCP });
	put_rule("revoked.example", (struct oh_name_rule){ .target = REVOKED, .generation = 3, .port = 443,
							   .service = OH_SERVICE_TCP });
	put_rule("asked.example", (struct oh_name_rule){ .service = OH_SERVICE_DNS, .ask = OH_ASK_ALL });
	put_rule("keys.example", (struct oh_name_rule){ .service = OH_SERVICE_DNS, .ask = OH_ASK_KEYS });
	put_rule("searched.example", (struct oh_name_rule){ .service = OH_SERVICE_DNS, .ask = OH_ASK_SEARCH });
	put_opened("opened.example", (struct oh_grant){ .expires = OH_FOREVER, .target = LIVE, .generation = 3,
							.port = 443, .service = OH_SERVICE_TCP });
	put_opened("zone.example", (struct oh_grant){ .expires = OH_FOREVER, .target = LIVE, .generation = 3,
						      .port = 53, .service = OH_SERVICE_DNS });
	put_opened("over.example", (struct oh_grant){ .expires = 1, .target = LIVE, .generation = 3, .port = 443,
						      .service = OH_SERVICE_TCP });
	put_opened("gone.example", (struct oh_grant){ .expires = OH_FOREVER, .target = REVOKED, .generation = 3,
						      .port = 443, .service = OH_SERVICE_TCP });
	return ring ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	ring_buffer__free(ring);
	engine_free_set(set);
	engine_close(&engine);
	return 0;
}

/* An Ethernet, IPv4 and UDP header before the payload. Its length. */
static __u32 make(unsigned char *packet, const char *to, __u16 port, const void *payload, size_t size)
{
	unsigned char *ip = packet + 14, *udp = ip + 20;

	memset(packet, 0, 42);
	packet[12] = 0x08;
	ip[0] = 0x45;
	ip[2] = (unsigned char)((28 + size) >> 8);
	ip[3] = (unsigned char)(28 + size);
	ip[8] = 64;
	ip[9] = 17;
	inet_pton(AF_INET, "10.0.0.9", ip + 12);
	inet_pton(AF_INET, to, ip + 16);
	udp[0] = 0x9c;
	udp[2] = (unsigned char)(port >> 8);
	udp[3] = (unsigned char)port;
	udp[4] = (unsigned char)((8 + size) >> 8);
	udp[5] = (unsigned char)(8 + size);
	memcpy(udp + 8, payload, size);
	return (__u32)(42 + size);
}

/* All slots of all CPUs must be free after a run. */
static void assert_scratch_free(void)
{
	struct bpf_prog_info info = { 0 };
	__u32 ids[32], size = sizeof(info);
	size_t stride = (sizeof(struct oh_scratch) + 7) / 8 * 8;
	int cpus = libbpf_num_possible_cpus(), seen = 0;
	unsigned char *all = calloc((size_t)cpus, stride);

	info.nr_map_ids = 32;
	info.map_ids = (__u64)(uintptr_t)ids;
	assert_int_equal(bpf_obj_get_info_by_fd(engine_program(set, OH_HOOK_EGRESS), &info, &size), 0);
	for (__u32 i = 0; i < info.nr_map_ids; i++) {
		int fd = bpf_map_get_fd_by_id(ids[i]);
		struct bpf_map_info map = { 0 };

		size = sizeof(map);
		assert_int_equal(bpf_obj_get_info_by_fd(fd, &map, &size), 0);
		for (__u32 slot = 0; !strcmp(map.name, "oh_scratch_map") && slot < OH_SLOTS; slot++) {
			assert_int_equal(bpf_map_lookup_elem(fd, &slot, all), 0);
			for (int cpu = 0; cpu < cpus; cpu++)
				assert_int_equal(((struct oh_scratch *)(all + (size_t)cpu * stride))->busy, 0);
			seen++;
		}
		close(fd);
	}
	free(all);
	assert_int_equal(seen, OH_SLOTS);
}

struct row {
	const char *what, *to;
	__u16 port;
	const char *payload;
	size_t size;
	enum oh_reason reason;
	const char *name;	/* that the event tells, last letter first */
	__u32 segment;		/* gso_size */
};

#define HEAD "\x12\x34\1\0\0\1\0\0\0\0\0\0"
#define A_IN "\0\0\1\0\1"
#define DS_IN "\0\0\x2b\0\1"
#define DNS(what, payload, reason, name) { what, RESOLVER, 53, payload, sizeof(payload) - 1, reason, name, 0 }
#define NTP(what, payload, reason) { what, TIME, 123, payload, sizeof(payload) - 1, reason, NULL, 0 }
#define ZERO8 "\0\0\0\0\0\0\0\0"
#define REQUEST "\x23\0\0\0\0\0\0\0" ZERO8 ZERO8 ZERO8 ZERO8 "12345678"

static const struct row rows[] = {
	DNS("allowed", HEAD "\7allowed\7example" A_IN, OH_DNS, NULL),
	DNS("letter case", HEAD "\7ALLOWED\7Example" A_IN, OH_DNS, NULL),
	DNS("suffix", HEAD "\1a\1b\7allowed\7example" A_IN, OH_DNS, NULL),
	DNS("to be asked for only", HEAD "\5asked\7example" A_IN, OH_DNS, NULL),
	DNS("below one to be asked for", HEAD "\1x\5asked\7example" A_IN, OH_DNS_NAME_NOT_ALLOWED, "elpmaxe.deksa.x"),
	DNS("of a revoked target", HEAD "\7revoked\7example" A_IN, OH_DNS_NAME_NOT_ALLOWED, "elpmaxe.dekover"),
	DNS("other", HEAD "\5other\7example" A_IN, OH_DNS_NAME_NOT_ALLOWED, "elpmaxe.rehto"),
	DNS("alike", HEAD "\11xallowed\7exampl" A_IN, OH_DNS_MALFORMED, ""),
	DNS("root", HEAD A_IN, OH_DNS_NAME_NOT_ALLOWED, ""),
	DNS("keys of a zone above", HEAD "\4keys\7example" DS_IN, OH_DNS, NULL),
	DNS("the same, DNSKEY", HEAD "\4keys\7example\0\0\x30\0\1", OH_DNS, NULL),
	DNS("an address of a zone above", HEAD "\4keys\7example" A_IN, OH_DNS_NAME_NOT_ALLOWED, "elpmaxe.syek"),
	DNS("type 299 there, as its low byte", HEAD "\4keys\7example\0\1\x2b\0\1", OH_DNS_NAME_NOT_ALLOWED,
	    "elpmaxe.syek"),
	DNS("keys below a zone above", HEAD "\1x\4keys\7example" DS_IN, OH_DNS_NAME_NOT_ALLOWED, "elpmaxe.syek.x"),
	DNS("with a search suffix, where nobody answers", HEAD "\10searched\7example" A_IN, OH_DNS, NULL),
	DNS("led to", HEAD "\6opened\7example" A_IN, OH_DNS, NULL),
	DNS("led to, another type", HEAD "\6opened\7example\0\0\x41\0\1", OH_DNS, NULL),
	DNS("below one that is led to", HEAD "\1x\6opened\7example" A_IN, OH_DNS_NAME_NOT_ALLOWED, "elpmaxe.denepo.x"),
	DNS("keys of a zone above one", HEAD "\4zone\7example" DS_IN, OH_DNS, NULL),
	DNS("an address of a zone above one", HEAD "\4zone\7example" A_IN, OH_DNS_NAME_NOT_ALLOWED, "elpmaxe.enoz"),
	DNS("led to once", HEAD "\4over\7example" A_IN, OH_DNS_NAME_NOT_ALLOWED, "elpmaxe.revo"),
	DNS("led to by a revoked target", HEAD "\4gone\7example" A_IN, OH_DNS_NAME_NOT_ALLOWED, "elpmaxe.enog"),
	DNS("bytes behind", HEAD "\7allowed\7example" A_IN "x", OH_DNS_MALFORMED, ""),
	DNS("another class", HEAD "\7allowed\7example\0\0\1\0\3", OH_DNS_MALFORMED, ""),
	DNS("empty", "", OH_DNS_MALFORMED, ""),
	{ "in segments", RESOLVER, 53, HEAD "\7allowed\7example" A_IN, 33, OH_DNS_MALFORMED, "", 20 },
	{ "to no resolver", "10.0.0.3", 53, HEAD "\7allowed\7example" A_IN, 33, OH_DNS_RESOLVER_NOT_ALLOWED, "", 0 },
	NTP("request", REQUEST, OH_NTP),
	NTP("request and more", REQUEST "x", OH_NTP_MALFORMED),
	NTP("server's", "\x24\0\0\0\0\0\0\0" ZERO8 ZERO8 ZERO8 ZERO8 "12345678", OH_NTP_MALFORMED),
	NTP("data in an unused field", "\x23\0\0\0secret12" ZERO8 ZERO8 ZERO8 "1234" "12345678", OH_NTP_MALFORMED),
};

static void payload_is_judged_as_the_table_says(void **state)
{
	unsigned char packet[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		struct __sk_buff context = { .ifindex = device, .gso_size = row->segment };
		DECLARE_LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .ctx_in = &context,
				    .ctx_size_in = sizeof(context), .repeat = 1);
		bool passes = row->reason < OH_REASON_FIRST_REFUSAL;
		struct oh_count before, after;
		struct error e;

		o.data_size_in = make(packet, row->to, row->port, row->payload, row->size);
		assert_int_equal(engine_read_count(&engine, row->reason, &before, &e), 0);
		told_forget(&engine);
		events = 0;
		if (bpf_prog_test_run_opts(engine_program(set, OH_HOOK_EGRESS), &o))
			fail_msg("%s: %s", row->what, strerror(errno));
		ring_buffer__consume(ring);
		assert_int_equal(engine_read_count(&engine, row->reason, &after, &e), 0);
		if (after.packets != before.packets + 1 || o.retval != passes || events != !passes)
			fail_msg("%s: verdict %u, counted %llu, %u events, the last for reason %u", row->what, o.retval,
				 (unsigned long long)(after.packets - before.packets), events, last.reason);
		if (!passes) {
			assert_int_equal(last.reason, row->reason);
			assert_string_equal(last.name, row->name ? row->name : "");
		}
	}
	assert_scratch_free();
}

/* Both queries of one lookup are told as one, another name as another. */
static void name_is_told_once_whatever_is_asked_of_it(void **state)
{
	static const struct {
		const char *query;
		size_t size;
	} queries[] = {
#define QUERY(bytes) { bytes, sizeof(bytes) - 1 }
		QUERY(HEAD "\7refused\7example" A_IN), QUERY(HEAD "\7refused\7example\0\0\x1c\0\1"),
		QUERY(HEAD "\7rEFUSED\7example" A_IN), QUERY(HEAD "\7refusee\7example" A_IN),
	};
	unsigned char packet[2048];

	(void)state;
	told_forget(&engine);
	events = 0;
	for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
		struct __sk_buff context = { .ifindex = device };
		DECLARE_LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .ctx_in = &context,
				    .ctx_size_in = sizeof(context), .repeat = 1);

		o.data_size_in = make(packet, RESOLVER, 53, queries[i].query, queries[i].size);
		assert_int_equal(bpf_prog_test_run_opts(engine_program(set, OH_HOOK_EGRESS), &o), 0);
		assert_int_equal(o.retval, 0);
		ring_buffer__consume(ring);
		assert_int_equal(events, i < 3 ? 1 : 2);
	}
	assert_int_equal(last.count, 1);
	assert_string_equal(last.name, "elpmaxe.eesufer");
}

/* Whoever gets "no such name" goes on with the list by itself. */
static void searched_name_does_not_leave_where_somebody_answers(void **state)
{
	static const char query[] = HEAD "\10searched\7example" A_IN;
	unsigned char packet[2048];
	struct oh_answerer alive = { .until = ~0ULL, .pid = (__u32)getpid() };
	__u32 zero = 0;

	(void)state;
	for (int answered = 0; answered < 2; answered++) {
		struct __sk_buff context = { .ifindex = device };
		DECLARE_LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .ctx_in = &context,
				    .ctx_size_in = sizeof(context), .repeat = 1);

		o.data_size_in = make(packet, RESOLVER, 53, query, sizeof(query) - 1);
		assert_int_equal(bpf_prog_test_run_opts(engine_program(set, OH_HOOK_EGRESS), &o), 0);
		assert_int_equal(o.retval, !answered);
		put(ENGINE_ANSWERER, &zero, &alive);
	}
	alive.until = 0;
	put(ENGINE_ANSWERER, &zero, &alive);
	ring_buffer__consume(ring);
}

static __u64 boot_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (__u64)t.tv_sec;
}

/* A burst of eight, and then one a second, to each server on its own. */
static void time_servers_are_not_asked_more_often_than_clients_do(void **state)
{
	static const char *const servers[] = { "169.254.169.124", "169.254.169.125" };
	unsigned char packet[2048];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct __sk_buff context = { .ifindex = device };
		DECLARE_LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .ctx_in = &context,
				    .ctx_size_in = sizeof(context), .repeat = 1);
		__u64 began = boot_seconds(), passed = 0;

		put_server(servers[i], OH_SERVICE_NTP, 123);
		o.data_size_in = make(packet, servers[i], 123, REQUEST, sizeof(REQUEST) - 1);
		for (int n = 0; n < 100; n++) {
			assert_int_equal(bpf_prog_test_run_opts(engine_program(set, OH_HOOK_EGRESS), &o), 0);
			passed += o.retval;
		}
		ring_buffer__consume(ring);
		assert_in_range(passed, 8, 8 + boot_seconds() - began + 1);
		assert_true(passed == 100 || last.reason == OH_NTP_RATE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payload_is_judged_as_the_table_says),
		cmocka_unit_test(name_is_told_once_whatever_is_asked_of_it),
		cmocka_unit_test(searched_name_does_not_leave_where_somebody_answers),
		cmocka_unit_test(time_servers_are_not_asked_more_often_than_clients_do),
	};

	return run_as_root(tests, start, stop);
}
