// SPDX-License-Identifier: MIT
/* Traffic over several paths in turn, burst by burst, so that a noisy machine slows all of them alike.
 * usage: traffic udp|sendto|tcp ROUNDS BURST NAME,NETNS,CGROUP,ADDRESS...
 *           prints for each path its name and the nanoseconds for one datagram or connection, burst by burst
 *        traffic sink
 *           takes connections at port 443 of every address, and closes them
 * One process for each path, since a socket keeps the network namespace and the cgroup that it was made in. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATHS_MAX 16

struct path {
	char *name, *netns, *cgroup;
	struct sockaddr_in to;
	int go, done;		/* pipes: a byte starts a burst, its nanoseconds come back */
	double *ns;
};

static void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* bench.lab.example A, with recursion desired: what the guard reads must be a query that it allows */
static const char query[] = "\x4f\x48\1\0\0\1\0\0\0\0\0\0\5bench\3lab\7example\0\0\1\0\1";
#define QUERY_SIZE (sizeof(query) - 1)

static int make_socket(int type, const struct path *p, int port, struct sockaddr_in *ret_to)
{
	int s = socket(AF_INET, type, 0);

	if (s < 0)
		die("socket");
	*ret_to = p->to;
	ret_to->sin_port = htons((uint16_t)port);
	return s;
}

static void burst_udp(const struct path *p, int count, int connected)
{
	static int s = -1;
	static struct sockaddr_in to;

	if (s < 0) {
		s = make_socket(SOCK_DGRAM, p, 53, &to);
		if (connected && connect(s, (struct sockaddr *)&to, sizeof(to)))
			die(p->name);
	}
	for (int i = 0; i < count; i++) {
		if (connected ? send(s, query, QUERY_SIZE, 0) < 0 :
				sendto(s, query, QUERY_SIZE, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			die(p->name);
	}
}

/* Closed by a reset, which leaves no TIME_WAIT to use up the ports. */
static void burst_tcp(const struct path *p, int count)
{
	const struct linger reset = { .l_onoff = 1 };

	for (int i = 0; i < count; i++) {
		struct sockaddr_in to;
		int s = make_socket(SOCK_STREAM, p, 443, &to);

		setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		if (connect(s, (struct sockaddr *)&to, sizeof(to)))
			die(p->name);
		close(s);
	}
}

static void burst(const char *kind, const struct path *p, int count)
{
	if (!strcmp(kind, "tcp"))
		burst_tcp(p, count);
	else
		burst_udp(p, count, !strcmp(kind, "udp"));
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void enter(const struct path *p)
{
	char procs[4096];
	int fd = open(p->netns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(p->netns);
	close(fd);
	if (!*p->cgroup)
		return;
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", p->cgroup);
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(procs);
	close(fd);
}

static void serve(const struct path *p, const char *kind, int count)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter(p);
	while (read(p->go, &byte, 1) == 1) {
		double start, ns;

		burst(kind, p, count / 10 + 1);		/* brings the caches back from the path before */
		start = now();
		burst(kind, p, count);
		ns = (now() - start) / count;
		if (write(p->done, &ns, sizeof(ns)) != sizeof(ns))
			die("pipe");
	}
	exit(0);
}

static void start(struct path *p, const char *kind, int count)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		die("pipe");
	p->go = to[0];
	p->done = from[1];
	switch (fork()) {
	case -1:
		die("fork");
	case 0:
		close(to[1]);
		close(from[0]);
		serve(p, kind, count);
	}
	close(to[0]);
	close(from[1]);
	p->go = to[1];
	p->done = from[0];
}

static void parse(char *text, struct path *ret, int rounds)
{
	char *address;

	*ret = (struct path){ .name = strsep(&text, ","), .netns = strsep(&text, ","), .cgroup = strsep(&text, ","),
			      .to = { .sin_family = AF_INET }, .ns = calloc((size_t)rounds, sizeof(double)) };
	address = strsep(&text, ",");
	if (!ret->ns || !address || inet_pton(AF_INET, address, &ret->to.sin_addr) != 1) {
		fprintf(stderr, "traffic: %s: not NAME,NETNS,CGROUP,ADDRESS\n", ret->name);
		exit(2);
	}
}

static void sink(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(443) };
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(s, (struct sockaddr *)&any, sizeof(any)) || listen(s, 4096))
		die("sink");
	printf("ready\n");
	fflush(stdout);
	for (;;)
		close(accept(s, NULL, NULL));
}

int main(int argc, char **argv)
{
	struct path paths[PATHS_MAX];
	int rounds = argc > 3 ? atoi(argv[2]) : 0, count = argc > 3 ? atoi(argv[3]) : 0, n = argc - 4;

	if (argc == 2 && !strcmp(argv[1], "sink"))
		sink();
	if (rounds < 1 || count < 1 || n < 1 || n > PATHS_MAX) {
		fprintf(stderr, "usage: traffic udp|sendto|tcp ROUNDS BURST NAME,NETNS,CGROUP,ADDRESS...\n");
		return 2;
	}
	for (int i = 0; i < n; i++) {
		parse(argv[4 + i], &paths[i], rounds);
		start(&paths[i], argv[1], count);
	}
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < n; i++) {
			if (write(paths[i].go, "", 1) != 1 ||
			    read(paths[i].done, &paths[i].ns[round], sizeof(double)) != sizeof(double))
				return 1;	/* the path has said why */
		}
	}
	for (int i = 0; i < n; i++) {
		printf("%s", paths[i].name);
		for (int round = 0; round < rounds; round++)
			printf(" %.1f", paths[i].ns[round]);
		printf("\n");
	}
	return 0;
}
