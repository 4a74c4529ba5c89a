// SPDX-License-Identifier: MIT
#include "lock/place.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define RETRIED "OHGUARD_RETRIED"	/* in the environment, which a process that is let in clears */

static char **arguments;

void place_remember(int argc, char **argv)
{
	arguments = calloc((size_t)argc + 1, sizeof(*arguments));
	if (arguments)
		memcpy(arguments, argv, (size_t)argc * sizeof(*arguments));
}

static bool change_mounts(void)
{
	int fd = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	bool changed;

	if (fd < 0)
		return false;
	changed = file_mounts_are_own() && !setns(fd, CLONE_NEWNS);
	close(fd);
	return changed;
}

void place_enter(void)
{
	if (arguments && change_mounts())
		execv("/proc/self/exe", arguments);
}

void place_retry(void)
{
	if (!arguments || getenv(RETRIED) || setenv(RETRIED, "1", 1))
		return;
	change_mounts();
	execv("/proc/self/exe", arguments);
}
