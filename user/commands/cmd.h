/* SPDX-License-Identifier: MIT */
/* The table of commands, the options that all of them take, and their exit statuses. */
#ifndef OHGUARD_CMD_H
#define OHGUARD_CMD_H

#include <popt.h>
#include <stdbool.h>

#include "base/error.h"
#include "guard/guard.h"

/* Exit statuses: part of the contract, see ohguard(8). */
enum cmd_exit {
	CMD_OK = 0,
	CMD_FAILED = 1,		/* failed or refused */
	CMD_USAGE = 2,
	CMD_NOT_LOADED = 3,
	CMD_DEGRADED = 4,	/* loaded, but not all of it as configured */
};

#define CMD_GO_ON (-1)
#define CMD_COMPLETE (-2)	/* in place of it: only the words of the command are asked for, see complete.h */

struct cmd {
	const char *name;
	int (*run)(int argc, char **argv);	/* argv[0] is "ohguard NAME"; returns enum cmd_exit */
	const char *help;	/* what it does, in a line */
	const char *example;
	const char *alias;	/* another name, or NULL */
	bool targets;		/* its arguments are targets that are allowed: completion offers them */
	bool elsewhere;		/* it has nothing to do with a guard of this machine, nor has its --help */
	bool changes;		/* it changes something: it goes on when nobody reads what it prints (SIGPIPE) */
};

/* The one that runs: its --help tells of it. */
extern const struct cmd *cmd_running;

/* The options that every command takes. */
struct cmd_options {
	struct guard_options guard;
	int json;		/* --json */
	/* The remaining words: argc of them at argv. They live as long as the process. */
	int argc;
	const char **argv;
};

/* Reads the command line: the command's own option table (NULL for none) and the common one.
 * --help shows arguments after the options; NULL refuses any argument.
 * Returns CMD_GO_ON, or what to return at once: the exit status, any error having been printed, or CMD_COMPLETE. */
int cmd_parse(int argc, char **argv, struct poptOption *own, const char *arguments,
	      struct cmd_options *options);

/* Each prints its error in one line. */
int cmd_fail(const struct error *e);	/* returns CMD_FAILED, for `return cmd_fail(&error)` */
/* For a guard_open() that failed with r: returns CMD_NOT_LOADED or CMD_FAILED. */
int cmd_open_failed(int r, const struct error *e);
int cmd_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));	/* returns CMD_USAGE */

int cmd_load(int argc, char **argv);
int cmd_confirm(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_unload(int argc, char **argv);
int cmd_allow(int argc, char **argv);
int cmd_revoke(int argc, char **argv);
int cmd_asks(int argc, char **argv);
int cmd_deny(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_refresh(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_suggest(int argc, char **argv);
int cmd_lock(int argc, char **argv);
int cmd_unlock(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_aws(int argc, char **argv);

/* What `status` finds: true without a problem. */
bool cmd_is_healthy(struct guard *g);

#endif
