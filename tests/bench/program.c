// SPDX-License-Identifier: MIT
/* How long the verdict takes: BPF_PROG_TEST_RUN of oh_egress, and of oh_ingress for what is received, over an empty
 * program's time, in nanoseconds. Prints packet, addresses and names in the maps, least and median of all rounds.
 * usage: program INTERFACE [off]   It must not be the loopback interface; nothing is sent on it. off: [dns] inspect. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse/name_key.h"
#include "engine/load.h"
#include "policy/config_file.h"

#define ROUNDS 101
#define REPEAT 4000		/* fewer than the events that fit the ring buffer, or refusals would cost less */
#define QUERIES 600		/* and of queries, than one target has room for (bpf/decide/share.h) */
#define SIZES 4
#define NAMES_MOST 100000	/* the map has room for OH_NAMES_MAX */
#define BATCH 4096

static const unsigned int sizes[SIZES] = { 1, 1000, 100000, 1000000 };
static const char *const size_names[SIZES] = { "1", "1k", "100k", "1M" };

/* Which way through the program a packet must have taken, or the figure is of something else. */
enum way { WAY_CONNECTION, WAY_LOOKUP, WAY_NONE, WAY_IN };

static struct packet {
	const char *name;
	int family, protocol, flags, port;
	int last;		/* byte of the destination */
	enum oh_reason reason;
	enum way way;
	size_t size;
	unsigned char bytes[1500];
} packets[] = {
#define PACKET(name, ...) { name, __VA_ARGS__, 0, { 0 } }
	PACKET("tcp4-segment", 4, 6, 0x10, 443, 1, OH_TARGET, WAY_CONNECTION),
	PACKET("tcp6-segment", 6, 6, 0x10, 443, 1, OH_TARGET, WAY_CONNECTION),
	PACKET("tcp4-syn", 4, 6, 0x02, 443, 1, OH_TARGET, WAY_LOOKUP),
	PACKET("tcp6-syn", 6, 6, 0x02, 443, 1, OH_TARGET, WAY_LOOKUP),
	PACKET("tcp4-refused", 4, 6, 0x02, 443, 9, OH_ADDRESS_NOT_ALLOWED, WAY_NONE),
	PACKET("dns-query", 4, 17, 0, 53, 2, OH_DNS, WAY_LOOKUP),
	PACKET("loopback", 4, 6, 0x10, 443, 1, OH_LOOPBACK, WAY_NONE),
	PACKET("tcp4-received", 4, 6, 0x10, 443, 1, OH_TARGET, WAY_IN),	/* no answer to a query: nothing to learn */
	PACKET("tcp6-received", 6, 6, 0x10, 443, 1, OH_TARGET, WAY_IN),
};
#define PACKETS (sizeof(packets) / sizeof(*packets))

static unsigned int least_empty = ~0U;
static size_t packet_count = PACKETS;
static bool inspect = true;

struct subject {
	struct engine engine;
	struct engine_program_set *set;
	struct ring_buffer *events;
	double over[PACKETS][ROUNDS];	/* ns over the empty program, run right before */
	unsigned int least[PACKETS];	/* ns with the empty program's */
};

static void die(const char *what)
{
	fprintf(stderr, "program: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* example.com A, with recursion desired */
static const unsigned char query[] = "\x4f\x48\1\0\0\1\0\0\0\0\0\0\7example\3com\0\0\1\0\1";

static void put16(unsigned char *at, size_t value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

static void build(struct packet *p)
{
	size_t header = p->family == 4 ? 20 : 40, transport = p->protocol == 6 ? 20 : 8;
	size_t payload = p->protocol == 17 ? sizeof(query) - 1 : p->flags == 0x10 ? 1000 : 0;
	unsigned char *b = p->bytes;

	p->size = header + transport + payload;
	if (p->family == 4) {
		memcpy(b, "\x45\0\0\0\0\0\x40\0\x40\0\0\0\x0a\0\1\x0a\xcb\0\x71\0", 20);
		put16(b + 2, p->size);
		b[9] = (unsigned char)p->protocol;
		b[19] = (unsigned char)p->last;
	} else {
		memcpy(b, "\x60\0\0\0\0\0\0\x40\xfd\0\0\1\0\0\0\0\0\0\0\0\0\0\0\x10\x20\1\x0d\xb8", 28);
		put16(b + 4, p->size - 40);
		b[6] = (unsigned char)p->protocol;
		b[39] = (unsigned char)p->last;
	}
	b += header;
	put16(b, 40000);
	put16(b + 2, (size_t)p->port);
	if (p->protocol == 6) {
		b[12] = 5 << 4;
		b[13] = (unsigned char)p->flags;
	} else {
		put16(b + 4, transport + payload);
		memcpy(b + 8, query, sizeof(query) - 1);
	}
}

static void grant(struct engine *engine, const struct packet *p, enum oh_service service)
{
	/* a name's address expires, a configured server's does not */
	struct oh_entry entry = { .grant[0] = { .expires = service == OH_SERVICE_DNS ? OH_FOREVER : 0x7fffffff,
						.target = 1, .generation = 1, .port = (__u16)p->port,
						.service = (__u8)service } };
	struct oh_address a = { 0 };

	if (p->family == 6) {
		memcpy(&a, p->bytes + 24, 16);
	} else {
		memset(a.byte + 10, 0xff, 2);
		memcpy(a.byte + 12, p->bytes + 16, 4);
	}
	if (bpf_map_update_elem(engine->map[ENGINE_ADDRESSES], &a, &entry, BPF_ANY))
		die("grant");
}

/* The sender's address is this machine's, as `load` writes it: a datagram's source is looked up there, if its socket
 * was not connected. A socket that a test run makes never was. */
static void own(struct engine *engine, const struct packet *p)
{
	struct oh_address a = { 0 };
	__u8 one = 1;

	if (p->family == 6) {
		memcpy(&a, p->bytes + 8, 16);
	} else {
		memset(a.byte + 10, 0xff, 2);
		memcpy(a.byte + 12, p->bytes + 12, 4);
	}
	if (bpf_map_update_elem(engine->map[ENGINE_LOCAL], &a, &one, BPF_ANY))
		die("own address");
}

/* The query's name may be asked for. */
static void grant_name(struct engine *engine)
{
	struct oh_name_entry entry = { .rule[0] = { .target = 1, .generation = 1, .port = 443,
		.service = OH_SERVICE_TCP } };
	struct oh_name_key key;

	if (oh_key_from_text(&key, "example.com") ||
		bpf_map_update_elem(engine->map[ENGINE_NAMES], &key, &entry, BPF_ANY))
		die("name");
}

/* Others than the packets' destinations: 10.0.0.0 and on, which stand for the names that were not asked for. */
static void fill(struct engine *engine, unsigned int count)
{
	static struct oh_address keys[BATCH];
	static struct oh_entry values[BATCH];

	for (unsigned int done = 0; done < count;) {
		__u32 n = 0;

		for (; n < BATCH && done + n < count; n++) {
			keys[n] = (struct oh_address){ .word = { 0, 0, htonl(0xffff), htonl(0x0a000000 + done + n) } };
			values[n].grant[0] = (struct oh_grant){ .expires = OH_FOREVER, .target = 1, .generation = 1,
								.port = 443, .service = OH_SERVICE_TCP };
		}
		if (bpf_map_update_batch(engine->map[ENGINE_ADDRESSES], keys, values, &n, NULL))
			die("fill");
		done += n;
	}
}

/* Others than the query's, and as many as addresses where there is room. */
static void fill_names(struct engine *engine, unsigned int count)
{
	struct oh_name_entry entry = { .rule[0] = { .target = 1, .generation = 1, .port = 443,
		.service = OH_SERVICE_TCP } };

	for (unsigned int i = 0; i < count && i < NAMES_MOST; i++) {
		struct oh_name_key key;
		char text[64];

		snprintf(text, sizeof(text), "host%u.zone%u.example", i, i % 97);
		if (oh_key_from_text(&key, text) ||
			bpf_map_update_elem(engine->map[ENGINE_NAMES], &key, &entry, BPF_ANY))
			die("names");
	}
}

static int ignore(void *context, void *data, size_t size)
{
	(void)context, (void)data, (void)size;
	return 0;
}

static void prepare(struct subject *s, unsigned int size)
{
	struct oh_target target = { .generation = 1, .lapses = OH_FOREVER, .state = OH_TARGET_LIVE, .text = "bench" };
	struct oh_control control = { .ready = 1, .targets = 2 };
	struct config c;
	struct error e;
	__u32 id = 1;

	if (config_default(&c, &e)) {
		fprintf(stderr, "program: %s\n", e.text);
		exit(1);
	}
	c.max_addresses = 1 << 21;
	c.inspect = inspect;
	if (engine_prepare(&c, false, NULL, &s->set, &s->engine, &e) ||
		engine_write_control(&s->engine, &control, &e)) {
		fprintf(stderr, "program: %s\n", e.text);
		exit(1);
	}
	config_free(&c);
	if (bpf_map_update_elem(s->engine.map[ENGINE_TARGETS], &id, &target, BPF_ANY))
		die("target");
	for (size_t i = 0; i < PACKETS; i++) {
		if (packets[i].reason == OH_TARGET || packets[i].reason == OH_DNS)
			grant(&s->engine, &packets[i], packets[i].port == 53 ? OH_SERVICE_DNS : OH_SERVICE_TCP);
		own(&s->engine, &packets[i]);
	}
	grant_name(&s->engine);
	fill(&s->engine, size - 1);
	fill_names(&s->engine, size - 1);
	s->events = ring_buffer__new(s->engine.map[ENGINE_EVENTS], ignore, NULL, NULL);
	if (!s->events)
		die("events");
}

static int load_empty(void)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	DECLARE_LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_CGROUP_INET_EGRESS);
	int fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "empty", "GPL", pass, 2, &options);

	if (fd < 0)
		die("empty program");
	return fd;
}

static unsigned int repeats(const struct packet *p)
{
	return p->reason == OH_DNS ? QUERIES : REPEAT;
}

/* As if the queries so far were answered. */
static void give_room(struct subject *s)
{
	const struct oh_shares none = { 0 };
	const __u32 payers[] = { 1, OH_SHARES_OF_ALL };

	for (size_t i = 0; i < sizeof(payers) / sizeof(*payers); i++) {
		if (bpf_map_update_elem(s->engine.map[ENGINE_SHARES], &payers[i], &none, BPF_ANY))
			die("shares");
	}
}

/* Nanoseconds a run; *ret_verdict is what the program returned. */
static unsigned int run(int program, const struct packet *p, unsigned int interface, __u32 *ret_verdict)
{
	struct __sk_buff context = { .ifindex = p->reason == OH_LOOPBACK ? 1 : interface };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = p->bytes, .data_size_in = (__u32)p->size,
			    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = (int)repeats(p));
	unsigned char frame[14 + sizeof(p->bytes)] = { 0 };

	put16(frame + 12, p->family == 4 ? 0x0800 : 0x86dd);	/* the kernel takes an Ethernet header off */
	memcpy(frame + 14, p->bytes, p->size);
	options.data_in = frame;
	options.data_size_in += 14;
	if (bpf_prog_test_run_opts(program, &options))
		die("test run");
	*ret_verdict = options.retval;
	return options.duration;
}

static void measure(struct subject *s, size_t which, int empty, unsigned int interface, int round)
{
	const struct packet *p = &packets[which];
	struct oh_count count[2] = { 0 };
	struct oh_use use[2] = { 0 };
	__u64 hits;
	struct error e;
	__u32 verdict;
	unsigned int base = run(empty, p, interface, &verdict), many = repeats(p), ns;

	ring_buffer__consume(s->events);
	give_room(s);
	engine_read_count(&s->engine, p->reason, &count[0], &e);
	engine_read_use(&s->engine, 1, &use[0], &e);
	ns = run(engine_program(s->set, p->way == WAY_IN ? OH_HOOK_INGRESS : OH_HOOK_EGRESS), p, interface, &verdict);
	engine_read_count(&s->engine, p->reason, &count[1], &e);
	engine_read_use(&s->engine, 1, &use[1], &e);
	hits = use[1].hits - use[0].hits;
	/* a connection is admitted once, by its first packet, and known from then on */
	if (count[1].packets - count[0].packets != (p->way == WAY_IN ? 0 : many) ||
		verdict != (p->reason < OH_REASON_FIRST_REFUSAL) ||
	    hits != (p->way == WAY_CONNECTION ? 1 : p->way == WAY_LOOKUP ? many : 0)) {
		fprintf(stderr, "program: %s: verdict %u, %llu of %u for its reason, %llu admissions\n", p->name,
			verdict, (unsigned long long)(count[1].packets - count[0].packets), many,
			(unsigned long long)hits);
		exit(1);
	}
	s->over[which][round] = (double)ns - base;
	if (!round || ns < s->least[which])
		s->least[which] = ns;
	if (base < least_empty)
		least_empty = base;
}

static int compare(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

int main(int argc, char **argv)
{
	static struct subject subjects[SIZES];
	unsigned int interface = argc >= 2 ? if_nametoindex(argv[1]) : 0;
	int empty;

	if (interface <= 1) {
		fprintf(stderr, "usage: program INTERFACE [off]   (not lo)\n");
		return 2;
	}
	inspect = argc < 3;
	if (!inspect)
		packet_count -= 2;	/* what is received meets no program then */
	for (size_t i = 0; i < PACKETS; i++)
		build(&packets[i]);
	for (int i = 0; i < SIZES; i++)
		prepare(&subjects[i], sizes[i]);
	empty = load_empty();
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < SIZES * packet_count; i++)
			measure(&subjects[i % SIZES], i / SIZES, empty, interface, round);
	}
	for (size_t i = 0; i < packet_count; i++) {
		for (int j = 0; j < SIZES; j++) {
			qsort(subjects[j].over[i], ROUNDS, sizeof(double), compare);
			printf("%s %s %d %.0f\n", packets[i].name, size_names[j],
			       (int)(subjects[j].least[i] - least_empty), subjects[j].over[i][ROUNDS / 2]);
		}
	}
	return 0;
}
