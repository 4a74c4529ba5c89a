// SPDX-License-Identifier: MIT
/* Flows at an uplink, whose TCP may be crafted by hand: scenes of frames that go out and come in, each with what must
 * become of it. The sender says what it likes; the far side is an honest TCP, so only its acknowledgments move what may
 * leave. */
#include "table.h"
#include "parse/name_key.h"

#define SITE "203.0.113.10"
#define RESOLVER "10.0.0.2"

enum { T_SITE = 1, T_DNS };
enum { SIZE = 200, EARLY = 300 };	/* of hellos, with their record's header */
#define S 0xffffff00U			/* the connection's first byte of payload: numbers wrap around within a hello */
#define R 5000U				/* the far side's */

static struct lab lab;

/* What a frame bears. */
enum load {
	NOTHING, GOOD, GOOD_A, GOOD_B, GOOD_C, EVIL, OTHER_GOOD, GOOD13, AGAIN13, OTHER13, EVIL13, GOOD_EARLY, DATA,
	CIPHER_DATA, CIPHER, LETTERS, QUERY, QUERY_A, QUERY_B, EVIL_QUERY, SERVED, RETRY,
};

struct bytes {
	__u8 byte[512];
	__u32 length;
};

static void add(struct bytes *b, const void *data, __u32 n)
{
	memcpy(b->byte + b->length, data, n);
	b->length += n;
}

static void add16(struct bytes *b, unsigned int value)
{
	put16(b->byte + b->length, value);
	b->length += 2;
}

static void add_extension(struct bytes *b, unsigned int type, const void *data, __u32 n)
{
	add16(b, type);
	add16(b, n);
	add(b, data, n);
}

/* A ClientHello of `size` bytes for the name, filled up by a padding extension of `filler`. */
static void make_hello(struct bytes *b, const char *name, __u32 size, bool tls13, bool early, __u8 filler)
{
	static const __u8 head[] = { 22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3 }, suites[] = { 0, 0, 2, 0x13, 1, 1, 0 };
	__u8 zero[512] = { 0 }, list[80] = { 0 };
	__u32 n = (__u32)strlen(name), extensions;

	*b = (struct bytes){ .length = 0 };
	add(b, head, sizeof(head));
	add(b, zero, 32);
	add(b, suites, sizeof(suites));
	extensions = b->length;
	add16(b, 0);
	put16(list, n + 3);
	put16(list + 3, n);
	memcpy(list + 5, name, n);
	add_extension(b, 0, list, n + 5);
	if (tls13)
		add_extension(b, 43, "\2\3\4", 3);
	if (early)
		add_extension(b, 42, "", 0);
	memset(zero, filler, sizeof(zero));
	add_extension(b, 21, zero, size - b->length - 4);
	put16(b->byte + extensions, size - extensions - 2);
	put16(b->byte + 3, size - 5);
	put16(b->byte + 7, size - 9);
}

static void make_query(struct bytes *b, const char *name)
{
	static const __u8 head[] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 },
		tail[] = { 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1 };
	__u8 n = (__u8)strlen(name);

	*b = (struct bytes){ .length = 2 };
	add(b, head, sizeof(head));
	add(b, &n, 1);
	add(b, name, n);
	add(b, tail, sizeof(tail));
	put16(b->byte, b->length - 2);
}

static void cut(struct bytes *b, __u32 from, __u32 to)
{
	memmove(b->byte, b->byte + from, to - from);
	b->length = to - from;
}

static void make(struct bytes *b, enum load load)
{
	static const __u8 cipher[] = { 20, 3, 3, 0, 1, 1 };
	__u8 server[60] = { 22, 3, 3, 0, 55, 2, 0, 0, 51, 3, 3 };

	*b = (struct bytes){ .length = 0 };
	switch (load) {
	case NOTHING: break;
	case GOOD: make_hello(b, "good.example", SIZE, false, false, 0); break;
	case OTHER_GOOD: make_hello(b, "good.example", SIZE, false, false, 7); break;
	case EVIL: make_hello(b, "evil.example", SIZE, false, false, 0); break;
	case GOOD_A: make_hello(b, "good.example", SIZE, false, false, 0); cut(b, 0, 120); break;
	case GOOD_B: make_hello(b, "good.example", SIZE, false, false, 0); cut(b, 120, 160); break;
	case GOOD_C: make_hello(b, "good.example", SIZE, false, false, 0); cut(b, 160, SIZE); break;
	case GOOD13: case AGAIN13: make_hello(b, "good.example", SIZE, true, false, 0); break;
	case OTHER13: make_hello(b, "fine.example", SIZE, true, false, 0); break;
	case EVIL13: make_hello(b, "evil.example", SIZE, true, false, 0); break;
	case GOOD_EARLY: make_hello(b, "good.example", SIZE, true, true, 0); break;
	case DATA: add(b, "\x17\3\3\0\x40", 5); b->length = 69; break;
	case CIPHER: add(b, cipher, sizeof(cipher)); break;
	case CIPHER_DATA: add(b, cipher, sizeof(cipher)); add(b, "\x17\3\3\0\x40", 5); b->length = 75; break;
	case LETTERS: add(b, "anything", 8); break;
	case QUERY: make_query(b, "good"); break;
	case QUERY_A: make_query(b, "good"); cut(b, 0, 10); break;
	case QUERY_B: make_query(b, "good"); cut(b, 10, b->length); break;
	case EVIL_QUERY: make_query(b, "evil"); break;
	case RETRY: memcpy(server + 11, "\xcf\x21\xad\x74\xe5\x9a\x61\x11", 8); /* fall through */
	case SERVED: add(b, server, sizeof(server)); break;
	}
}

#define PASSES OH_NONE
#define HELD OH_REASON_MAX	/* dropped, and not told: it may come again, or nobody takes it */

struct step {
	char way;		/* '>' out, '<' in, 0: the end */
	__u8 flags;
	__u32 sequence, acknowledged;
	enum load load;
	enum oh_reason reason;
	__u32 change;		/* a byte of the payload, from 1 on, to be another */
	const char *what;
};

#define OUT(flags, sequence, acknowledged, ...) { '>', flags, sequence, acknowledged, __VA_ARGS__ }
#define IN(flags, sequence, acknowledged, ...) { '<', flags, sequence, acknowledged, __VA_ARGS__ }
#define SHAKE OUT(SYN, S - 1, 0), IN(SYN | ACK, R - 1, S), OUT(ACK, S, R)

struct scene {
	const char *name;
	struct step step[24];
	bool dns;
	bool local;		/* not forwarded: for shares another sender */
};

static const struct scene scenes[] = {
	{ "a hello, and what follows it", {
		SHAKE, OUT(ACK, S, R, GOOD), IN(ACK, R, S + SIZE), OUT(ACK, S + SIZE, R, CIPHER),
		OUT(ACK, S + SIZE + 6, R, LETTERS), OUT(ACK, S, R, EVIL, .what = "the far side has it already"),
	} },
	{ "nothing before the far side has answered", {
		OUT(SYN, S - 1, 0), OUT(ACK, S, R, GOOD, OH_TLS_INCOMPLETE), IN(SYN | ACK, R - 1, S),
		OUT(ACK, S, R, GOOD),
	} },
	{ "an answer to another SYN", {
		OUT(SYN, S - 1, 0), IN(SYN | ACK, R - 1, S + 1, .reason = OH_INBOUND_NOT_ALLOWED),
		IN(SYN, R - 1, S, .reason = OH_INBOUND_NOT_ALLOWED), OUT(ACK, S, R, GOOD, OH_TLS_INCOMPLETE),
	} },
	{ "a refusal comes in", { OUT(SYN, S - 1, 0), IN(RST | ACK, 0, S), OUT(ACK, S, 1, GOOD, OH_TLS_INCOMPLETE) } },
	{ "a second SYN of a lower number changes nothing", {
		SHAKE, OUT(SYN, S - 1 - 50, 0), OUT(ACK, S - 50, R, GOOD, HELD), IN(ACK, R, S),
		OUT(ACK, S, R, EVIL, OH_TLS_NAME_NOT_ALLOWED), OUT(ACK, S, R, GOOD),
	} },
	{ "nor does a higher one", {
		SHAKE, OUT(SYN, S - 1 + 50, 0), OUT(ACK, S + 50, R, GOOD, HELD),
		OUT(ACK, S, R, EVIL, OH_TLS_NAME_NOT_ALLOWED), OUT(ACK, S, R, GOOD),
	} },
	{ "an old acknowledgment ends no look", {
		SHAKE, OUT(ACK, S, R, GOOD), IN(ACK, R, S), IN(ACK, R, S - 1), IN(ACK, R, S + SIZE + 1),
		IN(ACK, R, S - 0x40000000), IN(ACK, R, S + 0x40000000), OUT(ACK, S, R, OTHER_GOOD, OH_TLS_NOT_TLS),
		IN(ACK, R, S + SIZE - 1), OUT(ACK, S, R, GOOD, OH_TLS_NOT_TLS, SIZE),
		OUT(ACK, S + SIZE, R, EVIL, OH_TLS_NAME_NOT_ALLOWED),
	} },
	{ "a SYN that the far side answers is a new connection", {
		SHAKE, OUT(ACK, S, R, GOOD), IN(ACK, R, S + SIZE), OUT(ACK, S + SIZE, R, CIPHER_DATA),
		IN(ACK, R, S + SIZE + 75), OUT(SYN, 99, 0),
		OUT(ACK, 100, 701, EVIL, .what = "the old one is still open"), OUT(SYN, 99, 0), IN(SYN | ACK, 700, 100),
		OUT(ACK, 100, 701, EVIL, OH_TLS_NAME_NOT_ALLOWED), OUT(ACK, 100, 701, GOOD),
	} },
	{ "two questions are not asked at once", {
		OUT(SYN, S - 1, 0), OUT(SYN, 99, 0), IN(SYN | ACK, R - 1, S, .reason = OH_INBOUND_NOT_ALLOWED),
		IN(SYN | ACK, 700, 100), OUT(ACK, S, R, .reason = HELD), OUT(ACK, 100, 701, GOOD),
	} },
	{ "nor is a second one, once the first was answered and taken up", {
		OUT(SYN, S - 1, 0), IN(SYN | ACK, R - 1, S), OUT(SYN, S - 51, 0), OUT(ACK, S, R),
		IN(SYN | ACK, R - 51, S - 50, .reason = OH_INBOUND_NOT_ALLOWED),
		OUT(ACK, S, R, EVIL, OH_TLS_NAME_NOT_ALLOWED),
	} },
	{ "the first one is over, once the second was answered", {
		OUT(SYN, S - 1, 0), IN(SYN | ACK, R - 1, S), OUT(SYN, S - 51, 0), IN(SYN | ACK, R - 51, S - 50),
		OUT(ACK, S, R, .reason = HELD), OUT(ACK, S - 50, R - 50, GOOD), OUT(ACK, S, R, .reason = HELD),
		OUT(RST, S, 0),
	} },
	{ "the same SYN again", {
		OUT(SYN, S - 1, 0), IN(SYN | ACK, R - 1, S), OUT(SYN, S - 1, 0), IN(SYN | ACK, R - 1, S),
		OUT(ACK, S, R, GOOD), IN(SYN | ACK, R - 1, S), OUT(SYN, S - 1, 0, .reason = HELD),
		IN(SYN | ACK, R - 1, S), OUT(ACK, S, R, OTHER_GOOD, OH_TLS_NOT_TLS),
	} },
	{ "a hello in three frames", {
		SHAKE, OUT(ACK, S + 120, R, GOOD_B, HELD), OUT(ACK, S, R, GOOD_A), OUT(ACK, S + 160, R, GOOD_C, HELD),
		OUT(ACK, S + 120, R, GOOD_B), OUT(ACK, S + 160, R, GOOD_C), OUT(ACK, S, R, GOOD),
		OUT(ACK, S, R, GOOD_A, OH_TLS_NOT_TLS, 1), OUT(ACK, S + 120, R, GOOD_B, HELD),
		IN(ACK, R, S + 120), OUT(ACK, S, R, GOOD_A, .change = 1),
		OUT(ACK, S + 120, R, GOOD_B, OH_TLS_NOT_TLS, 1), IN(ACK, R, S + SIZE),
		OUT(ACK, S + 120, R, GOOD_B, .change = 1),
	} },
	{ "what is sent again is compared to its last byte", {
		SHAKE, OUT(ACK, S, R, GOOD), OUT(ACK, S, R, GOOD, OH_TLS_NOT_TLS, 1),
		OUT(ACK, S, R, GOOD, OH_TLS_NOT_TLS, 64), OUT(ACK, S, R, GOOD, OH_TLS_NOT_TLS, 65),
		OUT(ACK, S, R, GOOD, OH_TLS_NOT_TLS, 66), OUT(ACK, S, R, GOOD, OH_TLS_NOT_TLS, SIZE - 1),
		OUT(ACK, S, R, GOOD, OH_TLS_NOT_TLS, SIZE), OUT(ACK, S, R, GOOD), OUT(ACK, S, R, GOOD_A),
		IN(ACK, R, S + 1), OUT(ACK, S + 120, R, GOOD_B), OUT(ACK, S + 120, R, GOOD_B, OH_TLS_NOT_TLS, 40),
	} },
	{ "behind the look's end anything passes, before it is acknowledged too", {
		SHAKE, OUT(ACK, S, R, GOOD), OUT(ACK, S + SIZE, R, CIPHER_DATA), OUT(ACK, S + SIZE + 75, R, LETTERS),
		OUT(ACK, S, R, EVIL, OH_TLS_NOT_TLS), OUT(ACK, S + SIZE, R, LETTERS, HELD), IN(ACK, R, S + SIZE),
		OUT(ACK, S + SIZE, R, LETTERS, OH_TLS_NOT_TLS), IN(ACK, R, S + SIZE + 83),
		OUT(ACK, S + SIZE, R, LETTERS),
	} },
	{ "a segment acknowledges what came in, or belongs to another connection", {
		SHAKE, OUT(ACK, S, R - 1, GOOD, HELD), OUT(ACK, S, R + 1, GOOD, HELD), OUT(PSH, S, R, GOOD, HELD),
		OUT(ACK, S, R + 1, .reason = HELD), IN(ACK, R, S, LETTERS), OUT(ACK, S, R + 9, .reason = HELD),
		OUT(ACK, S, R + 8), OUT(ACK, S, R + 8, GOOD), IN(ACK | FIN, R + 8, S),
		OUT(ACK, S + SIZE, R + 9),
	} },
	{ "urgent bytes, and word of them", {
		SHAKE, OUT(ACK | 0x20, S, R, .reason = OH_TLS_NOT_TLS), OUT(ACK | 0x20, S, R, GOOD, OH_TLS_NOT_TLS),
		OUT(ACK, S, R, GOOD), OUT(ACK | 0x20, S, R, .reason = OH_TLS_NOT_TLS), OUT(SYN | ACK, S, R, GOOD, HELD),
		OUT(SYN, 9, 0, GOOD, OH_TLS_IN_SYN),
	} },
	{ "a reset moves nothing: it may be made of a segment that was refused", {
		SHAKE, OUT(ACK, S, R, GOOD), OUT(ACK, S + SIZE, R, CIPHER_DATA), IN(RST | ACK, R, S + SIZE + 75),
		OUT(ACK, S, R, OTHER_GOOD, OH_TLS_NOT_TLS), IN(RST | ACK, R + 50, S), OUT(ACK, S, R + 50, GOOD, HELD),
	} },
	{ "until the far side has acknowledged a byte, what leaves begins at the first or follows what has left", {
		SHAKE, OUT(ACK, S - 1, R, .reason = HELD), OUT(ACK, S + 1, R, .reason = HELD), OUT(ACK, S, R, GOOD),
		OUT(ACK, S + 1, R, .reason = HELD), OUT(ACK, S + SIZE - 1, R, .reason = HELD), OUT(ACK, S + SIZE, R),
		OUT(ACK, S + SIZE + 1, R, .reason = HELD), IN(ACK, R, S + 1),
		OUT(ACK, S - 1, R), OUT(ACK, S + 1, R),
	} },
	{ "a second hello", {
		SHAKE, OUT(ACK, S, R, GOOD13), IN(ACK, R, S + SIZE, RETRY),
		OUT(ACK, S + SIZE, R + 60, EVIL13, OH_TLS_NAME_NOT_ALLOWED),
		OUT(ACK, S + SIZE, R + 60, OTHER13, OH_TLS_NAME_NOT_ALLOWED), OUT(ACK, S + SIZE, R + 60, CIPHER),
		OUT(ACK, S + SIZE + 6, R + 60, EVIL13, OH_TLS_NAME_NOT_ALLOWED),
		OUT(ACK, S + SIZE + 6, R + 60, AGAIN13), OUT(ACK, S + SIZE + 6, R + 60, EVIL13, OH_TLS_NOT_TLS),
		IN(ACK, R + 60, S + 2 * SIZE + 6), OUT(ACK, S + 2 * SIZE + 6, R + 60, EVIL13, OH_TLS_NAME_NOT_ALLOWED),
		OUT(ACK, S + 2 * SIZE + 6, R + 60, DATA), OUT(ACK, S + 2 * SIZE + 75, R + 60, LETTERS),
	} },
	{ "early data may be followed by a second hello", {
		SHAKE, OUT(ACK, S, R, GOOD_EARLY), OUT(ACK, S + SIZE, R, CIPHER_DATA), OUT(ACK, S + SIZE + 75, R, DATA),
		IN(ACK, R, S + SIZE + 75, RETRY), OUT(ACK, S + SIZE + 144, R + 60, DATA),
		OUT(ACK, S + SIZE + 213, R + 60, LETTERS, OH_TLS_NOT_TLS),
		OUT(ACK, S + SIZE + 213, R + 60, EVIL13, OH_TLS_NAME_NOT_ALLOWED),
		OUT(ACK, S + SIZE + 213, R + 60, AGAIN13), OUT(ACK, S + 2 * SIZE + 213, R + 60, DATA),
		OUT(ACK, S + 2 * SIZE + 282, R + 60, LETTERS),
	} },
	{ "it may not, where the server's own hello has come", {
		SHAKE, OUT(ACK, S, R, GOOD_EARLY), OUT(ACK, S + SIZE, R, CIPHER_DATA), IN(ACK, R + 1, S + SIZE, SERVED),
		OUT(ACK, S + SIZE + 75, R, LETTERS, OH_TLS_NOT_TLS, .what = "it is not the first that the server says"),
		IN(ACK, R, S + SIZE, SERVED), OUT(ACK, S + SIZE, R + 60, LETTERS, OH_TLS_NOT_TLS),
		OUT(ACK, S + SIZE + 75, R + 60, LETTERS), IN(ACK, R + 60, S + SIZE + 83),
		OUT(ACK, S + SIZE, R + 60, LETTERS),
	} },
	{ "queries, at the place that the far side knows", {
		OUT(SYN, S - 1, 0), OUT(ACK, S, R, QUERY, OH_DNS_MALFORMED), IN(SYN | ACK, R - 1, S),
		OUT(ACK, S, R, EVIL_QUERY, OH_DNS_NAME_NOT_ALLOWED),
		OUT(SYN, S - 21, 0), OUT(ACK, S - 20, R, QUERY, HELD), OUT(ACK, S, R, QUERY_A, HELD),
		OUT(ACK, S, R, QUERY), OUT(ACK, S, R, QUERY_A), OUT(ACK, S + 10, R, QUERY_B, HELD), IN(ACK, R, S + 10),
		OUT(ACK, S + 10, R, QUERY_B), OUT(ACK, S, R, EVIL_QUERY, OH_DNS_MALFORMED), OUT(ACK, S + 32, R, QUERY),
		OUT(ACK, S + 32, R, QUERY), OUT(ACK, S + 32, R, EVIL_QUERY, OH_DNS_MALFORMED), IN(ACK, R, S + 64),
		OUT(ACK, S + 64, R, EVIL_QUERY, OH_DNS_NAME_NOT_ALLOWED),
		OUT(ACK, S + 32, R, EVIL_QUERY, .what = "the far side has it already"), OUT(ACK, S + 64, R, QUERY),
		OUT(ACK, S + 95, R, QUERY_B, OH_DNS_MALFORMED),
	}, true },
};

/* Runs one step's frame: what it did, in the table's terms; negative: it could not be run. */
static int run(const struct scene *scene, const struct step *s, __u16 port)
{
	bool out = s->way == '>';
	struct packet p = { .protocol = TCP, .flags = s->flags, .from = out ? THIS_4 : scene->dns ? RESOLVER : SITE,
			    .to = out ? scene->dns ? RESOLVER : SITE : THIS_4 };
	const __u32 numbers[2] = { htonl(s->sequence), htonl(s->acknowledged) };
	struct oh_count before[OH_COUNTS], after[OH_COUNTS];
	struct __sk_buff context = { .ifindex = lab.device, .ingress_ifindex = out && !scene->local ? lab.device : 0 };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, o, .repeat = 1);
	struct bytes b;
	struct frame f;

	make(&b, s->load);
	if (s->change)
		b.byte[s->change - 1] ^= 1;
	p.source_port = out ? port : scene->dns ? 53 : 443;
	p.port = out ? scene->dns ? 53 : 443 : port;
	p.payload = b.length;
	packet_build(&p, &f);
	memcpy(f.byte + ETHERNET + f.headers + 4, numbers, sizeof(numbers));
	if (!b.length && f.length > ETHERNET + f.headers + 20) {	/* the builder's own query */
		f.length = ETHERNET + f.headers + 20;
		put16(f.byte + ETHERNET + 2, (unsigned int)(f.length - ETHERNET));
	}
	memcpy(f.byte + ETHERNET + f.headers + 20, b.byte, b.length);
	o.data_in = f.byte;
	o.data_size_in = (__u32)f.length;
	o.ctx_in = &context;
	o.ctx_size_in = sizeof(context);
	lab_read_counts(&lab, before);
	if (bpf_prog_test_run_opts(engine_program(lab.set, out ? OH_HOOK_UPLINK_EGRESS : OH_HOOK_UPLINK_INGRESS), &o))
		return -errno;
	packets_judged++;
	lab_read_counts(&lab, after);
	if (ring_buffer__consume(lab.ring) < 0)
		return -EPROTO;
	if (o.retval == (__u32)-1)
		return PASSES;
	for (int i = OH_REASON_FIRST_REFUSAL; i < OH_REASON_MAX; i++) {
		if (after[i].packets != before[i].packets)
			return i;
	}
	return HELD;
}

static void scenes_are_played_as_they_say(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(scenes) / sizeof(*scenes); i++) {
		for (unsigned int n = 0; n < sizeof(scenes[i].step) / sizeof(*scenes[i].step) &&
		     scenes[i].step[n].way; n++) {
			const struct step *s = &scenes[i].step[n];
			int got = run(&scenes[i], s, (__u16)(41000 + i));

			if (got == (int)s->reason)
				continue;
			fprintf(stderr, "%s: step %u (%c %02x %d): %s, not %s\n", scenes[i].name, n + 1, s->way,
				s->flags, (int)(s->sequence - S),
				got == HELD ? "held" : got ? reason_name((unsigned int)got) : "passes",
				s->reason == HELD ? "held" : s->reason ? reason_name(s->reason) : "passes");
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

static unsigned int count(enum engine_map map)
{
	struct oh_flow_key key, *at = NULL;
	unsigned int n = 0;

	while (!bpf_map_get_next_key(lab.engine.map[map], at, &key)) {
		at = &key;
		n++;
	}
	return n;
}

enum { OWN_ROOM = OH_OPENINGS_MAX / 2 / OH_SENDERS, MORE_ROOM = OH_OPENINGS_MAX / 2 / 8 };

/* What nobody answers takes no flow's place, and none of another sender's. */
static void flood_of_syns_starves_its_sender_alone(void **state)
{
	const struct scene flood = { .name = "flood" }, other = { .name = "another's", .local = true };
	const struct step syn = OUT(SYN, S - 1, 0), welcome = IN(SYN | ACK, R - 1, S);
	unsigned int before = count(ENGINE_FLOWS);
	__u16 port = 1;

	(void)state;
	/* Time pays off a debt: so again and again, each time with no room left. */
	for (__u16 round = 0; round < 50; round++) {
		while (!run(&flood, &syn, port))
			assert_in_range(++port, 1, OH_OPENINGS_MAX - 1);
		assert_in_range(port, OWN_ROOM + MORE_ROOM, OH_OPENINGS_MAX - 1);
		assert_int_equal(run(&flood, &syn, 1), PASSES);	/* it has its place */
		assert_int_equal(run(&other, &syn, 50000 + round), PASSES);
	}
	assert_int_equal(count(ENGINE_FLOWS), before);
	assert_int_equal(run(&other, &welcome, 50000), PASSES);
	assert_int_equal(count(ENGINE_FLOWS), before + 1);
}

static void answered_opening_gives_its_room_back(void **state)
{
	const struct scene busy = { .name = "busy", .local = true };
	const struct step syn = OUT(SYN, S - 1, 0), welcome = IN(SYN | ACK, R - 1, S);

	(void)state;
	for (__u16 port = 1; port <= 4 * (OWN_ROOM + MORE_ROOM); port++) {
		assert_int_equal(run(&busy, &syn, port), PASSES);
		assert_int_equal(run(&busy, &welcome, port), PASSES);
	}
}

static void put_name(const char *name, enum oh_service service, __u32 target)
{
	struct oh_name_entry entry = { .rule[0] = { .target = target, .generation = 7,
		.port = service == OH_SERVICE_DNS ? 0 : 443,
						    .service = (__u8)service } };
	struct oh_name_key key;

	assert_int_equal(oh_key_from_text(&key, name), 0);
	lab_set(&lab, ENGINE_NAMES, &key, &entry);
}

static int start(void **state)
{
	const struct oh_target named = { .generation = 7, .lapses = OH_FOREVER, .state = OH_TARGET_LIVE, .named = 1 };
	const struct oh_address site = packet_address(SITE), resolver = packet_address(RESOLVER);
	const struct oh_entry at_site = { .grant[0] = { .expires = OH_FOREVER, .target = T_SITE, .generation = 7,
		.port = 443,
								  .service = OH_SERVICE_TCP } };
	const struct oh_entry at_resolver = { .grant[0] = { .expires = OH_FOREVER, .target = T_DNS, .generation = 7,
		.port = 53,
								      .service = OH_SERVICE_DNS } };
	const struct config c = { .max_addresses = 64, .uplinks = { "eth0" }, .uplink_count = 1, .inspect = true };
	const __u32 id = T_SITE;

	*state = &lab;
	table_lab(&lab, &c, false);
	lab_ready(&lab, true);
	lab_set(&lab, ENGINE_TARGETS, &id, &named);
	lab_target(&lab, T_DNS, 7, OH_FOREVER);
	lab_set(&lab, ENGINE_ADDRESSES, &site, &at_site);
	lab_set(&lab, ENGINE_ADDRESSES, &resolver, &at_resolver);
	put_name("good.example", OH_SERVICE_TCP, T_SITE);
	put_name("fine.example", OH_SERVICE_TCP, T_SITE);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scenes_are_played_as_they_say),
		cmocka_unit_test(answered_opening_gives_its_room_back),
		cmocka_unit_test(flood_of_syns_starves_its_sender_alone),
	};

	return table_end(run_as_root(tests, start, lab_stop_group), &lab);
}
