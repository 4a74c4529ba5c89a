// SPDX-License-Identifier: MIT
/* ohguard run: one command under a guard of its own. This process stands in for the command at the terminal, and holds
 * nothing of the guard: another one does, and clears away when this one is gone (guard/keeper.h). */
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "commands/cmd.h"
#include "engine/cgroup.h"
#include "guard/keeper.h"
#include "policy/suffix.h"

#define GROUPS_MAX 256
#define NOT_FOUND 127		/* exit statuses of a command that cannot be run, as the shell has them */
#define NOT_RUN 126
#define CAP_NET_RAW 13		/* linux/capability.h */

/* As whom the command runs. */
struct identity {
	bool set;		/* false: as we do */
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	size_t group_count;
	char name[64], home[PATH_MAX], shell[PATH_MAX];
};

struct run {
	struct cmd_options common;
	const char **allow, *learn, *user;
	char *const *command;
	struct config config;
	struct grants grants;
	struct identity who;
	char cgroup[PATH_MAX];
	sigset_t before;	/* the signal mask that we got */
	pid_t keeper, child;
	int front, signals;
};

/* ---- the user: from the files, since name services need shared libraries ---- */

static int find_user(const char *user, struct identity *ret, struct error *e)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *p = NULL;
	uint64_t number;

	while (f && (p = fgetpwent(f)) && strcmp(p->pw_name, user))
		;
	if (p) {
		*ret = (struct identity){ .set = true, .uid = p->pw_uid, .gid = p->pw_gid };
		snprintf(ret->name, sizeof(ret->name), "%s", p->pw_name);
		snprintf(ret->home, sizeof(ret->home), "%s", p->pw_dir);
		snprintf(ret->shell, sizeof(ret->shell), "%s", *p->pw_shell ? p->pw_shell : "/bin/sh");
	}
	if (f)
		fclose(f);
	if (p)
		return 0;
	if (text_parse_number(user, 0, UINT32_MAX - 1, &number))
		return error_set(e, ENOENT, "--user %s: not in /etc/passwd: give a number, if it is a user of another "
				 "source", user);
	*ret = (struct identity){ .set = true, .uid = (uid_t)number, .gid = (gid_t)number };
	return 0;
}

static void find_groups(struct identity *who)
{
	FILE *f = fopen("/etc/group", "re");
	struct group *g;

	who->groups[who->group_count++] = who->gid;
	while (f && *who->name && (g = fgetgrent(f))) {
		for (char **m = g->gr_mem; *m && who->group_count < GROUPS_MAX; m++) {
			if (!strcmp(*m, who->name))
				who->groups[who->group_count++] = g->gr_gid;
		}
	}
	if (f)
		fclose(f);
}

/* Without new privileges: sudo would make it root again, which can leave its cgroup. */
static int become(const struct identity *who)
{
	if (!who->set)
		return 0;
	if (setgroups(who->group_count, who->groups) || setresgid(who->gid, who->gid, who->gid) ||
	    setresuid(who->uid, who->uid, who->uid) || (who->uid && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
		return -errno;
	if (*who->name) {
		setenv("USER", who->name, 1);
		setenv("LOGNAME", who->name, 1);
		setenv("HOME", who->home, 1);
		setenv("SHELL", who->shell, 1);
	}
	return 0;
}

/* ---- the command ---- */

static void fail_child(const char *what, const char *why, int status)
{
	error_warn("%s: %s", what, why);
	fflush(stderr);
	_exit(status);
}

/* In the child. Packet sockets would go past the hooks. The death signal is not kept over a change of user. */
static void run_command(const struct run *o, pid_t parent)
{
	char *const *argv = o->command;

	close(o->front);
	close(o->signals);
	if (cgroup_join(o->cgroup))
		fail_child(o->cgroup, strerror(errno), NOT_RUN);
	if (prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0) || become(&o->who))
		fail_child(o->user ? o->user : "CAP_NET_RAW", strerror(errno), NOT_RUN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(NOT_RUN);
	sigprocmask(SIG_SETMASK, &o->before, NULL);
	execvp(argv[0], argv);
	fail_child(argv[0], strerror(errno), errno == ENOENT ? NOT_FOUND : NOT_RUN);
}

/* What the terminal sent, the command has got as well: it is in the same process group, or in the foreground. */
static void pass_on(const struct run *o, const struct signalfd_siginfo *info)
{
	if (info->ssi_code != SI_KERNEL && (pid_t)info->ssi_pid != o->child)
		kill(o->child, (int)info->ssi_signo);
}

/* Stops as the command did, so that the shell that waits for us takes the terminal. Its fg wakes both. */
static void stop_too(const struct run *o)
{
	kill(getpid(), SIGSTOP);
	kill(o->child, SIGCONT);
}

/* Until the command ends: its exit status, as the shell counts; or -1: there is nobody left to guard it. */
static int attend(const struct run *o)
{
	struct signalfd_siginfo info;
	int status;

	while (read(o->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD) {
			pass_on(o, &info);
			continue;
		}
		while (waitpid(o->child, &status, WNOHANG | WUNTRACED) == o->child) {
			if (WIFEXITED(status))
				return WEXITSTATUS(status);
			if (WIFSIGNALED(status))
				return 128 + WTERMSIG(status);
			stop_too(o);
		}
		if (waitpid(o->keeper, NULL, WNOHANG) == o->keeper)
			return -1;
	}
	return -1;
}

/* ---- this process ---- */

/* All that can be caught, but what tells of our own faults. */
static void block_signals(sigset_t *ret_before)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP };
	sigset_t all;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigdelset(&all, faults[i]);
	sigprocmask(SIG_BLOCK, &all, ret_before);
}

static int start_keeper(struct run *o, int covered, struct error *e)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return error_set(e, errno, "socketpair: %s", strerror(errno));
	o->keeper = fork();
	if (!o->keeper) {
		const struct keeper k = { .config = &o->config, .grants = &o->grants, .cgroup = o->cgroup,
					  .learn = o->learn, .front = ends[1], .covered = covered };

		close(ends[0]);
		_exit(keep(&k, e) ? cmd_fail(e) : CMD_OK);
	}
	close(ends[1]);
	o->front = ends[0];
	return o->keeper < 0 ? error_set(e, errno, "fork: %s", strerror(errno)) : 0;
}

static int end_keeper(const struct run *o)
{
	int status = 0;

	close(o->front);
	while (waitpid(o->keeper, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : CMD_FAILED;
}

/* Until the guard stands, a signal ends us as it does any program, and the keeper clears away. */
static int guard_command(struct run *o)
{
	pid_t parent = getpid();
	sigset_t blocked;
	struct error e;
	char ready = 0;
	int status, r;

	sigprocmask(SIG_SETMASK, &o->before, NULL);
	while (read(o->front, &ready, 1) < 0 && errno == EINTR)
		;
	block_signals(&blocked);
	if (ready != KEEPER_READY) {
		r = end_keeper(o);
		return r ? r : CMD_FAILED;
	}
	sigfillset(&blocked);
	o->signals = signalfd(-1, &blocked, SFD_CLOEXEC);
	o->child = o->signals < 0 ? -1 : fork();
	if (!o->child)
		run_command(o, parent);
	status = o->child < 0 ? -1 : attend(o);
	if (status >= 0) {
		r = end_keeper(o);
		return status ? status : r;
	}
	error_warn(o->child < 0 ? "the command cannot be started" : "the process that guards it is gone: it is killed");
	cgroup_kill(o->cgroup);
	end_keeper(o);
	return cgroup_remove(o->cgroup, &e) ? cmd_fail(&e) : CMD_FAILED;
}

/* Without a file only --allow counts: the defaults of a whole machine let in and out what a command needs not. */
static int read_options(struct run *o, struct error *e)
{
	const char *file = o->common.guard.config;
	int r = file ? config_read(file, &o->config, e) : config_default(&o->config, e);
	size_t kept = 0;

	if (r)
		return r;
	for (size_t i = 0; i < o->config.target_count; i++) {
		if (file || o->config.targets[i].service != OH_SERVICE_NTP)
			o->config.targets[kept++] = o->config.targets[i];
	}
	o->config.target_count = kept;
	o->config.inbound_count = file ? o->config.inbound_count : 0;
	o->config.uplink_count = 0;
	for (const char **a = o->allow; !r && a && *a; a++) {
		struct target t;

		r = target_parse_options(*a, &t, e);
		if (!r)
			r = suffix_check(&t, false, e);
		if (!r)
			r = grants_add(&o->grants, &t, 0, e);
	}
	if (!r && o->user)
		r = find_user(o->user, &o->who, e);
	if (!r && o->user)
		find_groups(&o->who);
	return r;
}

/* Then what learns from answers need not be loaded: it is a fourth of what the kernel has to verify. */
static bool allows_no_name(const struct run *o)
{
	for (size_t i = 0; i < o->config.target_count; i++) {
		if (o->config.targets[i].kind == TARGET_NAME || o->config.targets[i].kind == TARGET_SUFFIX)
			return false;
	}
	for (size_t i = 0; i < o->grants.count; i++) {
		if (o->grants.list[i].target.kind == TARGET_NAME || o->grants.list[i].target.kind == TARGET_SUFFIX)
			return false;
	}
	return !o->config.name_count && !o->learn;
}

static int run(struct run *o)
{
	int covered, r;
	struct error e;
	size_t n;

	r = geteuid() ? error_set(&e, EPERM, "only root may load a guard: run it as root, and name the command's user "
				  "with --user") : read_options(o, &e);
	if (!r)
		r = cgroup_find_own(o->cgroup, &e);
	if (r)
		return cmd_fail(&e);
	o->config.no_names = allows_no_name(o);
	cgroup_remove_left(o->cgroup);
	n = strlen(o->cgroup);
	snprintf(o->cgroup + n, sizeof(o->cgroup) - n, "/" CGROUP_OF_RUN, (int)getpid());
	block_signals(&o->before);
	r = keeper_mount(&o->config, &covered, &e);
	if (!r)
		r = start_keeper(o, covered, &e);
	return r ? cmd_fail(&e) : guard_command(o);
}

int cmd_run(int argc, char **argv)
{
	struct run o = { 0 };
	struct poptOption options[] = {
		{ "allow", 0, POPT_ARG_ARGV, &o.allow, 0,
		  "Allow NAME, *.SUFFIX, ADDRESS or ADDRESS/BITS, with an optional :PORT ('NAME:80 sni=off' for what "
		  "is not TLS); may be repeated", "TARGET" },
		{ "learn", 0, POPT_ARG_STRING, &o.learn, 0,
		  "Refuse nothing, and write the configuration that the command needed", "FILE" },
		{ "user", 0, POPT_ARG_STRING, &o.user, 0, "Run the command as this user", "USER" },
		POPT_TABLEEND
	};
	int own = 1, r;

	while (own < argc && strcmp(argv[own], "--"))
		own++;
	o.command = own < argc ? argv + own + 1 : NULL;
	r = cmd_parse(own, argv, options, "-- COMMAND [ARGUMENT...]", &o.common);
	if (r != CMD_GO_ON)
		return r;
	if (o.common.argc || !o.command || !*o.command)
		return cmd_usage("run: write -- before the command: ohguard run --allow example.com -- curl "
				 "https://example.com");
	return run(&o);
}
