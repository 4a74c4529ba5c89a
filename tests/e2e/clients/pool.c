// SPDX-License-Identifier: MIT
/* Resolves a name and connects to each address it got, a number of times: with glibc or, static, with musl.
 * usage: pool NAME ROUNDS */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *a;
	int connected = 0, failed = 0, rounds = argc == 3 ? atoi(argv[2]) : 0;

	for (int i = 0; i < rounds; i++) {
		int r = getaddrinfo(argv[1], "443", &hints, &list);

		if (r) {
			failed++;
			printf("round %d: %s\n", i, gai_strerror(r));
			continue;
		}
		for (a = list; a; a = a->ai_next) {
			int fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);

			if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen)) {
				failed++;
				printf("round %d: connect: %s\n", i, strerror(errno));
			} else {
				connected++;
			}
			close(fd);
		}
		freeaddrinfo(list);
	}
	printf("connected %d failed %d\n", connected, failed);
	return 0;
}
