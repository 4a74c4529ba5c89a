// SPDX-License-Identifier: MIT
/* What is known by real sockets, in a network namespace of the test's own: what comes in to one that is older than the
 * guard, and which of them end with their target. */
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>

#include "engine/connections.h"
#include "table.h"

enum { T_LIVE = 1, T_REVOKED, T_LAPSED, T_LAPSES_LATER };

static struct lab lab;

/* Two ends of a TCP connection over loopback, and where it was listened for. */
struct pair {
	int listener, near, far;
};

static struct sockaddr_in name_of(int fd)
{
	struct sockaddr_in name = { 0 };
	socklen_t size = sizeof(name);

	assert_int_equal(getsockname(fd, (void *)&name, &size), 0);
	return name;
}

static void raise_loopback(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	close(fd);
}

static struct pair connect_pair(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET };
	struct pair p = { socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
			  socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -1 };

	assert_int_equal(bind(p.listener, (void *)&name, sizeof(name)), 0);
	assert_int_equal(listen(p.listener, 1), 0);
	name = name_of(p.listener);
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(p.near, (void *)&name, sizeof(name)), 0);
	p.far = accept(p.listener, NULL, NULL);
	assert_true(p.far >= 0);
	return p;
}

static void close_pair(const struct pair *p)
{
	close(p->near);
	close(p->far);
	close(p->listener);
}

static bool comes_in(const char *from, __u16 source_port, __u16 port, uint8_t flags)
{
	const struct packet packet = { .from = from,
				       .to = "127.0.0.1",
				       .protocol = TCP,
				       .source_port = source_port,
				       .port = port,
				       .flags = flags };
	struct __sk_buff context = { .ifindex = lab.device };
	struct frame f;
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f.byte, .repeat = 1);

	bool passes;

	packet_build(&packet, &f);
	options.data_size_in = (__u32)f.length;
	assert_int_equal(bpf_prog_test_run_opts(engine_program(lab.set, OH_HOOK_INBOUND), &options), 0);
	passes = options.retval == 2 /* XDP_PASS */;
	options.ctx_in = &context;
	options.ctx_size_in = sizeof(context);
	assert_int_equal(bpf_prog_test_run_opts(engine_program(lab.set, OH_HOOK_UPLINK_INGRESS), &options), 0);
	assert_int_equal(options.retval == (__u32)-1 /* TC_ACT_UNSPEC */, passes);
	return passes;
}

/* A listening socket is no connection: who may begin one is what the inbound rules say. */
static void open_connection_is_known_and_a_listening_socket_is_not(void **state)
{
	struct pair p = connect_pair();
	__u16 near = ntohs(name_of(p.near).sin_port), far = ntohs(name_of(p.far).sin_port);

	(void)state;
	assert_true(comes_in("127.0.0.1", far, near, ACK));
	assert_true(comes_in("127.0.0.1", near, far, ACK));
	assert_false(comes_in("127.0.0.1", (__u16)(far + 1), near, ACK));
	assert_false(comes_in("127.0.0.2", 50000, far, SYN));
	assert_false(comes_in("127.0.0.2", 50000, far, ACK));
	close_pair(&p);
}

static void own(int fd, __u32 target, __u32 generation, bool admitted)
{
	const struct oh_connection c = { .admitted = admitted, .target = target, .generation = generation };

	lab_set(&lab, ENGINE_CONNECTIONS, &fd, &c);
}

static bool is_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && p.revents & (POLLERR | POLLHUP);
}

static void connections_end_with_their_target_and_not_before(void **state)
{
	static const struct {
		const char *name;
		__u32 target, generation;
		bool admitted, ends;
	} rows[] = {
		{ "of a target that holds", T_LIVE, 7, true, false },
		{ "of one that lapses later", T_LAPSES_LATER, 7, true, false },
		{ "revoked", T_REVOKED, 7, true, true },
		{ "lapsed", T_LAPSED, 7, true, true },
		{ "of no target", 0, 7, true, false },
		{ "not admitted", T_REVOKED, 7, false, false },
	};
	struct pair pairs[sizeof(rows) / sizeof(*rows)], other;
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		pairs[i] = connect_pair();
		own(pairs[i].near, rows[i].target, rows[i].generation, rows[i].admitted);
	}
	other = connect_pair();
	connections_end(&lab.engine);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (is_ended(pairs[i].near) != rows[i].ends) {
			fprintf(stderr, "%s: %s\n", rows[i].name, rows[i].ends ? "lives on" : "was ended");
			wrong++;
		}
		close_pair(&pairs[i]);
	}
	assert_false(is_ended(other.near));
	close_pair(&other);
	assert_int_equal(wrong, 0);
}

static int start(void **state)
{
	const struct config c = { .max_addresses = 1024, .uplinks = { "eth0" }, .uplink_count = 1, .xdp = true };

	*state = &lab;
	table_lab(&lab, &c, false);
	raise_loopback();
	lab_ready(&lab, true);
	lab_target(&lab, T_LIVE, 7, OH_FOREVER);
	lab_target(&lab, T_REVOKED, 8, OH_FOREVER);
	lab_target(&lab, T_LAPSED, 7, lab_now());
	lab_target(&lab, T_LAPSES_LATER, 7, lab_now() + 3600);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_connection_is_known_and_a_listening_socket_is_not),
		cmocka_unit_test(connections_end_with_their_target_and_not_before),
	};

	return run_as_root(tests, start, lab_stop_group);
}
