// SPDX-License-Identifier: MIT
/* Rounds of refresh: a real name server on loopback, real files, real maps and programs; nothing attached. */
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "guard/refresh.h"
#include "parse/name_key.h"
#include "policy/address.h"
#include "table.h"

#define ADDRESS "192.0.2.50"

enum server_mode { ANSWERS, FAILS, HAS_NO_SUCH_NAME, LIES };

/* What the test and its name server share. */
struct server {
	volatile enum server_mode mode;
	volatile unsigned int asked;
};

static struct server *server;
static pid_t server_pid;
static struct lab lab;
static struct guard guard;
static struct target targets[2];
static struct error e;

/* Header, question, and one A record where that was asked for. */
static size_t reply_to(uint8_t *message, size_t size)
{
	bool a = message[size - 3] == 1;	/* the type, before the class */

	message[11] = 0;	/* c-ares may say that it knows EDNS: the reply does without */
	message[2] = 0x81;
	message[3] = server->mode == FAILS ? 0x82 : server->mode == HAS_NO_SUCH_NAME ? 0x83 : 0x80;
	if (message[3] != 0x80 || !a)
		return size;
	message[7] = 1;
	size += put_hex(message + size, "c00c 0001 0001 00000000 0004");
	memcpy(message + size, server->mode == LIES ? "\x0a\0\0\1" : "\xc0\0\2\x32", 4);
	return size + 4;
}

/* Where the question ends: c-ares's EDNS record behind it is left out. */
static size_t question_end(const uint8_t *message)
{
	size_t at = 12;

	while (message[at])
		at += message[at] + 1;
	return at + 5;
}

static void serve(int fd)
{
	uint8_t message[512];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (recvfrom(fd, message, sizeof(message) - 32, 0, (void *)&from, &size) > 12) {
		server->asked++;
		sendto(fd, message, reply_to(message, question_end(message)), 0, (void *)&from, size);
		size = sizeof(from);
	}
	_exit(0);
}

static void start_server(void)
{
	const struct sockaddr_in here = { .sin_family = AF_INET,
					  .sin_port = htons(53),
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	server = mmap(NULL, sizeof(*server), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (server == MAP_FAILED || ioctl(fd, SIOCSIFFLAGS, &lo) || bind(fd, (void *)&here, sizeof(here)))
		abort();
	server_pid = fork();
	if (!server_pid)
		serve(fd);
	close(fd);
}

static enum oh_reason reason_of(const char *to)
{
	const struct packet p = { .to = to, .protocol = TCP, .port = 443, .flags = SYN };
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

static bool may_be_asked(const char *name)
{
	struct oh_name_entry entry;
	struct oh_name_key key;

	assert_int_equal(oh_key_from_text(&key, name), 0);
	return !bpf_map_lookup_elem(lab.engine.map[ENGINE_NAMES], &key, &entry) &&
		entry.rule[0].service != OH_SERVICE_NONE;
}

static struct refresh_report round_of(enum server_mode mode)
{
	struct refresh_report report;

	server->mode = mode;
	assert_int_equal(refresh_round(&guard, false, &report, &e), 0);
	return report;
}

static void answers_are_put_in_force_and_kept(void **state)
{
	struct refresh_report report = round_of(ANSWERS);

	(void)state;
	assert_int_equal(report.asked, 2);
	assert_int_equal(report.failed, 0);
	assert_true(report.in_force);
	assert_int_equal(reason_of(ADDRESS), OH_TARGET);
	assert_int_equal(reason_of("192.0.2.51"), OH_ADDRESS_NOT_ALLOWED);
	assert_int_equal(guard_read(&guard, time(NULL), &e), 0);	/* in the file, for after a reboot */
	assert_int_equal(records_find(&guard.records, "a.example", 4)->count, 1);
}

static void nothing_due_asks_and_publishes_nothing(void **state)
{
	unsigned int asked;

	(void)state;
	guard.config.min_ttl = guard.config.max_ttl = 3600;
	round_of(ANSWERS);
	asked = server->asked;
	assert_int_equal(round_of(ANSWERS).asked, 0);
	assert_int_equal(server->asked, asked);
}

/* A name server that fails, does not know the name any more, or lies takes nothing away, and adds nothing. */
static void failure_and_lie_keep_what_is_there(void **state)
{
	static const enum server_mode bad[] = { FAILS, HAS_NO_SUCH_NAME, LIES };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct refresh_report report;

		assert_int_equal(guard_read(&guard, time(NULL), &e), 0);
		for (size_t k = 0; k < guard.records.count; k++)	/* at once, and not in ten seconds */
			guard.records.list[k].due = 0;
		assert_int_equal(guard_write_records(&guard, &e), 0);
		round_of(ANSWERS);
		report = round_of(bad[i]);
		assert_int_equal(report.asked, 2);
		assert_true(report.failed && *report.first);
		assert_true(report.in_force);
		assert_int_equal(reason_of(ADDRESS), OH_TARGET);
		assert_int_equal(reason_of("10.0.0.1"), OH_ADDRESS_NOT_ALLOWED);
	}
}

/* The kernel holds a target that the policy does not: no round is idle until it is taken back. */
static void what_the_policy_does_not_hold_is_taken_back(void **state)
{
	(void)state;
	guard.config.min_ttl = guard.config.max_ttl = 3600;
	round_of(ANSWERS);
	assert_int_equal(reason_of(ADDRESS), OH_TARGET);
	guard.config.target_count = 0;
	round_of(ANSWERS);
	assert_int_equal(reason_of(ADDRESS), OH_ADDRESS_NOT_ALLOWED);
	assert_false(may_be_asked("a.example"));
}

/* A name that does not exist is refused, and what was opened in order to ask is shut. */
static void new_name_may_be_asked_for_while_it_is_new(void **state)
{
	struct refresh f = { 0 };
	struct target new;

	(void)state;
	assert_int_equal(target_parse("new.example", &new, &e), 0);
	round_of(ANSWERS);
	server->mode = HAS_NO_SUCH_NAME;
	assert_int_equal(refresh_ask_new(&f, &guard, &new, 1, &e), -ENOENT);
	assert_non_null(strstr(e.text, "new.example"));
	assert_false(may_be_asked("new.example"));
	assert_true(may_be_asked("a.example"));
	refresh_free(&f);
	server->mode = ANSWERS;
	assert_int_equal(refresh_ask_new(&f, &guard, &new, 1, &e), 0);
	assert_true(may_be_asked("new.example"));
	assert_int_equal(f.count, 2);
	assert_int_equal(f.queries[0].answer.count, 1);
	refresh_free(&f);
	guard.config.target_count = 0;	/* so that a publish comes, which ends it */
	round_of(ANSWERS);
	assert_false(may_be_asked("new.example"));
}

static int setup(void **state)
{
	const struct config c = { .max_addresses = 1024, .inspect = true };

	(void)state;
	table_lab(&lab, &c, false);
	if (!server)
		start_server();
	assert_int_equal(engine_write_control(&lab.engine, &(struct oh_control){ .ready = 1 }, &e), 0);
	guard = (struct guard){ .engine = lab.engine, .lock = -1 };
	strcpy(guard.run, "/tmp/ohguard-refresh-XXXXXX");
	if (!mkdtemp(guard.run))
		return -1;
	strcpy(guard.state, guard.run);
	guard.config = (struct config){ .max_addresses = 1024, .grace = 3600, .max_stale = 86400, .targets = targets,
					.target_count = 1, .resolver_count = 1 };
	guard.config.resolvers[0] = packet_address("127.0.0.1");
	return target_parse("a.example", &targets[0], &e);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	policy_free(&guard.policy);
	records_free(&guard.records);
	grants_free(&guard.grants);
	nftw(guard.run, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	lab_stop(&lab);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_are_put_in_force_and_kept),
		TEST(nothing_due_asks_and_publishes_nothing),
		TEST(failure_and_lie_keep_what_is_there),
		TEST(what_the_policy_does_not_hold_is_taken_back),
		TEST(new_name_may_be_asked_for_while_it_is_new),
	};
	int failed;

	failed = run_as_root(tests, NULL, NULL);
	if (server_pid > 0) {
		kill(server_pid, SIGKILL);
		waitpid(server_pid, NULL, 0);
	}
	return failed;
}
