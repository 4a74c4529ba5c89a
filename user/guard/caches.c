// SPDX-License-Identifier: MIT
#include "guard/caches.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/proc.h"

#define RESOLVED "/run/systemd/resolve/io.systemd.Resolve"
#define TIMEOUT 2	/* seconds: early at boot its tool waits for D-Bus, and the cache is empty */

/* Somebody listens there. */
static bool runs(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool connected;

	if (fd < 0)
		return false;
	strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
	connected = !connect(fd, (const struct sockaddr *)&to, sizeof(to));
	close(fd);
	return connected;
}

int caches_flush(struct error *e)
{
	static const char *const argv[] = { "resolvectl", "flush-caches", NULL };
	const struct proc p = { .argv = argv, .timeout = TIMEOUT, .limit = 4096 };
	struct proc_result result = { 0 };
	int r;

	if (!runs(RESOLVED))
		return 0;
	r = proc_run(&p, &result, e);
	if (!r && result.status)
		r = error_set(e, EIO, "%s %s: exit status %d", argv[0], argv[1], result.status);
	proc_free(&result);
	return r;
}
