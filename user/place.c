#include "place.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char **arguments;

void place_remember(int argc, char **argv)
{
	arguments = calloc((size_t)argc + 1, sizeof(*arguments));
	if (arguments)
		memcpy(arguments, argv, (size_t)argc * sizeof(*arguments));
}

void place_enter(void)
{
	int fd = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	struct stat own, first;

	if (fd < 0)
		return;
	if (arguments && !fstat(fd, &first) && !stat("/proc/self/ns/mnt", &own) &&
	    (own.st_ino != first.st_ino || own.st_dev != first.st_dev) && !setns(fd, CLONE_NEWNS))
		execv("/proc/self/exe", arguments);
	close(fd);
}
