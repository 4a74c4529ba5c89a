// SPDX-License-Identifier: MIT
/* What publish_names() writes into the real map that queries and hellos are judged by. */
#include "engine/publish.h"
#include "engine/publish_names.h"
#include "parse/name_key.h"
#include "policy/address.h"
#include "table.h"

#define NOW 1000000
#define MANY 16

static struct lab lab;
static struct error e;

/* A configuration by texts, each list NULL-terminated or NULL. */
struct wish {
	const char *const *targets, *const *asks, *const *asks_now;
	const char *search;
	const struct { const char *names, *range; } private[OH_PRIVATE_MAX];
};

static size_t parse_all(const char *const *texts, struct target room[MANY])
{
	size_t n = 0;

	for (; texts && texts[n]; n++)
		assert_int_equal(target_parse(texts[n], &room[n], &e), 0);
	return n;
}

/* ids: give each target a place in the kernel first, as publish_policy() does. */
static void publish_as(const struct wish *w, bool ids)
{
	struct target targets[MANY], asks[MANY], now[MANY];
	struct config_private private[OH_PRIVATE_MAX];
	struct config c = { .targets = targets, .names = asks, .private = private };
	const struct grants none = { 0 };
	struct policy p;

	c.target_count = parse_all(w->targets, targets);
	c.name_count = parse_all(w->asks, asks);
	if (w->search)
		snprintf(c.search[c.search_count++], sizeof(*c.search), "%s", w->search);
	for (; c.private_count < OH_PRIVATE_MAX && w->private[c.private_count].names; c.private_count++) {
		struct config_private *to = &private[c.private_count];

		assert_int_equal(target_parse(w->private[c.private_count].names, &to->names, &e), 0);
		assert_int_equal(range_parse(w->private[c.private_count].range, &to->range), 0);
	}
	assert_int_equal(policy_build(&c, &none, NOW, &p, &e), 0);
	if (ids) {
		const struct records records = { 0 };

		assert_int_equal(publish_policy(&p, &records, &lab.engine, NOW, &e), 0);
	}
	p.asks_now = (struct policy_asks){ now, parse_all(w->asks_now, now) };
	assert_int_equal(publish_names(&p, &lab.engine, &e), 0);
	policy_free(&p);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define PUBLISH(...) publish_as(&(struct wish){ __VA_ARGS__ }, true)

/* What the kernel finds for a name. */
static bool find(const char *name, struct oh_name_entry *ret)
{
	struct oh_name_key key;

	*ret = (struct oh_name_entry){ 0 };
	assert_int_equal(oh_key_from_text(&key, name), 0);
	return !bpf_map_lookup_elem(lab.engine.map[ENGINE_NAMES], &key, ret);
}

/* Whether a rule with that port is found, of a target that holds. */
static bool admits(const char *name, __u16 port)
{
	struct oh_name_entry entry;

	find(name, &entry);
	for (int i = 0; i < OH_GRANTS_MAX; i++) {
		const struct oh_name_rule *r = &entry.rule[i];
		struct oh_target t;

		if (r->service != OH_SERVICE_TCP || r->port != port || r->ask || !r->target)
			continue;
		if (!bpf_map_lookup_elem(lab.engine.map[ENGINE_TARGETS], &r->target, &t) && t.state == OH_TARGET_LIVE &&
		    t.generation == r->generation)
			return true;
	}
	return false;
}

static bool may_be_asked(const char *name)
{
	struct oh_name_entry entry;
	bool found = false;

	find(name, &entry);
	for (int i = 0; i < OH_GRANTS_MAX; i++)
		found |= entry.rule[i].service != OH_SERVICE_NONE && entry.rule[i].ask != OH_ASK_KEYS;
	return found;
}

/* Whether something of that kind may be asked for without a target. */
static bool has_ask(const char *name, enum oh_ask ask)
{
	struct oh_name_entry entry;
	bool found = false;

	find(name, &entry);
	for (int i = 0; i < OH_GRANTS_MAX; i++)
		found |= entry.rule[i].service == OH_SERVICE_DNS && entry.rule[i].ask == ask;
	return found;
}

static size_t rules_of(const char *name)
{
	struct oh_name_entry entry;
	size_t n = 0;

	find(name, &entry);
	for (int i = 0; i < OH_GRANTS_MAX; i++)
		n += entry.rule[i].service != OH_SERVICE_NONE && entry.rule[i].ask != OH_ASK_KEYS;
	return n;
}

static bool may_lie_in(const char *name, const char *range)
{
	struct oh_name_entry entry;
	struct oh_range want;

	assert_int_equal(range_parse(range, &want), 0);
	find(name, &entry);
	for (int i = 0; i < OH_PRIVATE_MAX; i++) {
		if (!memcmp(&entry.private[i], &want, sizeof(want)))
			return true;
	}
	return false;
}

static void names_are_exact_and_suffixes_cover_what_is_below_them(void **state)
{
	(void)state;
	PUBLISH(.targets = LIST("a.example:443", "*.s.example:8443", "192.0.2.1:443"));
	assert_true(admits("a.example", 443));
	assert_false(admits("a.example", 8443));
	assert_false(may_be_asked("x.a.example"));
	assert_false(may_be_asked("xa.example"));
	assert_false(may_be_asked("example"));
	assert_true(admits("x.s.example", 8443));
	assert_true(admits("x.y.s.example", 8443));
	assert_false(may_be_asked("s.example"));
	assert_false(may_be_asked("xs.example"));
	assert_false(may_be_asked("b.example"));
}

/* The longest match alone is found, so a name below a suffix repeats what the suffix says, and nothing of others. */
static void entry_repeats_the_suffixes_around_it(void **state)
{
	(void)state;
	PUBLISH(.targets = LIST("*.s.example:443", "*.t.s.example:8443", "x.t.s.example:22", "*.other.example:25"));
	assert_true(admits("x.t.s.example", 22) && admits("x.t.s.example", 443) && admits("x.t.s.example", 8443));
	assert_false(admits("x.t.s.example", 25));
	assert_int_equal(rules_of("x.t.s.example"), 3);
	assert_true(admits("y.t.s.example", 443) && admits("y.t.s.example", 8443));
	assert_false(admits("y.t.s.example", 22));
	assert_true(admits("y.s.example", 443));
	assert_false(admits("y.s.example", 8443));
	PUBLISH(.targets = LIST("*.t.s.example:8443", "x.t.s.example:22", "*.other.example:25"));
	assert_true(admits("x.t.s.example", 22) && admits("x.t.s.example", 8443));
	assert_int_equal(rules_of("x.t.s.example"), 2);
	assert_int_equal(rules_of("y.s.example"), 0);
}

/* Those above each name up to the root, however the names lie to each other, and no others. */
static void keys_of_the_zones_above_may_be_asked_for(void **state)
{
	static const char *const zones[] = { ".",   "example", "b.example", "c.b.example",
					     "net", "y.net",   "org",	    "x.org" };
	static const char *const others[] = { "a.b.example", "com", "z.net", "e", "b", "d.c.b.example" };

	(void)state;
	PUBLISH(.targets = LIST("a.b.example:443", "d.c.b.example:443", "b.example:25", "*.x.org:443"),
		.asks = LIST("ask.y.net"), .search = "corp.test");
	for (size_t i = 0; i < sizeof(zones) / sizeof(*zones); i++)
		if (!has_ask(zones[i], OH_ASK_KEYS))
			fail_msg("no keys of %s", zones[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (has_ask(others[i], OH_ASK_KEYS))
			fail_msg("keys of %s", others[i]);
	assert_true(admits("b.example", 25));
	assert_false(may_be_asked("c.b.example"));
	assert_false(has_ask("corp.test", OH_ASK_KEYS));	/* who looks for a name there needs no proof */
	PUBLISH(.targets = LIST("a.b.example:443"));
	assert_true(has_ask("b.example", OH_ASK_KEYS) && has_ask(".", OH_ASK_KEYS));
	assert_false(has_ask("c.b.example", OH_ASK_KEYS));
	assert_false(has_ask("net", OH_ASK_KEYS));
	PUBLISH(0);
	assert_false(has_ask(".", OH_ASK_KEYS));
}

static void names_are_searched_for_with_suffixes(void **state)
{
	(void)state;
	PUBLISH(.targets = LIST("a.example:443", "*.s.example:443"), .asks = LIST("ask.example"),
		.search = "corp.test");
	assert_true(has_ask("a.example.corp.test", OH_ASK_SEARCH) && has_ask("ask.example.corp.test", OH_ASK_SEARCH));
	assert_false(admits("a.example.corp.test", 443));
	assert_false(has_ask("x.s.example.corp.test", OH_ASK_SEARCH));
	assert_false(has_ask("s.example.corp.test", OH_ASK_SEARCH));
	assert_int_equal(rules_of("corp.test"), 0);
	PUBLISH(.targets = LIST("a.example:443"));
	assert_int_equal(rules_of("a.example.corp.test"), 0);
}

static void what_is_taken_back_is_gone(void **state)
{
	(void)state;
	PUBLISH(.targets = LIST("a.example:443", "b.example:443"), .asks = LIST("c.example"));
	assert_true(may_be_asked("a.example") && may_be_asked("b.example") && may_be_asked("c.example"));
	PUBLISH(.targets = LIST("b.example:443"));
	assert_true(admits("b.example", 443));
	assert_false(may_be_asked("a.example"));
	assert_false(may_be_asked("c.example"));
	PUBLISH(0);
	assert_false(may_be_asked("b.example"));
	/* and anew: by the new generation */
	PUBLISH(.targets = LIST("a.example:443"));
	assert_true(admits("a.example", 443));
}

static void asked_for_admits_no_connection(void **state)
{
	(void)state;
	PUBLISH(.targets = LIST("a.example:443"), .asks = LIST("b.example"), .asks_now = LIST("c.example"));
	assert_true(may_be_asked("b.example") && may_be_asked("c.example"));
	assert_false(admits("b.example", 443));
	assert_false(admits("c.example", 443));
	PUBLISH(.targets = LIST("a.example:443"), .asks = LIST("b.example"));
	assert_true(may_be_asked("b.example"));
	assert_false(may_be_asked("c.example"));
}

/* Its names may not be asked for before it has its place: a rule of target 0 would be nobody's to take back. */
static void target_without_a_place_has_no_rule(void **state)
{
	(void)state;
	publish_as(&(struct wish){ .targets = LIST("a.example:443"), .asks = LIST("b.example") }, false);
	assert_false(may_be_asked("a.example"));
	assert_true(may_be_asked("b.example"));
}

static void private_ranges_are_of_their_names_alone(void **state)
{
	const struct wish w = {
		.targets = LIST("db.s.example:443", "a.example:443"),
		.private = { { "*.s.example", "10.0.0.0/8" }, { "db.s.example", "fd00::/8" } },
	};

	(void)state;
	publish_as(&w, true);
	assert_true(may_lie_in("db.s.example", "10.0.0.0/8") && may_lie_in("db.s.example", "fd00::/8"));
	assert_true(may_lie_in("x.s.example", "10.0.0.0/8"));
	assert_false(may_lie_in("x.s.example", "fd00::/8"));
	assert_false(may_lie_in("a.example", "10.0.0.0/8"));
	assert_false(may_be_asked("x.s.example"));	/* where it may lie says not that it may be asked for */
	assert_int_equal(rules_of("db.s.example"), 1);
}

/* With more claims than there is room for, each port stands before a second target on one that is there. */
static void each_port_comes_first(void **state)
{
	(void)state;
	PUBLISH(.targets = LIST("*.example:443", "*.e.example:443", "*.d.e.example:443", "*.c.d.e.example:443",
				"*.b.c.d.e.example:443", "*.a.b.c.d.e.example:443", "*.e.example:25",
				"x.a.b.c.d.e.example:22"));
	assert_int_equal(rules_of("x.a.b.c.d.e.example"), OH_GRANTS_MAX);
	assert_true(admits("x.a.b.c.d.e.example", 22) && admits("x.a.b.c.d.e.example", 25) &&
		    admits("x.a.b.c.d.e.example", 443));
}

static void break_entry(const char *name)
{
	const struct oh_name_entry empty = { 0 };
	struct oh_name_key key;

	assert_int_equal(oh_key_from_text(&key, name), 0);
	lab_set(&lab, ENGINE_NAMES, &key, &empty);
}

/* What is there already is not written again; what a publish that was killed may have left is. */
static void unchanged_names_cost_nothing_and_a_broken_publish_is_made_good(void **state)
{
	const struct wish w = { .targets = LIST("a.example:443") };
	struct oh_control control;

	(void)state;
	publish_as(&w, true);
	break_entry("a.example");
	publish_as(&w, true);
	assert_false(may_be_asked("a.example"));
	assert_int_equal(engine_read_control(&lab.engine, &control, &e), 0);
	assert_true(control.names);
	control.names = 0;
	assert_int_equal(engine_write_control(&lab.engine, &control, &e), 0);
	publish_as(&w, true);
	assert_true(admits("a.example", 443));
}

/* A publish that ends half way leaves no fingerprint, by which the next one would think all was done. */
static void failed_publish_is_not_taken_for_done(void **state)
{
	const struct wish w = { .targets = LIST("a.example:443") };
	struct oh_control control;
	int names = lab.engine.map[ENGINE_NAMES];
	struct target room[MANY];
	struct config c = { .targets = room };
	const struct grants none = { 0 };
	struct policy p;

	(void)state;
	publish_as(&w, true);
	c.target_count = parse_all(LIST("b.example:443"), room);
	assert_int_equal(policy_build(&c, &none, NOW, &p, &e), 0);
	p.list[0].id = 5;
	lab.engine.map[ENGINE_NAMES] = lab.engine.map[ENGINE_TARGETS];	/* of another layout: each write fails */
	assert_int_not_equal(publish_names(&p, &lab.engine, &e), 0);
	lab.engine.map[ENGINE_NAMES] = names;
	policy_free(&p);
	assert_int_equal(engine_read_control(&lab.engine, &control, &e), 0);
	assert_int_equal(control.names, 0);
}

static int setup(void **state)
{
	const struct config c = { .max_addresses = 1024 };

	(void)state;
	table_lab(&lab, &c, false);
	return engine_write_control(&lab.engine, &(struct oh_control){ .ready = 1 }, &e);
}

static int teardown(void **state)
{
	(void)state;
	lab_stop(&lab);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_are_exact_and_suffixes_cover_what_is_below_them),
		TEST(entry_repeats_the_suffixes_around_it),
		TEST(keys_of_the_zones_above_may_be_asked_for),
		TEST(names_are_searched_for_with_suffixes),
		TEST(what_is_taken_back_is_gone),
		TEST(asked_for_admits_no_connection),
		TEST(target_without_a_place_has_no_rule),
		TEST(private_ranges_are_of_their_names_alone),
		TEST(each_port_comes_first),
		TEST(unchanged_names_cost_nothing_and_a_broken_publish_is_made_good),
		TEST(failed_publish_is_not_taken_for_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
