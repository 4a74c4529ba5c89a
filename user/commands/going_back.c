// SPDX-License-Identifier: MIT
#include "commands/going_back.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/proc.h"

#define OWN_BINARY "/proc/self/exe"
#define LOAD_LONGEST 300	/* seconds */
#define LOOK_EVERY 2		/* seconds: whether somebody has confirmed */

static void become_waiter(const struct guard_options *options)
{
	const char *argv[] = { "ohguard", "load", "--go-back", "--name", options->instance,
			       options->config ? "--config" : NULL, options->config, NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	for (int fd = 0; fd <= STDERR_FILENO && null >= 0; fd++)
		dup2(null, fd);
	execv(OWN_BINARY, (char *const *)argv);
	_exit(127);
}

/* A grandchild, whose parent is process 1 from the start. All else that we have open closes by itself when it becomes
 * another program, the lock too. */
static int start_waiter(const struct guard_options *options, struct error *e)
{
	pid_t child = fork();
	int status = 0;

	if (!child) {
		pid_t waiter = fork();

		if (!waiter)
			become_waiter(options);
		_exit(waiter < 0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status)
		return error_set(e, EAGAIN, "--confirm: no process could be started that would go back");
	return 0;
}

int going_back_begin(const struct guard *g, const struct guard_options *options, uint64_t seconds, struct error *e)
{
	int r = back_keep(g, clock_boot() + (int64_t)seconds, e);

	return r ? r : start_waiter(options, e);
}

bool going_back_wait(const struct guard_options *options)
{
	struct back b;
	struct guard g;
	struct error e;

	if (guard_open_to_go_back(options, &g, &e))	/* waits for the lock, so for that `load` */
		return false;
	guard_close(&g);	/* but for its paths */
	while (!back_read(&g, &b, &e)) {
		int64_t left = b.deadline - clock_boot();

		if (back_is_due(&b))
			return true;
		sleep(left < LOOK_EVERY ? (unsigned int)left : LOOK_EVERY);
	}
	return false;
}

void going_back_if_due(const struct guard *g, const struct guard_options *options, int64_t *ret_deadline)
{
	const char *const argv[] = { OWN_BINARY, "load", "--go-back", "--name", options->instance, NULL };
	struct proc p = { .argv = argv, .timeout = LOAD_LONGEST, .limit = 65536 };
	struct proc_result result = { 0 };
	struct error e;
	struct back b;

	*ret_deadline = 0;
	if (back_read(g, &b, &e))
		return;
	if (!back_is_due(&b)) {
		*ret_deadline = clock_boot_at() + b.deadline;
		return;
	}
	error_warn("nobody has confirmed the last `load --confirm`: going back to what was in force before");
	if (proc_run(&p, &result, &e))
		error_print(&e);
	else if (result.status)
		fputs(result.err ? result.err : "", stderr);
	proc_free(&result);
}
