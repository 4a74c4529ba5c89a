// SPDX-License-Identifier: MIT
/* What an uplink's programs learn, by designated frames: a query that leaves, and what claims to answer it. */
#include "engine/publish_answers.h"
#include "parse/name_key.h"
#include "table.h"

#define RESOLVER "10.0.0.2"
#define OTHER "203.0.113.66"
#define MAX_TTL 3600
#define GRACE 100
#define TTL 600

enum { T_NAME = 1, T_DNS };

static struct lab lab;

struct answer_row {
	const char *name;
	const char *from;		/* NULL: the resolver that was asked */
	__u16 source_port;		/* 0: 53 */
	__u16 port;			/* 0: the query's */
	bool loopback;			/* it comes by another interface than the query left by */
	__u16 id;			/* 0: the query's */
	const char *address;		/* IPv4 */
	__u32 ttl;
	bool taught;
	bool unforced;			/* it comes in because the query was let out, and for no other reason */
};

static const struct answer_row rows[] = {
	{ "the answer", .address = "192.0.2.10", .ttl = TTL, .taught = true },
	{ "from any host's port 53", .from = OTHER, .address = "192.0.2.11", .ttl = TTL },
	{ "from another port of the resolver", .source_port = 54, .address = "192.0.2.12", .ttl = TTL },
	{ "to another port", .port = TEST_SOURCE_PORT + 1, .address = "192.0.2.13", .ttl = TTL },
	{ "by another interface", .loopback = true, .address = "192.0.2.14", .ttl = TTL },
	{ "with another id", .id = 0x1235, .address = "192.0.2.15", .ttl = TTL },
	{ "of a private address", .address = "10.9.9.9", .ttl = TTL },
	{ "of the metadata service", .address = "169.254.169.254", .ttl = TTL },
	{ "of a task's credentials", .address = "169.254.170.2", .ttl = TTL },
	{ "with a longer life than max-ttl", .address = "192.0.2.17", .ttl = 2 * MAX_TTL, .taught = true },
	{ "with a longer life than any resolver keeps it", .address = "192.0.2.16", .ttl = 1000000, .taught = true },
};

/* Lets a query for api.openai.com out: packet_build() makes it. */
static void ask_from(__u16 port)
{
	const struct packet query = { .to = RESOLVER, .protocol = UDP, .port = 53, .source_port = port };
	struct __sk_buff context = { .ifindex = lab.device, .ingress_ifindex = lab.device };
	struct frame f;
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f.byte, .ctx_in = &context,
			    .ctx_size_in = sizeof(context), .repeat = 1);

	packet_build(&query, &f);
	options.data_size_in = (__u32)f.length;
	assert_int_equal(bpf_prog_test_run_opts(engine_program(lab.set, OH_HOOK_UPLINK_EGRESS), &options), 0);
	assert_int_equal((int)options.retval, -1 /* TC_ACT_UNSPEC */);
}

static void ask(void)
{
	ask_from(0);
}

static void put32(uint8_t *to, __u32 value)
{
	put16(to, value >> 16);
	put16(to + 2, value & 0xffff);
}

/* Lets what answers come in, so that it is the answer which is judged. */
static void put_flow(const struct packet *reply)
{
	const struct oh_flow_key key = { .remote = packet_address(reply->from), .local = packet_address(reply->to),
					 .remote_port = reply->source_port, .local_port = reply->port,
					 	.protocol = UDP };
	const struct oh_connection flow = { .to = key.remote, .port = key.remote_port, .admitted = 1, .target = T_DNS,
					    .generation = 7 };

	lab_set(&lab, ENGINE_FLOWS, &key, &flow);
}

/* One A record for the name that was asked for. */
static void answer(const struct answer_row *row)
{
	uint8_t message[sizeof(dns_query) + 16];
	const struct packet packet = { .from = row->from ? row->from : RESOLVER, .to = THIS_4, .protocol = UDP,
				       .source_port = row->source_port ? row->source_port : 53,
				       .port = row->port ? row->port : TEST_SOURCE_PORT, .payload = sizeof(message) };
	const struct oh_address address = packet_address(row->address);
	struct __sk_buff context = { .ifindex = row->loopback ? 1 : lab.device };
	struct frame f;
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f.byte, .ctx_in = &context,
			    .ctx_size_in = sizeof(context), .repeat = 1);

	memcpy(message, dns_query, sizeof(dns_query));
	if (row->id)
		put16(message, row->id);
	put16(message + 2, 0x8180);
	put16(message + 6, 1);
	put_hex(message + sizeof(dns_query), "c00c 0001 0001");
	put32(message + sizeof(dns_query) + 6, row->ttl);
	put16(message + sizeof(dns_query) + 10, 4);
	memcpy(message + sizeof(dns_query) + 12, address.byte + 12, 4);
	if (!row->unforced)
		put_flow(&packet);
	packet_build(&packet, &f);
	memcpy(f.byte + ETHERNET + f.headers + 8, message, sizeof(message));
	options.data_size_in = (__u32)f.length;
	assert_int_equal(bpf_prog_test_run_opts(engine_program(lab.set, OH_HOOK_UPLINK_INGRESS), &options), 0);
	assert_int_equal((int)options.retval, -1);
}

static bool is_learned(const char *text, struct oh_grant *ret)
{
	const struct oh_address address = packet_address(text);
	struct oh_entry entry;

	if (bpf_map_lookup_elem(lab.engine.map[ENGINE_LEARNED], &address, &entry))
		return false;
	*ret = entry.grant[0];
	return true;
}

static uint64_t pending(void)
{
	uint64_t entries, max;
	struct error e;

	assert_int_equal(engine_map_fill(&lab.engine, ENGINE_PENDING, &entries, &max, &e), 0);
	return entries;
}

static void answers_teach_as_the_table_says(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		__u32 life = (rows[i].ttl < OH_TTL_LONGEST ? rows[i].ttl : OH_TTL_LONGEST) + GRACE, before = lab_now();
		struct oh_grant g;

		ask();
		answer(&rows[i]);
		if (is_learned(rows[i].address, &g) != rows[i].taught) {
			fprintf(stderr, "%s: %s\n", rows[i].name, rows[i].taught ? "taught nothing" : "taught");
			wrong++;
		} else if (rows[i].taught) {
			assert_true(g.target == T_NAME && g.generation == 7 && g.port == 443 &&
				    g.service == OH_SERVICE_TCP);
			assert_int_equal(g.learned, OH_LEARNED_ANSWER);
			assert_in_range(g.expires, before + life, lab_now() + life);
		}
	}
	assert_int_equal(wrong, 0);
}

/* The second one may be anybody's who saw the first, or guesses better for having more time. */
static void query_has_one_answer(void **state)
{
	const struct answer_row first = { .address = "192.0.2.20", .ttl = TTL },
				second = { .address = "192.0.2.21", .ttl = TTL };
	const struct answer_row forged = { .from = OTHER, .address = "192.0.2.22", .ttl = TTL };
	struct oh_grant g;

	(void)state;
	ask();
	assert_int_equal(pending(), 1);
	answer(&forged);
	assert_int_equal(pending(), 1);
	answer(&first);
	assert_int_equal(pending(), 0);
	answer(&second);
	assert_true(is_learned(first.address, &g));
	assert_false(is_learned(second.address, &g));
}

static bool somebody_found_no_room(void)
{
	struct oh_shares all;
	struct error e;

	assert_int_equal(engine_read_shares(&lab.engine, OH_SHARES_OF_ALL, &all, &e), 0);
	return all.of[OH_SHARED_PENDING].own != 0;
}

/* A name may be asked for as often as it is answered. What is not answered takes room, in its own share only. */
static void answered_query_gives_its_room_back(void **state)
{
	const struct answer_row row = { .address = "192.0.2.23", .ttl = TTL };

	(void)state;
	for (int i = 0; i < 2 * OH_PENDING_MAX; i++) {
		ask();
		answer(&row);
	}
	assert_false(somebody_found_no_room());
	for (int i = 0; i < OH_PENDING_MAX; i++)
		ask();
	assert_true(somebody_found_no_room());
}

/* The uplink's own record of a query: whoever asks by another port each time may do so as long as answers come. */
static void answered_datagram_gives_its_opening_back(void **state)
{
	struct answer_row row = { .address = "192.0.2.24", .ttl = TTL, .unforced = true };

	(void)state;
	for (__u16 i = 1; i <= OH_OPENINGS_MAX / 4; i++) {
		row.port = i;
		ask_from(i);
		answer(&row);
		answer(&row);	/* a second time, as resolvers may */
	}
}

static void learn_by_hand(const char *text, __u32 expires, __u32 other_expires)
{
	const struct oh_address address = packet_address(text);
	const struct oh_entry entry = { .grant = {
						{ .expires = expires,
						  .target = T_NAME,
						  .generation = 7,
						  .port = 443,
						  .service = OH_SERVICE_TCP },
						{ .expires = other_expires,
						  .target = T_NAME,
						  .generation = 7,
						  .port = 80,
						  .service = other_expires ? OH_SERVICE_TCP : 0 },
					} };

	lab_set(&lab, ENGINE_LEARNED, &address, &entry);
}

/* A sweep takes what has been over for a while, and nothing that is in use or may be renewed this moment. */
static void sweep_leaves_what_is_in_use(void **state)
{
	const __u32 now = 2 * OH_KEPT;	/* as if this machine had been up for so long */
	struct oh_grant g;
	struct error e;

	(void)state;
	learn_by_hand("192.0.2.30", now + 1000, 0);
	learn_by_hand("192.0.2.31", OH_FOREVER, 0);
	learn_by_hand("192.0.2.32", now - OH_KEPT + 10, 0);
	learn_by_hand("192.0.2.33", now - OH_KEPT - 100, 0);
	learn_by_hand("192.0.2.34", now - OH_KEPT - 100, now + 1000);
	assert_int_equal(publish_sweep_answers(&lab.engine, now, &e), 0);
	assert_true(is_learned("192.0.2.30", &g));
	assert_true(is_learned("192.0.2.31", &g));
	assert_true(is_learned("192.0.2.32", &g));
	assert_false(is_learned("192.0.2.33", &g));
	assert_true(is_learned("192.0.2.34", &g));
}

static void put_resolver(const char *text)
{
	const struct oh_address address = packet_address(text);
	const struct oh_entry entry = { .grant[0] = { .expires = OH_FOREVER,
						      .target = T_DNS,
						      .generation = 7,
						      .port = 53,
						      .service = OH_SERVICE_DNS } };

	lab_set(&lab, ENGINE_ADDRESSES, &address, &entry);
}

static int start(void **state)
{
	const struct config c = { .max_addresses = 1024, .uplinks = { "eth0" }, .uplink_count = 1, .inspect = true,
				  .min_ttl = 30, .max_ttl = MAX_TTL, .grace = GRACE };
	const struct oh_name_entry entry = { .rule[0] = { .target = T_NAME, .generation = 7, .port = 443,
							  .service = OH_SERVICE_TCP } };
	struct oh_name_key key;

	*state = &lab;
	table_lab(&lab, &c, false);
	lab_ready(&lab, true);
	lab_target(&lab, T_NAME, 7, OH_FOREVER);
	lab_target(&lab, T_DNS, 7, OH_FOREVER);
	put_resolver(RESOLVER);
	if (oh_key_from_text(&key, "api.openai.com"))
		return -1;
	lab_set(&lab, ENGINE_NAMES, &key, &entry);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_teach_as_the_table_says),
		cmocka_unit_test(query_has_one_answer),
		cmocka_unit_test(answered_query_gives_its_room_back),
		cmocka_unit_test(answered_datagram_gives_its_opening_back),
		cmocka_unit_test(sweep_leaves_what_is_in_use),
	};

	return run_as_root(tests, start, lab_stop_group);
}
