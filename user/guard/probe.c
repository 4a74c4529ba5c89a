// SPDX-License-Identifier: MIT
#include "guard/probe.h"

#include <endian.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/cgroup.h"
#include "history/record.h"
#include "names/resolve.h"

#define WAIT_MS 4000

/* ---- one attempt ---- */

static socklen_t socket_address(const struct oh_address *a, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 ip6 = { .sin6_family = AF_INET6, .sin6_port = htobe16(port) };
	struct sockaddr_in ip4 = { .sin_family = AF_INET, .sin_port = htobe16(port) };

	memset(ret, 0, sizeof(*ret));
	if (address_is_ip4(a)) {
		memcpy(&ip4.sin_addr, a->byte + 12, 4);
		memcpy(ret, &ip4, sizeof(ip4));
		return sizeof(ip4);
	}
	memcpy(&ip6.sin6_addr, a, sizeof(*a));
	memcpy(ret, &ip6, sizeof(ip6));
	return sizeof(ip6);
}

static bool say(struct probe *p, bool works, const char *what)
{
	snprintf(p->said, sizeof(p->said), "%s", what);
	return works;
}

static bool say_error(struct probe *p, int error)
{
	if (error == EPERM || error == EACCES)
		return say(p, false, "refused at once");
	if (error == ETIMEDOUT || error == EAGAIN)
		return say(p, false, "no answer");
	return say(p, false, strerror(error));
}

/* Waits for that event. 0 or the error's number. */
static int wait_for(int fd, short event)
{
	struct pollfd ready = { .fd = fd, .events = event };
	socklen_t size = sizeof(int);
	int error = 0, n = poll(&ready, 1, WAIT_MS);

	if (n <= 0)
		return n ? errno : ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) ? errno : error;
}

/* A TLS 1.2 hello with a server name: RFC 5246, 7.4.1.2 and RFC 6066, 3. Returns its length. */
static size_t make_hello(const char *name, uint8_t ret[512])
{
	static const uint8_t suites[] = { 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9, 0xcc, 0xa8,
					  0x00, 0x9c, 0x00, 0x2f };
	static const uint8_t rest[] = {
		0x00, 0x0a, 0x00, 0x06, 0x00, 0x04, 0x00, 0x1d, 0x00, 0x17,	/* groups: X25519, P-256 */
		0x00, 0x0b, 0x00, 0x02, 0x01, 0x00,				/* points: uncompressed */
		0x00, 0x0d, 0x00, 0x0e, 0x00, 0x0c, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01, 0x05, 0x03, 0x08, 0x05, 0x05,
		0x01,								/* signatures */
	};
	size_t n = strlen(name), extensions = 9 + n + sizeof(rest), body = 2 + 32 + 1 + 2 + sizeof(suites) + 2 + 2 +
									   extensions;
	uint8_t head[] = { 0x16, 3, 1, (uint8_t)((body + 4) >> 8), (uint8_t)(body + 4),
			   1, 0, (uint8_t)(body >> 8), (uint8_t)body, 3, 3 };
	uint8_t random[32], *at = ret;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		memset(random, 7, sizeof(random));
	at = mempcpy(at, head, sizeof(head));
	at = mempcpy(at, random, sizeof(random));
	*at++ = 0;				/* no session */
	*at++ = 0;
	*at++ = sizeof(suites);
	at = mempcpy(at, suites, sizeof(suites));
	*at++ = 1;				/* compression: none */
	*at++ = 0;
	*at++ = (uint8_t)(extensions >> 8);
	*at++ = (uint8_t)extensions;
	at = mempcpy(at, (uint8_t[]){ 0, 0, 0, (uint8_t)(n + 5), 0, (uint8_t)(n + 3), 0, 0, (uint8_t)n }, 9);
	at = mempcpy(at, name, n);
	at = mempcpy(at, rest, sizeof(rest));
	return (size_t)(at - ret);
}

/* Sends and waits for the first bytes of an answer. */
static bool converse(struct probe *p, int fd, const void *bytes, size_t size)
{
	uint8_t got[16];
	ssize_t n;
	int error;

	if (send(fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
		return say_error(p, errno);
	error = wait_for(fd, POLLIN);
	n = error ? -1 : recv(fd, got, sizeof(got), 0);
	if (error || n < 0)
		return say_error(p, error ? error : errno);
	if (!n)
		return say(p, false, "closed without an answer");
	if (p->check.kind == CHECK_HTTPS && got[0] != 0x16 && got[0] != 0x15)
		return say(p, false, "an answer that is not TLS");
	return say(p, true, "answered");
}

static bool try_address(struct probe *p, const struct oh_address *a)
{
	const struct check *c = &p->check;
	char request[OH_TARGET_TEXT_MAX + 64], host[OH_TARGET_TEXT_MAX];
	struct sockaddr_storage to;
	socklen_t size = socket_address(a, c->target.port, &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	uint8_t hello[512];
	bool works;

	if (fd < 0 || (connect(fd, (struct sockaddr *)&to, size) && errno != EINPROGRESS))
		error = errno;
	if (!error)
		error = wait_for(fd, POLLOUT);
	target_format(&c->target, host);
	if (error)
		works = say_error(p, error);
	else if (c->kind == CHECK_TCP)
		works = say(p, true, "connected");
	else if (c->kind == CHECK_HTTPS)
		works = converse(p, fd, hello, make_hello(c->target.kind == TARGET_NAME ? host : "", hello));
	else
		works = converse(p, fd, request, (size_t)snprintf(request, sizeof(request),
			"HEAD / HTTP/1.0\r\nHost: %s\r\n\r\n", host));
	if (fd >= 0)
		close(fd);
	return works;
}

/* The addresses of a name as DNS says them here, behind those that are there already. */
static const char *resolve(const struct target *t, const struct config *c, struct oh_address *ret, size_t *count)
{
	struct resolve_query q[] = { { .name = t->name, .family = 4 }, { .name = t->name, .family = 6 } };
	const char *failure = NULL;
	struct error e;

	if (resolve_all(c->resolvers, c->resolver_count, q, 2, &e))
		return "no resolver could be asked";
	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; i < q[k].answer.count && *count < PROBE_ADDRESSES_MAX; i++)
			ret[(*count)++] = q[k].answer.list[i].address;
		answer_free(&q[k].answer);
	}
	if (!*count)
		failure = q[0].failure ? q[0].failure : "no address";
	return failure;
}

void probe_resolve(struct probe *p, const struct config *c)
{
	if (p->check.target.kind == TARGET_NAME && !p->check.any && p->check.kind != CHECK_DNS)
		resolve(&p->check.target, c, p->known, &p->known_count);
}

/* One address that works is enough, and is a surprise where none may. */
static bool try_connections(struct probe *p, const struct config *c)
{
	struct oh_address found[PROBE_ADDRESSES_MAX];
	const char *failure = NULL;
	size_t count = 0;

	if (p->check.target.kind == TARGET_ADDRESS)
		found[count++] = p->check.target.range.address;
	else
		failure = resolve(&p->check.target, c, found, &count);
	for (size_t i = 0; i < count; i++) {
		if (try_address(p, &found[i]))
			return true;
	}
	for (size_t i = 0; i < p->known_count; i++) {	/* resolved elsewhere, as by a cache or a colleague */
		if (try_address(p, &p->known[i]))
			return true;
	}
	/* what came of its addresses says more */
	return failure && !p->known_count ? say(p, false, failure) : false;
}

static bool try_name(struct probe *p, const struct config *c)
{
	struct oh_address found[PROBE_ADDRESSES_MAX];
	size_t count = 0;
	const char *failure = resolve(&p->check.target, c, found, &count);

	return say(p, !failure, failure ? failure : "answered");
}

static bool ask_time(struct probe *p, const struct oh_address *server)
{
	uint8_t packet[48] = { 0x23 };	/* RFC 5905, 7.3: version 4, a client; and a transmit time */
	struct sockaddr_storage to;
	socklen_t size = socket_address(server, 123, &to);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	char text[ADDRESS_TEXT_MAX];

	if (getrandom(packet + 40, 8, 0) != 8)
		packet[40] = 1;
	if (fd < 0 || sendto(fd, packet, sizeof(packet), 0, (struct sockaddr *)&to, size) != sizeof(packet))
		error = errno;
	if (!error)
		error = wait_for(fd, POLLIN);
	if (!error && recv(fd, packet, sizeof(packet), 0) != sizeof(packet))
		error = errno;
	if (fd >= 0)
		close(fd);
	if (error)
		return say_error(p, error);
	snprintf(p->said, sizeof(p->said), "answered by %s", address_format(server, text));
	return true;
}

static bool try_time(struct probe *p, const struct policy *policy, const struct config *c)
{
	struct oh_address found[PROBE_ADDRESSES_MAX];
	size_t count = 0;

	if (!p->check.any && p->check.target.kind == TARGET_ADDRESS)
		found[count++] = p->check.target.range.address;
	else if (!p->check.any)
		resolve(&p->check.target, c, found, &count);
	for (size_t i = 0; p->check.any && i < policy->count && count < PROBE_ADDRESSES_MAX; i++) {
		const struct target *t = policy->list[i].target;

		if (t->service == OH_SERVICE_NTP && t->kind == TARGET_ADDRESS)
			found[count++] = t->range.address;
		else if (t->service == OH_SERVICE_NTP && !t->on_demand)
			resolve(t, c, found, &count);
	}
	say(p, false, "no time server");
	for (size_t i = 0; i < count; i++) {
		if (ask_time(p, &found[i]))
			return true;
	}
	return false;
}

/* Both ways: a raw socket, and the one that needs no privilege. */
static bool try_ping(struct probe *p)
{
	const struct oh_address *a = &p->check.target.range.address;
	bool ip4 = address_is_ip4(a), works = false;

	for (int type = SOCK_RAW; !works; type = SOCK_DGRAM) {
		struct icmphdr echo = { .type = ip4 ? ICMP_ECHO : 128, .checksum = htobe16(ip4 ? 0xf7fe : 0),
					.un.echo = { .sequence = htobe16(1) } };
		struct sockaddr_storage to;
		socklen_t size = socket_address(a, 0, &to);
		int fd = socket(to.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, ip4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
		int error = 0;

		if (fd < 0 || sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&to, size) < 0)
			error = errno;
		if (!error)
			error = wait_for(fd, POLLIN);
		works = error ? say_error(p, error) : say(p, true, "answered");
		if (fd >= 0)
			close(fd);
		if (type == SOCK_DGRAM)
			break;
	}
	return works;
}

static void try(struct probe *p, const struct policy *policy, const struct config *c)
{
	int64_t before = clock_monotonic_ms();

	switch (p->check.kind) {
	case CHECK_DNS:
		p->works = try_name(p, c);
		break;
	case CHECK_NTP:
		p->works = try_time(p, policy, c);
		break;
	case CHECK_PING:
		p->works = try_ping(p);
		break;
	default:
		p->works = try_connections(p, c);
	}
	p->milliseconds = (int)(clock_monotonic_ms() - before);
}

/* ---- all of them, in the cgroup ---- */

static void be_inside(struct probe *probes, size_t count, const char *cgroup, const struct policy *policy,
		      const struct config *c, pid_t parent, int out)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, HISTORY_OF_VERIFY);
	if (getppid() != parent || cgroup_join(cgroup))
		_exit(1);
	for (size_t i = 0; i < count; i++) {
		try(&probes[i], policy, c);
		if (write(out, &probes[i], sizeof(probes[i])) != sizeof(probes[i]))
			_exit(1);
	}
	_exit(0);
}

static size_t read_results(struct probe *probes, size_t count, int in)
{
	size_t have = 0, size = count * sizeof(*probes);
	ssize_t n;

	while (have < size && (n = read(in, (char *)probes + have, size - have)) > 0)
		have += (size_t)n;
	return have / sizeof(*probes);
}

int probe_run(struct probe *probes, size_t count, const char *cgroup, const struct policy *policy,
	      const struct config *c, struct error *e)
{
	char path[PATH_MAX];
	struct error e_remove;
	int results[2], status = 0, r = 0;
	pid_t parent = getpid(), child;

	cgroup_remove_left(cgroup);
	if (snprintf(path, sizeof(path), "%s/" CGROUP_OF_VERIFY, cgroup, getpid()) >= PATH_MAX || mkdir(path, 0755))
		return error_set(e, errno, "%s/" CGROUP_OF_VERIFY ": %s", cgroup, getpid(), strerror(errno));
	if (pipe2(results, O_CLOEXEC)) {
		r = error_set(e, errno, "pipe: %s", strerror(errno));
		rmdir(path);
		return r;
	}
	child = fork();
	if (!child)
		be_inside(probes, count, path, policy, c, parent, results[1]);
	close(results[1]);
	if (child < 0)
		r = error_set(e, errno, "fork: %s", strerror(errno));
	else if (read_results(probes, count, results[0]) < count)
		r = error_set(e, EIO, "%s: nothing could be tried from inside", path);
	close(results[0]);
	if (child > 0)
		waitpid(child, &status, 0);
	if (cgroup_remove(path, &e_remove))
		error_warn("%s", e_remove.text);
	return r;
}
