// SPDX-License-Identifier: MIT
/* The rules, one by one: which packet is admitted by which, and why all others are refused. */
#include "policy/address.h"
#include "table.h"
#include "host_rows.h"
#include "rule_rows.h"

static struct lab strict, observing, with_metadata;

static void add_inbound(struct config *c, __u16 port, const char *range)
{
	struct oh_range r, mask;
	struct oh_inbound *rule = &c->inbound[c->inbound_count++];

	assert_int_equal(range_parse(range, &r), 0);
	mask.prefix = r.prefix;
	memset(&mask.address, 0xff, sizeof(mask.address));
	range_mask(&mask);
	*rule = (struct oh_inbound){ .address = r.address, .mask = mask.address, .port = port };
}

static void add_translator(struct config *c, const char *prefix)
{
	struct oh_range r;

	assert_int_equal(range_parse(prefix, &r), 0);
	assert_int_equal(nat64_add(&c->nat64, &r), 0);
}

/* As many inbound rules and translators as there can be: the last by their order count as well. */
static void make_config(struct config *c)
{
	*c = (struct config){ .max_addresses = 1024 };
	add_translator(c, "2001:db8:64::/96");
	add_translator(c, "fd64::/96");
	add_translator(c, "fd65::/96");
	add_translator(c, "2001:db8:6600::/40");
	add_inbound(c, 22, "10.1.0.0/16");
	add_inbound(c, 22, "fd01::/48");
	add_inbound(c, 3000, "10.0.0.10");
	add_inbound(c, 3000, "fd02::10");
	add_inbound(c, 30000, "10.1.0.0/16");
	c->inbound[c->inbound_count - 1].more = 9999;
	add_inbound(c, 30000, "fd01::/48");
	c->inbound[c->inbound_count - 1].more = 9999;
	while (c->inbound_count < OH_INBOUND_MAX - 2)
		add_inbound(c, (__u16)(61000 + c->inbound_count), "192.168.77.0/24");
	add_inbound(c, 60032, "fd03::/16");
	add_inbound(c, 60032, "100.64.0.0/10");
}

static struct oh_grant grant(__u8 service, __u16 port, __u32 target, __u32 expires)
{
	return (struct oh_grant){ .service = service, .port = port, .target = target, .generation = 7,
		.expires = expires };
}

static struct oh_grant several(__u16 port, __u16 more)
{
	struct oh_grant g = grant(OH_SERVICE_TCP, port, T_API, OH_FOREVER);

	g.more = more;
	return g;
}

static void put(const struct lab *lab, unsigned int host, const struct oh_entry *entry)
{
	for (int six = 0; six < 2; six++) {
		struct oh_address a = packet_address(hosts[host].address[six]);

		lab_set(lab, ENGINE_ADDRESSES, &a, entry);
	}
}

static void put_one(const struct lab *lab, unsigned int host, struct oh_grant g)
{
	const struct oh_entry entry = { .grant[0] = g };

	put(lab, host, &entry);
}

static void put_range(const struct lab *lab, const char *text, struct oh_grant g)
{
	const struct oh_entry entry = { .grant[0] = g };
	struct oh_range r;

	assert_int_equal(range_parse(text, &r), 0);
	lab_set(lab, ENGINE_RANGES, &r, &entry);
}

static void fill_targets(const struct lab *lab)
{
	for (size_t i = 0; i < WATCHED; i++)
		lab_target(lab, watched_targets[i], 7, OH_FOREVER);
	lab_target(lab, T_REVOKED, 8, OH_FOREVER);
	lab_target(lab, T_LAPSED, 7, 1);
	lab_target(lab, T_LAPSING, 7, lab_now() + 100000);
}

/* Grants to the metadata service's addresses and to what is beside a container's. */
static void put_metadata(const struct lab *lab)
{
	static const unsigned int to[] = { H_METADATA, H_TASK, H_POD, H_BELOW_TASK, H_ABOVE_POD };
	const struct oh_entry entry = { .grant = { grant(OH_SERVICE_TCP, 80, T_API, OH_FOREVER),
						   grant(OH_SERVICE_TCP, 443, T_API, OH_FOREVER),
						   grant(OH_SERVICE_NTP, 123, T_NTP, OH_FOREVER) } };

	for (size_t i = 0; i < sizeof(to) / sizeof(*to); i++)
		put(lab, to[i], &entry);
}

static void fill_addresses(const struct lab *lab)
{
	struct oh_entry six = { 0 };

	for (int i = 0; i < OH_GRANTS_MAX; i++)
		six.grant[i] = grant(OH_SERVICE_TCP, (__u16)(1001 + i), (__u32)(T_SLOT + i), OH_FOREVER);
	put(lab, H_SIX, &six);
	put(lab, H_EMPTY, &(struct oh_entry){ 0 });
	put(lab, H_LAST_SLOT, &(struct oh_entry){
		.grant[OH_GRANTS_MAX - 1] = grant(OH_SERVICE_TCP, 8443, T_API, OH_FOREVER) });
	put(lab, H_MIXED, &(struct oh_entry){ .grant = { grant(OH_SERVICE_TCP, 443, T_API, 1),
							 grant(OH_SERVICE_TCP, 80, T_SECOND, OH_FOREVER) } });
	put(lab, H_RENEWED, &(struct oh_entry){ .grant = { grant(OH_SERVICE_TCP, 443, T_API, 1),
							   grant(OH_SERVICE_TCP, 443, T_SECOND, OH_FOREVER) } });
	put(lab, H_TRAP, &(struct oh_entry){ .grant = { grant(OH_SERVICE_TCP, 443, T_API, OH_FOREVER),
							grant(OH_SERVICE_NTP, 123, T_NTP, OH_FOREVER) } });
	put_metadata(lab);
	put_one(lab, H_API, grant(OH_SERVICE_TCP, 443, T_API, OH_FOREVER));
	put_one(lab, H_PORTS, several(30000, 9999));
	put_one(lab, H_TOP_PORTS, several(65000, 535));
	put_one(lab, H_EXPIRED, grant(OH_SERVICE_TCP, 443, T_API, 1));
	put_one(lab, H_REVOKED, grant(OH_SERVICE_TCP, 443, T_REVOKED, OH_FOREVER));
	put_one(lab, H_LAPSED, grant(OH_SERVICE_TCP, 443, T_LAPSED, OH_FOREVER));
	put_one(lab, H_LAPSING, grant(OH_SERVICE_TCP, 443, T_LAPSING, OH_FOREVER));
	put_one(lab, H_IN_BOTH, grant(OH_SERVICE_TCP, 80, T_API, OH_FOREVER));
	put_one(lab, H_REVOKED_IN_RANGE, grant(OH_SERVICE_TCP, 443, T_REVOKED, OH_FOREVER));
	put_one(lab, H_IN_DEAD_RANGE, grant(OH_SERVICE_TCP, 8443, T_API, OH_FOREVER));
	put_one(lab, H_LATER, grant(OH_SERVICE_TCP, 443, T_API, lab_now() + 100000));
	put_one(lab, H_RESOLVER, grant(OH_SERVICE_DNS, 53, T_DNS, OH_FOREVER));
	put_one(lab, H_TCP_53, grant(OH_SERVICE_TCP, 53, T_API, OH_FOREVER));
	put_one(lab, H_NTP, grant(OH_SERVICE_NTP, 123, T_NTP, OH_FOREVER));
	put_one(lab, H_TCP_123, grant(OH_SERVICE_TCP, 123, T_API, OH_FOREVER));
	put_one(lab, H_DNS_443, grant(OH_SERVICE_DNS, 443, T_DNS, OH_FOREVER));
	put_one(lab, H_LAST_ID, grant(OH_SERVICE_TCP, 443, T_LAST, OH_FOREVER));
	put_one(lab, H_UNKNOWN_ID, grant(OH_SERVICE_TCP, 443, OH_TARGETS_MAX, OH_FOREVER));
}

/* Each holds the metadata service's address in another form. */
static const char *const translated[] = {
	"::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "2001:db8:64::/47",
	"2001:db8:6600::/40",
};

static void fill_ranges(const struct lab *lab)
{
	put_range(lab, "203.0.113.0/24", grant(OH_SERVICE_TCP, 443, T_WIDE, OH_FOREVER));
	put_range(lab, "203.0.113.128/25", grant(OH_SERVICE_TCP, 8443, T_NARROW, OH_FOREVER));
	put_range(lab, "203.0.113.200/32", grant(OH_SERVICE_TCP, 9443, T_ONE, OH_FOREVER));
	put_range(lab, "192.0.2.128/25", grant(OH_SERVICE_TCP, 443, T_REVOKED, OH_FOREVER));
	put_range(lab, "2001:db8:a::/48", grant(OH_SERVICE_TCP, 443, T_REVOKED, OH_FOREVER));
	put_range(lab, "2001:db8:2::/48", grant(OH_SERVICE_TCP, 443, T_WIDE, OH_FOREVER));
	put_range(lab, "2001:db8:2:8000::/49", grant(OH_SERVICE_TCP, 8443, T_NARROW, OH_FOREVER));
	put_range(lab, "2001:db8:2:ffff::1/128", grant(OH_SERVICE_TCP, 9443, T_ONE, OH_FOREVER));
	for (size_t i = 0; i < sizeof(translated) / sizeof(*translated); i++)
		put_range(lab, translated[i], grant(OH_SERVICE_TCP, 443, T_WIDE, OH_FOREVER));
}

static void fill(const struct lab *lab)
{
	const struct oh_address local = packet_address(LOCAL_4);
	const __u8 one = 1;

	fill_targets(lab);
	fill_addresses(lab);
	fill_ranges(lab);
	lab_set(lab, ENGINE_LOCAL, &local, &one);
	lab_ready(lab, true);
}

#define TABLE_TEST(name, rows) \
	static void name##_enforced(void **state) { (void)state; RUN_TABLE(&strict, rows, hosts, MODE_ENFORCE); } \
	static void name##_observed(void **state) { (void)state; RUN_TABLE(&observing, rows, hosts, MODE_OBSERVE); } \
	static void name##_on_loopback(void **state) { (void)state; RUN_TABLE(&strict, rows, hosts, MODE_LOOPBACK); } \
	static void name##_without_policy(void **state) \
	{ \
		(void)state; \
		lab_ready(&strict, false); \
		RUN_TABLE(&strict, rows, hosts, MODE_LOCKDOWN); \
	}
#define TABLE_TESTS(name) \
	cmocka_unit_test(name##_enforced), cmocka_unit_test(name##_observed), cmocka_unit_test(name##_on_loopback), \
	cmocka_unit_test_teardown(name##_without_policy, make_ready)

static int make_ready(void **state)
{
	(void)state;
	lab_ready(&strict, true);
	return 0;
}

TABLE_TEST(targets, target_rows)
TABLE_TEST(ranges, range_rows)
TABLE_TEST(services, service_rows)
TABLE_TEST(metadata_meant, metadata_meant_rows)
TABLE_TEST(inbound, inbound_rows)
TABLE_TEST(neighbours, neighbour_rows)
TABLE_TEST(dhcp, dhcp_rows)

static void sources_are_the_senders_own(void **state)
{
	(void)state;
	RUN_TABLE(&strict, source_rows, hosts, MODE_ENFORCE);
	RUN_TABLE(&observing, source_rows, hosts, MODE_OBSERVE);
}

/* Before there is a policy, observing refuses as ever, and says so. */
static void observing_without_policy_refuses(void **state)
{
	(void)state;
	lab_ready(&observing, false);
	RUN_TABLE(&observing, target_rows, hosts, MODE_LOCKDOWN);
	lab_ready(&observing, true);
	RUN_TABLE(&observing, target_rows, hosts, MODE_OBSERVE);
}

static void metadata_allowed(void **state)
{
	(void)state;
	RUN_TABLE(&with_metadata, metadata_allowed_rows, hosts, MODE_ENFORCE);
}

static void neighbour_discovery_behind_extensions_refused(void **state)
{
	(void)state;
	RUN_TABLE(&strict, neighbour_chain_rows, hosts, MODE_ENFORCE);
}

/* Without inbound rules nothing is a reply. */
static void no_inbound_rule_no_reply(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(inbound_rows) / sizeof(*inbound_rows); i++) {
		struct row row = inbound_rows[i];

		if (row.reason == OH_INBOUND_REPLY)
			row.reason = row.packet.port == 53 ? OH_DNS_RESOLVER_NOT_ALLOWED : OH_ADDRESS_NOT_ALLOWED;
		run_table(&with_metadata, &row, 1, hosts, MODE_ENFORCE);
	}
}

/* Every protocol number that is neither TCP, UDP nor ICMPv6, to an address that is allowed and to a resolver. */
static void other_protocols_refused(void **state)
{
	static const unsigned int to[] = { H_API, H_RESOLVER, H_NTP, H_WIDE_FIRST };
	unsigned int wrong = 0;

	(void)state;
	for (unsigned int n = 0; n < 256 * 4 * 2; n++) {
		const struct packet p = { .to = hosts[to[n / 256 % 4]].address[n / 1024], .protocol = (uint8_t)n,
			.payload = 80 };
		const struct row row = { "a protocol", p, .reason = OH_PROTOCOL_NOT_ALLOWED };
		bool six = n / 1024;

		if (p.protocol == TCP || p.protocol == UDP)
			continue;
		if (six && (p.protocol == 0 || p.protocol == 43 || p.protocol == 44 || p.protocol == 60))
			continue;	/* extension headers: see test_headers.c */
		if (!check_packet(&strict, &row, &p, MODE_ENFORCE)) {
			fprintf(stderr, "that was protocol %u\n", p.protocol);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

/* Runs a SYN to H_API while an expiry stands `ahead` seconds before it, all within one second of the kernel's clock. */
static enum oh_reason reason_at(int ahead, bool of_target)
{
	const struct packet p = { .to = hosts[H_API].address[0], .protocol = TCP, .port = 443, .flags = SYN };
	struct outcome o;
	struct frame f;
	__u32 now;

	packet_build(&p, &f);
	do {
		now = lab_now();
		if (of_target)
			lab_target(&strict, T_API, 7, (__u32)((int)now + ahead));
		else
			put_one(&strict, H_API, grant(OH_SERVICE_TCP, 443, T_API, (__u32)((int)now + ahead)));
		assert_int_equal(lab_run(&strict, &f, &o), 0);
	} while (lab_now() != now);
	for (unsigned int i = 0; i < OH_COUNTS; i++) {
		if (o.counted[i].packets)
			return (enum oh_reason)i;
	}
	return OH_NONE;
}

static int restore(void **state)
{
	(void)state;
	fill(&strict);
	return 0;
}

static void expiry_holds_to_the_second(void **state)
{
	(void)state;
	assert_int_equal(reason_at(-1, false), OH_ADDRESS_EXPIRED);
	assert_int_equal(reason_at(0, false), OH_ADDRESS_EXPIRED);
	assert_int_equal(reason_at(1, false), OH_TARGET);
}

static void lapse_holds_to_the_second(void **state)
{
	(void)state;
	assert_int_equal(reason_at(-1, true), OH_ADDRESS_NOT_ALLOWED);
	assert_int_equal(reason_at(0, true), OH_ADDRESS_NOT_ALLOWED);
	assert_int_equal(reason_at(1, true), OH_TARGET);
}

/* One write to the target, and none to its addresses, takes them all back. */
static void raised_generation_revokes(void **state)
{
	struct row rows[] = {
		{ "before", TCP_SYN(443), H_API, OH_TARGET, T_API },
		{ "after", TCP_DATA(443), H_API, OH_ADDRESS_NOT_ALLOWED },
	};

	(void)state;
	run_table(&strict, &rows[0], 1, hosts, MODE_ENFORCE);
	lab_target(&strict, T_API, 8, OH_FOREVER);
	run_table(&strict, &rows[1], 1, hosts, MODE_ENFORCE);
}

static void refuse(const struct packet *p, unsigned int times)
{
	struct __sk_buff context = { .ifindex = strict.device };
	struct frame f;

	packet_build(p, &f);
	for (unsigned int i = 0; i < times; i++) {
		DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f.byte, .data_size_in = (__u32)f.length,
				    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1);

		assert_int_equal(bpf_prog_test_run_opts(engine_program(strict.set, OH_HOOK_EGRESS), &options), 0);
		assert_int_equal(options.retval, 0);
	}
}

static struct oh_folded folded_at(__u64 id)
{
	struct oh_fold_key key, next;
	struct oh_folded folded;
	int fd = strict.engine.map[ENGINE_FOLDS], r = bpf_map_get_next_key(fd, NULL, &next);

	for (; !r; r = bpf_map_get_next_key(fd, &key, &next)) {
		assert_int_equal(bpf_map_lookup_elem(fd, &next, &folded), 0);
		if (folded.id == id)
			return folded;
		key = next;
	}
	fail_msg("nothing is folded as %llu", (unsigned long long)id);
	abort();
}

/* A repeat raises a count, and takes no place in the buffer. */
static void repeat_is_counted_and_not_told(void **state)
{
	struct packet p = { .to = "192.0.2.1", .protocol = TCP, .port = 443, .flags = SYN };

	(void)state;
	told_forget(&strict.engine);
	strict.events = 0;
	refuse(&p, 100);
	assert_true(ring_buffer__consume(strict.ring) >= 0);
	assert_int_equal(strict.events, 1);
	assert_int_equal(strict.event.count, 1);
	assert_int_equal(folded_at(strict.event.fold).count, 100);
	assert_false(strict.event.reply);
	p.port = 444;	/* something else */
	refuse(&p, 1);
	p.flags = SYN | ACK;	/* and so is an answer */
	refuse(&p, 1);
	assert_true(ring_buffer__consume(strict.ring) >= 0);
	assert_int_equal(strict.events, 3);
	assert_true(strict.event.reply);
}

/* What exceeds a share is one more event, and then a count. The buffer never fills by one sender. */
static void flood_leaves_room(void **state)
{
	struct packet p = { .to = "192.0.2.1", .protocol = TCP, .flags = SYN };
	struct oh_count before, lost;
	struct error e;

	(void)state;
	told_forget(&strict.engine);
	assert_true(ring_buffer__consume(strict.ring) >= 0);
	assert_int_equal(engine_read_count(&strict.engine, OH_COUNT_EVENTS_LOST, &before, &e), 0);
	for (unsigned int i = 0; i < 10000; i++) {
		p.port = (__u16)(1000 + i);
		refuse(&p, 1);
	}
	assert_int_equal(engine_read_count(&strict.engine, OH_COUNT_EVENTS_LOST, &lost, &e), 0);
	assert_int_equal(lost.packets, before.packets);
	strict.events = 0;
	assert_true(ring_buffer__consume(strict.ring) >= 0);
	/* a share, and another one, since what came before was read */
	assert_true(strict.events <= 2 * OH_TOLD_OF_GROUP + 1);
	assert_true(strict.event.others);
	assert_int_equal(strict.event.reason, OH_ADDRESS_NOT_ALLOWED);
	assert_int_equal(strict.event.destination_port, 0);
	assert_int_equal(strict.events - 1 + folded_at(strict.event.fold).count, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TESTS(targets), TABLE_TESTS(ranges), TABLE_TESTS(services), TABLE_TESTS(metadata_meant),
		TABLE_TESTS(inbound), TABLE_TESTS(neighbours), TABLE_TESTS(dhcp),
		cmocka_unit_test(neighbour_discovery_behind_extensions_refused),
		cmocka_unit_test(metadata_allowed),
		cmocka_unit_test(observing_without_policy_refuses),
		cmocka_unit_test(sources_are_the_senders_own),
		cmocka_unit_test(no_inbound_rule_no_reply),
		cmocka_unit_test(other_protocols_refused),
		cmocka_unit_test_teardown(expiry_holds_to_the_second, restore),
		cmocka_unit_test_teardown(lapse_holds_to_the_second, restore),
		cmocka_unit_test_teardown(raised_generation_revokes, restore),
		cmocka_unit_test(repeat_is_counted_and_not_told),
		cmocka_unit_test(flood_leaves_room),
	};
	struct config c;
	int failed;

	make_config(&c);
	table_lab(&strict, &c, false);
	table_lab(&observing, &c, true);
	c = (struct config){ .max_addresses = 1024, .metadata = true };
	table_lab(&with_metadata, &c, false);
	fill(&strict);
	fill(&observing);
	fill(&with_metadata);
	put_one(&with_metadata, H_METADATA, grant(OH_SERVICE_DNS, 53, T_DNS, OH_FOREVER));
	put_range(&with_metadata, "64:ff9b::/96", grant(OH_SERVICE_TCP, 80, T_WIDE, OH_FOREVER));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	lab_stop(&strict);
	lab_stop(&observing);
	lab_stop(&with_metadata);
	return table_end(failed, &strict);
}
