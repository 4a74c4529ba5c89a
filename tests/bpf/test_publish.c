// SPDX-License-Identifier: MIT
/* From policy to verdict: what publish_policy() writes into real maps, seen by packets. */
#include "policy/address.h"
#include "engine/publish.h"
#include "table.h"

#define NOW 1000000		/* the wall clock of these tests; the kernel's own is only counted from it */

static struct lab lab;
static struct error e;

/* A configuration of targets by their identities, NULL-terminated. */
static void set_targets(struct config *c, struct target *room, const char *const *identities)
{
	*c = (struct config){ .targets = room };
	for (; identities[c->target_count]; c->target_count++)
		assert_int_equal(target_parse_identity(identities[c->target_count], &room[c->target_count]), 0);
}

static int publish_with(const struct records *records, const char *const *identities)
{
	const struct grants none = { 0 };
	struct target room[16];
	struct config c;
	struct policy p;
	int r;

	set_targets(&c, room, identities);
	assert_int_equal(policy_build(&c, &none, NOW, &p, &e), 0);
	r = publish_policy(&p, records, &lab.engine, NOW, &e);
	policy_free(&p);
	return r;
}

#define PUBLISH(...)                                                                                                   \
	assert_int_equal(publish_with(&(struct records){ 0 }, (const char *const[]){ __VA_ARGS__, NULL }), 0)

static enum oh_reason reason_of(const char *to, uint8_t protocol, uint16_t port)
{
	const struct packet p = { .to = to, .protocol = protocol, .port = port, .flags = SYN };
	struct outcome o;
	struct frame f;

	packet_build(&p, &f);
	assert_int_equal(lab_run(&lab, &f, &o), 0);
	for (unsigned int i = 0; i < OH_COUNTS; i++) {
		if (o.counted[i].packets)
			return (enum oh_reason)i;
	}
	return OH_NONE;
}

#define ASSERT_TCP(to, port, reason) assert_int_equal(reason_of(to, TCP, port), reason)
#define ASSERT_UDP(to, port, reason) assert_int_equal(reason_of(to, UDP, port), reason)

static uint32_t id_of(const char *identity, uint32_t *ret_generation)
{
	for (__u32 id = 1; id < 64; id++) {
		struct oh_target t;

		assert_int_equal(bpf_map_lookup_elem(lab.engine.map[ENGINE_TARGETS], &id, &t), 0);
		if (t.state == OH_TARGET_LIVE && !strcmp(t.text, identity)) {
			*ret_generation = t.generation;
			return id;
		}
	}
	return 0;
}

static uint64_t fill_of(enum engine_map map)
{
	uint64_t entries, max;

	assert_int_equal(engine_map_fill(&lab.engine, map, &entries, &max, &e), 0);
	return entries;
}

static int setup(void **state)
{
	const struct config c = { .max_addresses = 1024 };

	(void)state;
	if (lab_start(&lab, &c, false, NULL, &e)) {
		print_error("%s\n", e.text);
		return -1;
	}
	lab_ready(&lab, true);
	engine_write_control(&lab.engine, &(struct oh_control){ .ready = 1 }, &e);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lab_stop(&lab);
	return 0;
}

static void literals_are_in_force_and_taken_back(void **state)
{
	uint32_t generation, later, id;

	(void)state;
	PUBLISH("192.0.2.1:443", "192.0.2.1:8443", "[2001:db8::1]:443", "10.0.0.2:53/dns", "10.0.0.3:123/ntp");
	ASSERT_TCP("192.0.2.1", 443, OH_TARGET);
	ASSERT_TCP("192.0.2.1", 8443, OH_TARGET);
	ASSERT_TCP("192.0.2.1", 80, OH_PORT_NOT_ALLOWED);
	ASSERT_TCP("2001:db8::1", 443, OH_TARGET);
	ASSERT_UDP("10.0.0.2", 53, OH_DNS);
	ASSERT_UDP("10.0.0.3", 123, OH_NTP);
	ASSERT_UDP("10.0.0.3", 53, OH_DNS_RESOLVER_NOT_ALLOWED);
	assert_int_equal(fill_of(ENGINE_ADDRESSES), 4);
	id = id_of("192.0.2.1:443", &generation);
	assert_int_not_equal(id, 0);
	/* again: the same ids */
	PUBLISH("10.0.0.2:53/dns", "192.0.2.1:8443", "192.0.2.1:443");
	assert_int_equal(id_of("192.0.2.1:443", &later), id);
	assert_int_equal(later, generation);
	assert_int_equal(fill_of(ENGINE_ADDRESSES), 2);
	ASSERT_TCP("2001:db8::1", 443, OH_ADDRESS_NOT_ALLOWED);
	PUBLISH("10.0.0.2:53/dns");
	ASSERT_TCP("192.0.2.1", 443, OH_ADDRESS_NOT_ALLOWED);
	assert_int_equal(fill_of(ENGINE_ADDRESSES), 1);
	/* and anew: whatever id it gets, no connection of its first life is admitted by it */
	PUBLISH("10.0.0.2:53/dns", "192.0.2.1:443");
	ASSERT_TCP("192.0.2.1", 443, OH_TARGET);
	if (id_of("192.0.2.1:443", &later) == id)
		assert_true(later > generation);
}

static void ranges_inherit(void **state)
{
	(void)state;
	PUBLISH("203.0.113.0/24:443", "203.0.113.128/25:8443", "203.0.113.192/26:9443", "[2001:db8::/32]:443",
		"[2001:db8:1::/48]:8443", "203.0.113.200:22");
	ASSERT_TCP("203.0.113.1", 443, OH_TARGET);
	ASSERT_TCP("203.0.113.1", 8443, OH_PORT_NOT_ALLOWED);
	ASSERT_TCP("203.0.113.129", 443, OH_TARGET);
	ASSERT_TCP("203.0.113.129", 8443, OH_TARGET);
	ASSERT_TCP("203.0.113.129", 9443, OH_PORT_NOT_ALLOWED);
	ASSERT_TCP("203.0.113.193", 443, OH_TARGET);
	ASSERT_TCP("203.0.113.193", 8443, OH_TARGET);
	ASSERT_TCP("203.0.113.193", 9443, OH_TARGET);
	ASSERT_TCP("203.0.113.193", 22, OH_PORT_NOT_ALLOWED);
	ASSERT_TCP("203.0.113.200", 22, OH_TARGET);
	ASSERT_TCP("203.0.113.200", 443, OH_TARGET);
	ASSERT_TCP("2001:db8:1::1", 443, OH_TARGET);
	ASSERT_TCP("2001:db8:1::1", 8443, OH_TARGET);
	ASSERT_TCP("2001:db8:2::1", 8443, OH_PORT_NOT_ALLOWED);
	PUBLISH("203.0.113.128/25:8443");
	ASSERT_TCP("203.0.113.129", 443, OH_PORT_NOT_ALLOWED);
	ASSERT_TCP("203.0.113.193", 9443, OH_PORT_NOT_ALLOWED);
	ASSERT_TCP("203.0.113.193", 8443, OH_TARGET);
	ASSERT_TCP("203.0.113.1", 443, OH_ADDRESS_NOT_ALLOWED);
	assert_int_equal(fill_of(ENGINE_RANGES), 1);
}

/* Each port of the ranges around counts before a second target on a port that is there. */
static void nested_ranges_keep_every_port(void **state)
{
	(void)state;
	PUBLISH("203.0.0.0/16:443", "203.0.64.0/18:443", "203.0.96.0/19:443", "203.0.112.0/20:443",
		"203.0.112.0/21:443", "203.0.112.0/22:443", "203.0.113.0/24:8443", "203.0.113.0/25:22");
	ASSERT_TCP("203.0.113.1", 22, OH_TARGET);
	ASSERT_TCP("203.0.113.1", 443, OH_TARGET);
	ASSERT_TCP("203.0.113.1", 8443, OH_TARGET);
}

static void names_follow_their_records(void **state)
{
	static const char *const names[] = { "a.example", "b.example" };
	struct record_address shared[2] = { { .expires = NOW + 100 }, { .expires = NOW } };
	struct records records = { 0 };
	struct record *a, *b;

	(void)state;
	assert_int_equal(address_parse("192.0.2.1", &shared[0].address), 0);
	assert_int_equal(address_parse("192.0.2.2", &shared[1].address), 0);
	assert_int_equal(records_keep(&records, names, 2, &e), 0);
	a = records_find(&records, "a.example", 4);
	b = records_find(&records, "b.example", 4);
	a->addresses = shared;
	a->count = 2;
	b->addresses = shared;
	b->count = 1;
	assert_int_equal(publish_with(&records,
		(const char *const[]){ "a.example:443", "b.example:8443", "b.example:443", NULL }), 0);
	ASSERT_TCP("192.0.2.1", 443, OH_TARGET);
	ASSERT_TCP("192.0.2.1", 8443, OH_TARGET);
	ASSERT_TCP("192.0.2.2", 443, OH_ADDRESS_NOT_ALLOWED);	/* has ended */
	/* one of two names that share an address is taken back */
	assert_int_equal(publish_with(&records, (const char *const[]){ "b.example:8443", NULL }), 0);
	ASSERT_TCP("192.0.2.1", 443, OH_PORT_NOT_ALLOWED);
	ASSERT_TCP("192.0.2.1", 8443, OH_TARGET);
	a->addresses = b->addresses = NULL;
	a->count = b->count = 0;
	assert_int_equal(publish_with(&records, (const char *const[]){ "b.example:8443", NULL }), 0);
	ASSERT_TCP("192.0.2.1", 8443, OH_ADDRESS_NOT_ALLOWED);
	records_free(&records);
}

static void grants_lapse_in_the_kernel(void **state)
{
	struct grant list[] = { { .lapses = NOW + 1000 }, { .lapses = NOW - 1 } };
	const struct grants grants = { .list = list, .count = 2 };
	const struct config c = { 0 };
	const struct records none = { 0 };
	struct policy p;

	(void)state;
	assert_int_equal(target_parse("192.0.2.1", &list[0].target, &e), 0);
	assert_int_equal(target_parse("192.0.2.2", &list[1].target, &e), 0);
	/* built when both held, published when one of them no longer does */
	assert_int_equal(policy_build(&c, &grants, NOW - 10, &p, &e), 0);
	assert_int_equal(p.count, 2);
	assert_int_equal(publish_policy(&p, &none, &lab.engine, NOW, &e), 0);
	policy_free(&p);
	ASSERT_TCP("192.0.2.1", 443, OH_TARGET);
	ASSERT_TCP("192.0.2.2", 443, OH_ADDRESS_NOT_ALLOWED);
}

static void full_map_keeps_what_fits(void **state)
{
	struct target *list = calloc(1100, sizeof(*list));
	const struct config c = { .targets = list, .target_count = 1100 };
	const struct grants none = { 0 };
	const struct records no_records = { 0 };
	struct policy p;

	(void)state;
	for (int i = 0; i < 1100; i++) {
		char text[32];

		sprintf(text, "198.51.%d.%d", 100 + i / 256, i % 256);
		assert_int_equal(target_parse(text, &list[i], &e), 0);
	}
	assert_int_equal(policy_build(&c, &none, NOW, &p, &e), 0);
	assert_int_equal(publish_policy(&p, &no_records, &lab.engine, NOW, &e), -E2BIG);
	assert_non_null(strstr(e.text, "max-addresses"));
	assert_int_equal(fill_of(ENGINE_ADDRESSES), 1024);
	ASSERT_TCP("198.51.100.0", 443, OH_TARGET);
	ASSERT_TCP("198.51.104.75", 443, OH_ADDRESS_NOT_ALLOWED);
	policy_free(&p);
	free(list);
}

/* New programs take the maps of the old: policy and counters stay; where the bound changes, addresses alone go. */
static void reload_keeps_the_maps(void **state)
{
	struct config c = { .max_addresses = 1024 };
	struct oh_count count;
	struct lab newer;

	(void)state;
	PUBLISH("192.0.2.1:443");
	ASSERT_TCP("192.0.2.1", 443, OH_TARGET);
	assert_int_equal(lab_start(&newer, &c, true, &lab.engine, &e), 0);
	assert_false(newer.engine.fresh);
	lab_stop(&lab);
	lab = newer;
	ASSERT_TCP("192.0.2.1", 443, OH_TARGET);
	assert_int_equal(engine_read_count(&lab.engine, OH_TARGET, &count, &e), 0);
	assert_int_equal(count.packets, 2);
	c.max_addresses = 2048;
	assert_int_equal(lab_start(&newer, &c, false, &lab.engine, &e), 0);
	assert_int_equal(newer.engine.fresh, false);
	lab_stop(&lab);
	lab = newer;
	ASSERT_TCP("192.0.2.1", 443, OH_ADDRESS_NOT_ALLOWED);
	PUBLISH("192.0.2.1:443");
	ASSERT_TCP("192.0.2.1", 443, OH_TARGET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(literals_are_in_force_and_taken_back, setup, teardown),
		cmocka_unit_test_setup_teardown(ranges_inherit, setup, teardown),
		cmocka_unit_test_setup_teardown(nested_ranges_keep_every_port, setup, teardown),
		cmocka_unit_test_setup_teardown(names_follow_their_records, setup, teardown),
		cmocka_unit_test_setup_teardown(grants_lapse_in_the_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(full_map_keeps_what_fits, setup, teardown),
		cmocka_unit_test_setup_teardown(reload_keeps_the_maps, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
