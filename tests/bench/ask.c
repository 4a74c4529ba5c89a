// SPDX-License-Identifier: MIT
/* The resolver's own time: A and AAAA of each name on standard input, a number of queries under way at once, nothing
 * done with the answers. Prints the milliseconds from the first query to the last answer.
 * usage: ask ADDRESS UNDER_WAY < NAMES */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUERIES_MAX 65536	/* an id each */
#define SILENCE_MS 2000

static struct query {
	unsigned char bytes[300];
	size_t size;
	bool answered;
} queries[QUERIES_MAX];
static size_t count;

static void die(const char *what)
{
	fprintf(stderr, "ask: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void add(const char *name, int type)
{
	/* one question, one additional record: EDNS with 1,232 bytes, as ohguard asks */
	static const unsigned char header[10] = { 1, 0, 0, 1, 0, 0, 0, 0, 0, 1 };
	static const unsigned char edns[11] = { 0, 0, 41, 0x04, 0xd0 };
	struct query *q = &queries[count];
	unsigned char *at = q->bytes + 12;

	if (count == QUERIES_MAX || strlen(name) > 253) {
		errno = E2BIG;
		die(name);
	}
	q->bytes[0] = (unsigned char)(count >> 8);
	q->bytes[1] = (unsigned char)count;
	memcpy(q->bytes + 2, header, sizeof(header));
	while (*name) {
		size_t label = strcspn(name, ".");

		*at++ = (unsigned char)label;
		memcpy(at, name, label);
		at += label;
		name += label + (name[label] == '.');
	}
	memcpy(at, (unsigned char[]){ 0, 0, (unsigned char)type, 0, 1 }, 5);
	memcpy(at + 5, edns, sizeof(edns));
	q->size = (size_t)(at + 5 + sizeof(edns) - q->bytes);
	count++;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Takes what has come. Returns how many queries it has answered. */
static size_t take(int s, int flags)
{
	unsigned char answer[4096];
	size_t n = 0;
	ssize_t size;

	while ((size = recv(s, answer, sizeof(answer), flags)) > 12) {
		size_t id = (size_t)answer[0] << 8 | answer[1];

		if (answer[3] & 15) {
			fprintf(stderr, "ask: the resolver says %d\n", answer[3] & 15);
			exit(1);
		}
		n += id < count && !queries[id].answered;
		if (id < count)
			queries[id].answered = true;
		flags = MSG_DONTWAIT;
	}
	return n;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53) };
	size_t under_way = argc == 3 ? strtoul(argv[2], NULL, 10) : 0, sent = 0, answered = 0;
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	char name[256];
	double start;

	if (!under_way || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: ask ADDRESS UNDER_WAY < NAMES\n");
		return 2;
	}
	while (scanf("%255s", name) == 1) {
		add(name, 1);
		add(name, 28);
	}
	if (connect(s, (struct sockaddr *)&to, sizeof(to)))
		die(argv[1]);
	start = now();
	while (answered < count) {
		struct pollfd readable = { .fd = s, .events = POLLIN };

		for (; sent < count && sent - answered < under_way; sent++) {
			if (send(s, queries[sent].bytes, queries[sent].size, 0) < 0)
				die("send");
		}
		if (poll(&readable, 1, SILENCE_MS) < 1) {
			fprintf(stderr, "ask: no answer to %zu queries\n", sent - answered);
			return 1;
		}
		answered += take(s, MSG_DONTWAIT);
	}
	printf("%.3f\n", now() - start);
	return 0;
}
