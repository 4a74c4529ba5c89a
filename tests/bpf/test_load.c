// SPDX-License-Identifier: MIT
/* What engine_prepare() makes of a configuration: settings, programs, and the maps of a loaded engine that it keeps. */
#include "engine/hooks.h"
#include "policy/address.h"
#include "table.h"

static struct error e;

static const struct config plain = { .max_addresses = 1024 };

static __u32 map_id(int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	return info.id;
}

static __u32 map_max(int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	return info.max_entries;
}

static bool same_map(const struct lab *a, const struct lab *b, enum engine_map map)
{
	return map_id(a->engine.map[map]) == map_id(b->engine.map[map]);
}

/* A hook without work is not loaded. */
static void programs_are_those_that_have_work(void **state)
{
	enum {
		INGRESS = 1 << OH_HOOK_INGRESS,
		UPLINK = 1 << OH_HOOK_UPLINK_EGRESS | 1 << OH_HOOK_UPLINK_INGRESS,
		XDP = 1 << OH_HOOK_INBOUND,
		SOCK_OPS = 1 << OH_HOOK_SOCK_OPS,
		SOCKOPT = 1 << OH_HOOK_SOCKOPT,
	};
	static const struct {
		const char *name;
		bool inspect, answer, uplink, xdp;
		int without;	/* hooks, by bits */
	} rows[] = {
		{ "nothing", false, false, false, false, INGRESS | UPLINK | XDP | SOCK_OPS | SOCKOPT },
		{ "inspect", true, false, false, false, UPLINK | XDP | SOCKOPT },
		{ "inspect and an uplink", true, false, true, false, INGRESS | XDP | SOCKOPT },
		{ "xdp without an uplink", true, false, false, true, UPLINK | XDP | SOCKOPT },
		{ "all", true, true, true, true, INGRESS },
		{ "answer without inspect", false, true, true, false, INGRESS | XDP | SOCK_OPS | SOCKOPT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct config c = { .max_addresses = 1024, .inspect = rows[i].inspect, .answer = rows[i].answer,
				    .xdp = rows[i].xdp };
		struct lab lab;

		if (rows[i].uplink) {
			strcpy(c.uplinks[0], "eth0");
			c.uplink_count = 1;
		}
		table_lab(&lab, &c, false);
		for (int hook = 0; hook < OH_HOOK_MAX; hook++) {
			if (engine_hook_names[hook] &&
			    (engine_program(lab.set, hook) >= 0) == (rows[i].without >> hook & 1))
				fail_msg("%s: %s is %s", rows[i].name, engine_hook_names[hook],
					 rows[i].without >> hook & 1 ? "loaded" : "missing");
		}
		lab_stop(&lab);
	}
}

static void settings_are_the_configurations(void **state)
{
	struct config c = { .max_addresses = 1024,
			    .metadata = true,
			    .inspect = true,
			    .nts = true,
			    .min_ttl = 11,
			    .max_ttl = 22,
			    .grace = 33,
			    .inbound_count = 1,
			    .uplinks = { "eth7" },
			    .uplink_count = 1 };
	struct oh_range prefix;
	struct lab lab;

	(void)state;
	c.inbound[0] = (struct oh_inbound){ .address = packet_address("10.1.2.3"), .port = 22 };
	assert_int_equal(range_parse("2001:db8:64::/96", &prefix), 0);
	assert_int_equal(nat64_add(&c.nat64, &prefix), 0);
	table_lab(&lab, &c, true);
	assert_true(lab.engine.settings.observe && lab.engine.settings.metadata && lab.engine.settings.inspect);
	assert_true(lab.engine.settings.nts && !lab.engine.settings.answer);
	assert_int_equal(lab.engine.settings.min_ttl, 11);
	assert_int_equal(lab.engine.settings.max_ttl, 22);
	assert_int_equal(lab.engine.settings.grace, 33);
	assert_int_equal(lab.engine.settings.inbound_count, 1);
	assert_memory_equal(&lab.engine.settings.inbound[0], &c.inbound[0], sizeof(c.inbound[0]));
	assert_int_equal(lab.engine.settings.nat64_count, 1);
	assert_memory_equal(&lab.engine.settings.nat64[0], &c.nat64.list[0], sizeof(c.nat64.list[0]));
	assert_string_equal(lab.engine.settings.uplink[0], "eth7");
	assert_true(lab.engine.fresh);
	assert_int_equal(map_max(lab.engine.map[ENGINE_ADDRESSES]), 1024);
	assert_int_equal(map_max(lab.engine.map[ENGINE_FLOWS]), OH_FLOWS_MAX);
	lab_stop(&lab);
	table_lab(&lab, &plain, false);
	assert_false(lab.engine.settings.observe || lab.engine.settings.metadata || lab.engine.settings.inspect);
	assert_int_equal(map_max(lab.engine.map[ENGINE_FLOWS]), 1);
	lab_stop(&lab);
}

static const enum engine_map policy_maps[] = {
	ENGINE_TARGETS, ENGINE_CONTROL, ENGINE_USE, ENGINE_RANGES, ENGINE_LEARNED, ENGINE_NAMES, ENGINE_CONNECTIONS,
};
#define POLICY_MAPS (sizeof(policy_maps) / sizeof(*policy_maps))

static void loaded_again_all_maps_are_kept(void **state)
{
	struct lab old, new;

	(void)state;
	table_lab(&old, &plain, false);
	assert_int_equal(lab_start(&new, &plain, false, &old.engine, &e), 0);
	assert_false(new.engine.fresh);
	for (int i = 0; i < ENGINE_MAPS; i++) {
		if (!same_map(&old, &new, (enum engine_map)i))
			fail_msg("%s is another", engine_map_names[i]);
	}
	lab_stop(&old);
	lab_stop(&new);
}

/* A map like the one given but for one thing, as another version would have it. -1: the kernel makes no such map. */
static int other_map(int like, size_t key, size_t value, unsigned int max)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	DECLARE_LIBBPF_OPTS(bpf_map_create_opts, options);

	assert_int_equal(bpf_obj_get_info_by_fd(like, &info, &size), 0);
	options.map_flags = info.map_flags;
	return bpf_map_create(info.type, NULL, info.key_size + (__u32)key, info.value_size + (__u32)value,
			      info.max_entries + max, &options);
}

/* They name each other by id: one of another layout, and none is taken over, and flows neither. */
static void policy_is_taken_over_together_or_not_at_all(void **state)
{
	static const struct { const char *name; enum engine_map map; size_t key, value; unsigned int max; } rows[] = {
		{ "more targets", ENGINE_TARGETS, 0, 0, 1 },
		{ "longer targets", ENGINE_TARGETS, 0, 8, 0 },
		{ "longer learned entries", ENGINE_LEARNED, 0, 16, 0 },
		{ "longer learned addresses", ENGINE_LEARNED, 4, 0, 0 },
		{ "longer names", ENGINE_NAMES, 0, 16, 0 },
		{ "more control", ENGINE_CONTROL, 0, 8, 0 },
	};
	struct config c = plain;

	(void)state;
	strcpy(c.uplinks[0], "eth0");
	c.uplink_count = 1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		enum engine_map map = rows[i].map;
		struct lab old, new;
		int kept;

		table_lab(&old, &c, false);
		kept = old.engine.map[map];
		old.engine.map[map] = other_map(kept, rows[i].key, rows[i].value, rows[i].max);
		if (old.engine.map[map] < 0)
			fail_msg("%s: %s", rows[i].name, strerror(errno));
		assert_int_equal(lab_start(&new, &c, false, &old.engine, &e), 0);
		assert_true(new.engine.fresh);
		for (size_t k = 0; k < POLICY_MAPS; k++) {
			if (same_map(&old, &new, policy_maps[k]))
				fail_msg("%s: %s was taken over", rows[i].name, engine_map_names[policy_maps[k]]);
		}
		assert_false(same_map(&old, &new, ENGINE_FLOWS));
		assert_false(same_map(&old, &new, ENGINE_ADDRESSES));
		assert_true(same_map(&old, &new, ENGINE_COUNTS));
		close(kept);
		lab_stop(&old);
		lab_stop(&new);
	}
}

/* Another bound for addresses, or an uplink more: that map is new, and connections live on. */
static void what_changes_alone_is_new_alone(void **state)
{
	struct config more = { .max_addresses = 2048 },
		      uplink = { .max_addresses = 1024, .uplinks = { "eth0" }, .uplink_count = 1 };
	struct lab old, new;

	(void)state;
	table_lab(&old, &plain, false);
	assert_int_equal(lab_start(&new, &more, false, &old.engine, &e), 0);
	assert_false(new.engine.fresh);
	assert_false(same_map(&old, &new, ENGINE_ADDRESSES));
	assert_int_equal(map_max(new.engine.map[ENGINE_ADDRESSES]), 2048);
	for (size_t k = 0; k < POLICY_MAPS; k++)
		assert_true(same_map(&old, &new, policy_maps[k]));
	lab_stop(&new);
	assert_int_equal(lab_start(&new, &uplink, false, &old.engine, &e), 0);
	assert_false(new.engine.fresh);
	assert_false(same_map(&old, &new, ENGINE_FLOWS));
	assert_int_equal(map_max(new.engine.map[ENGINE_FLOWS]), OH_FLOWS_MAX);
	assert_true(same_map(&old, &new, ENGINE_ADDRESSES));
	for (size_t k = 0; k < POLICY_MAPS; k++)
		assert_true(same_map(&old, &new, policy_maps[k]));
	lab_stop(&new);
	lab_stop(&old);
}

/* What cannot be loaded leaves nothing in what was given to it. */
static void failure_leaves_what_was_there(void **state)
{
	struct config c = { .max_addresses = 0 };	/* a map of no entries: the kernel makes none */
	struct engine_program_set *set = NULL;
	struct engine engine = ENGINE_EMPTY;

	(void)state;
	assert_true(engine_prepare(&c, false, NULL, &set, &engine, &e) < 0);
	assert_null(set);
	assert_false(engine.open);
	assert_int_equal(engine.map[ENGINE_TARGETS], -1);
	assert_true(*e.text && !strchr(e.text, '\n'));
}

static void pins_must_lie_on_a_bpffs(void **state)
{
	(void)state;
	assert_int_equal(engine_check_system("/tmp/ohguard-test-none/pins", &e), -EINVAL);
	assert_non_null(strstr(e.text, "not on a bpffs"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_are_those_that_have_work),
		cmocka_unit_test(settings_are_the_configurations),
		cmocka_unit_test(loaded_again_all_maps_are_kept),
		cmocka_unit_test(policy_is_taken_over_together_or_not_at_all),
		cmocka_unit_test(what_changes_alone_is_new_alone),
		cmocka_unit_test(failure_leaves_what_was_there),
		cmocka_unit_test(pins_must_lie_on_a_bpffs),
	};

	return run_as_root(tests, NULL, NULL);
}
