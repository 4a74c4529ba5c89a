// SPDX-License-Identifier: MIT
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define CHUNK 65536
#define AFTER_EXIT_MS 1000	/* how long a grandchild may keep the pipes open */

static volatile sig_atomic_t interrupts;

static void note_interrupt(int number)
{
	(void)number;
	if (interrupts < 2)
		interrupts++;
}

void proc_catch_interrupts(void)
{
	struct sigaction action = { .sa_handler = note_interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool proc_interrupted(void)
{
	return interrupts > 0;
}

bool proc_sleep(unsigned int milliseconds)
{
	if (!interrupts)
		poll(NULL, 0, (int)milliseconds);
	return interrupts > 0;
}

bool proc_back_off(unsigned int try)
{
	return proc_sleep(try < 3 ? 1000u << try : 8000);
}

enum { IN, OUT, ERR, EXIT, FDS };

struct child {
	pid_t pid;
	struct pollfd fds[FDS];
	size_t sent;
	long long exited;	/* when, or 0 */
};

static void close_end(struct pollfd *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

/* In the child, between fork and exec. */
static void become(const struct proc *p, int in, int out, int err, int failure)
{
	static const int to_default[] = { SIGINT, SIGTERM, SIGPIPE };

	/* Its own session: it can be killed whole, a Ctrl-C at the terminal is ours alone, and it asks nobody there. */
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (size_t i = 0; i < sizeof(to_default) / sizeof(*to_default); i++)
		signal(to_default[i], SIG_DFL);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0) {
		for (size_t i = 0; p->env && p->env[i]; i++)
			putenv((char *)p->env[i]);
		execvp(p->argv[0], (char *const *)p->argv);
	}
	if (write(failure, &errno, sizeof(errno)) < 0)
		_exit(126);
	_exit(127);
}

/* Pipes are close-on-exec: no other child of ours may hold them open. */
static int start(const struct proc *p, struct child *c, struct error *e)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 }, failure[2] = { -1, -1 };
	int code = 0, r = 0;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) || pipe2(failure, O_CLOEXEC)) {
		r = error_set(e, errno, "%s: pipe: %s", p->argv[0], strerror(errno));
		goto cleanup;
	}
	if (!p->input) {
		close(in[0]);
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	c->pid = fork();
	if (!c->pid)
		become(p, in[0], out[1], err[1], failure[1]);
	if (c->pid < 0) {
		r = error_set(e, errno, "%s: fork: %s", p->argv[0], strerror(errno));
		goto cleanup;
	}
	close(failure[1]);
	failure[1] = -1;
	while (read(failure[0], &code, sizeof(code)) < 0 && errno == EINTR)
		;
	if (code) {
		waitpid(c->pid, NULL, 0);
		r = error_set(e, code, "%s: cannot be run: %s", p->argv[0], strerror(code));
		goto cleanup;
	}
	c->fds[EXIT] = (struct pollfd){ pidfd_open(c->pid, 0), POLLIN, 0 };
	c->fds[IN] = (struct pollfd){ p->input ? in[1] : -1, POLLOUT, 0 };
	c->fds[OUT] = (struct pollfd){ out[0], POLLIN, 0 };
	c->fds[ERR] = (struct pollfd){ err[0], POLLIN, 0 };
	for (int i = IN; i <= ERR; i++) {
		if (c->fds[i].fd >= 0)
			fcntl(c->fds[i].fd, F_SETFL, O_NONBLOCK);
	}
	if (p->input)
		in[1] = -1;
	out[0] = err[0] = -1;
cleanup:
	for (int i = 0; i < 2; i++) {
		int fds[] = { in[i], out[i], err[i], failure[i] };

		for (size_t k = 0; k < sizeof(fds) / sizeof(*fds); k++) {
			if (fds[k] >= 0)
				close(fds[k]);
		}
	}
	return r;
}

static void feed(const struct proc *p, struct child *c)
{
	ssize_t n = write(c->fds[IN].fd, p->input + c->sent, p->input_size - c->sent);

	if (n > 0)
		c->sent += (size_t)n;
	/* If the child does not read its input, its status tells. */
	if ((n < 0 && errno != EAGAIN && errno != EINTR) || c->sent == p->input_size)
		close_end(&c->fds[IN]);
}

/* Appends what can be read, and closes the pipe at its end. */
static int drain(const struct proc *p, struct pollfd *from, char **data, size_t *size, struct error *e)
{
	char *grown = realloc(*data, *size + CHUNK + 1);
	ssize_t n;

	if (!grown)
		return error_set(e, ENOMEM, "%s: out of memory", p->argv[0]);
	*data = grown;
	n = read(from->fd, *data + *size, CHUNK);
	if (n > 0)
		*size += (size_t)n;
	(*data)[*size] = '\0';
	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_end(from);
	if (*size > p->limit)
		return error_set(e, EFBIG, "%s: printed more than %zu bytes", p->argv[0], p->limit);
	return 0;
}

static int exchange(const struct proc *p, struct child *c, struct proc_result *result, struct error *e)
{
	long long deadline = clock_monotonic_ms() + (long long)p->timeout * 1000;
	int r = 0;

	while (!r && (!c->exited || ((c->fds[OUT].fd >= 0 || c->fds[ERR].fd >= 0) &&
				     clock_monotonic_ms() < c->exited + AFTER_EXIT_MS))) {
		/* Half a second at most, to see a signal that came just before poll(). */
		if (poll(c->fds, FDS, 500) < 0 && errno != EINTR)
			return error_set(e, errno, "%s: poll: %s", p->argv[0], strerror(errno));
		if (c->fds[IN].fd >= 0 && c->fds[IN].revents)
			feed(p, c);
		if (c->fds[OUT].fd >= 0 && c->fds[OUT].revents)
			r = drain(p, &c->fds[OUT], &result->out, &result->out_size, e);
		if (!r && c->fds[ERR].fd >= 0 && c->fds[ERR].revents)
			r = drain(p, &c->fds[ERR], &result->err, &result->err_size, e);
		if (c->fds[EXIT].fd >= 0 && c->fds[EXIT].revents) {
			c->exited = clock_monotonic_ms();
			close_end(&c->fds[EXIT]);
		}
		if (!r && !c->exited && clock_monotonic_ms() >= deadline)
			r = error_set(e, ETIMEDOUT, "%s: killed: still running after %u seconds", p->argv[0],
				      p->timeout);
		if (!r && interrupts > 1)
			r = error_set(e, EINTR, "%s: killed by the second interrupt", p->argv[0]);
	}
	return r;
}

static int make_outputs(struct proc_result *result)
{
	*result = (struct proc_result){ .out = calloc(1, 1), .err = calloc(1, 1) };
	return result->out && result->err ? 0 : -ENOMEM;
}

int proc_run(const struct proc *p, struct proc_result *result, struct error *e)
{
	struct child c = { .fds = { { -1, 0, 0 }, { -1, 0, 0 }, { -1, 0, 0 }, { -1, 0, 0 } } };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	int status = 0, r;

	if (make_outputs(result))
		return error_set(e, ENOMEM, "%s: out of memory", p->argv[0]);
	sigaction(SIGPIPE, &ignore, &before);
	r = start(p, &c, e);
	if (!r) {
		r = exchange(p, &c, result, e);
		/* Ends what the child left running, and after an error the child itself. */
		kill(-c.pid, SIGKILL);
		while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
			;
		result->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	for (int i = 0; i < FDS; i++)
		close_end(&c.fds[i]);
	sigaction(SIGPIPE, &before, NULL);
	return r;
}

void proc_free(struct proc_result *result)
{
	if (result->out)
		explicit_bzero(result->out, result->out_size);
	if (result->err)
		explicit_bzero(result->err, result->err_size);
	free(result->out);
	free(result->err);
	*result = (struct proc_result){ 0 };
}

static bool is_plain(const char *word)
{
	return *word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
					   "_-./:=,@%+")];
}

void proc_echo(FILE *out, const char *const *argv)
{
	for (size_t i = 0; argv[i]; i++) {
		if (i)
			fputc(' ', out);
		if (is_plain(argv[i])) {
			fputs(argv[i], out);
			continue;
		}
		fputc('\'', out);
		for (const char *s = argv[i]; *s; s++) {
			char one[2] = { *s, 0 };

			if (*s == '\'')
				fputs("'\\''", out);
			else
				text_print(out, one);
		}
		fputc('\'', out);
	}
	fputc('\n', out);
}
