// SPDX-License-Identifier: MIT
/* Runs a command and prints its wall time and CPU time in milliseconds, its peak memory in KiB and its exit status.
 * usage: measure COMMAND...   Small itself, since a child's peak starts from its parent's size. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double milliseconds(struct timeval t)
{
	return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t quiet;
	struct rusage usage;
	double start = now();
	int status, r;
	pid_t pid;

	if (argc < 2)
		return 2;
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	r = posix_spawn(&pid, argv[1], &quiet, NULL, argv + 1, environ);
	if (r) {
		fprintf(stderr, "measure: %s: %s\n", argv[1], strerror(r));
		return 1;
	}
	if (wait4(pid, &status, 0, &usage) != pid)
		return 1;
	printf("%.3f %.3f %ld %d\n", now() - start, milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime),
	       usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return 0;
}
