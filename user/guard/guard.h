/* SPDX-License-Identifier: MIT */
/* One instance as commands work on it: its paths, its configuration, its state and its engine. */
#ifndef OHGUARD_GUARD_H
#define OHGUARD_GUARD_H

#include <limits.h>
#include <time.h>

#include "engine/engine.h"
#include "lock/lock.h"
#include "names/records.h"
#include "policy/config_file.h"
#include "policy/grants.h"
#include "policy/policy.h"

#define GUARD_HISTORY_MARK "history"	/* in the state folder: where the history ends, see history/log.h */
#define GUARD_HISTORY_PROBLEM "history-problem"	/* in the run folder: why `serve` cannot write it */

/* Which instance, from the command line. */
struct guard_options {
	const char *config;	/* -c FILE, or NULL */
	const char *instance;	/* --name INSTANCE, never NULL */
	const char *key;	/* --key FILE, or NULL */
	const char *command;	/* "ohguard status": for messages; NULL: not known */
};

/* Tells one file from another; all zero: none. */
struct guard_mark {
	uint64_t inode;
	struct timespec changed;
};

struct guard {
	char run[PATH_MAX];		/* /run/ohguard/INSTANCE: lock, and the configuration that is in force */
	char state[PATH_MAX + 64];	/* grants and records */
	char pins[PATH_MAX + 64];
	char history[PATH_MAX + 64];	/* of the refusals, without ".jsonl": see history/ */
	struct config config;
	struct grants grants;
	struct records records;
	struct policy policy;		/* points into config and grants */
	struct engine engine;
	int lock;			/* -1: not held */
	struct guard_mark mark;		/* of the configuration in force, as it was read; none for `load` */
	bool locked;			/* by `ohguard lock`: see lock.h */
	bool lapsed;			/* grants in the file had lapsed when it was read */
};

/* Finds the instance and the configuration that is in force (that of the last `load`, whatever the file says now).
 * 0, -ENOENT (not loaded), or another negative errno. */
int guard_open(const struct guard_options *options, struct guard *ret, struct error *e);
/* The same for `load`: reads the configuration from its file and makes the folders. The engine need not be loaded, and
 * may be another version's; its maps are then -1. */
int guard_open_for_load(const struct guard_options *options, struct guard *ret, struct error *e);
/* The same with the defaults and no state, for a machine whose configuration cannot be used but must not be open. */
int guard_open_closed(const struct guard_options *options, struct guard *ret, struct error *e);
/* For `load --confirm`, whose time is over: the same with the configuration in force, and without a key, since whoever
 * gave it then wanted this. */
int guard_open_to_go_back(const struct guard_options *options, struct guard *ret, struct error *e);
void guard_close(struct guard *g);
/* Visits the instances that are loaded. */
void guard_walk_loaded(const char *pins, void (*visit)(const char *instance, void *context), void *context);
/* guard_open() and guard_authorize(), for a command that changes something. */
int guard_open_to_change(const struct guard_options *options, struct guard *ret, struct error *e);
/* Asks for the key if the guard is locked: before any change. guard_open_for_load() has done so already. */
int guard_authorize(const struct guard *g, const struct guard_options *options, struct error *e);
/* Calls use() with what the lock is to keep. */
int guard_subject(const struct guard *g, const struct guard_options *options,
		  int (*use)(const struct lock_subject *subject, struct error *e), struct error *e);

/* Finds its paths by its configuration. */
void guard_set_paths(struct guard *g, const char *instance);

/* One command at a time changes an instance. What another one put in force since guard_open() is taken up, and the
 * policy is then empty: guard_read() comes next. */
int guard_lock(struct guard *g, struct error *e);
void guard_unlock(struct guard *g);

/* Reads grants and records again and builds the policy from them. */
int guard_read(struct guard *g, int64_t now, struct error *e);
/* The same for a command that only shows it: locked meanwhile, and not after. */
int guard_look(struct guard *g, int64_t now, struct error *e);
/* Builds the policy from configuration and grants, and adapts the records to it: of the guard, or of none. */
int guard_build_policy(const struct config *c, const struct grants *grants, int64_t now, struct policy *ret,
		       struct records *records, struct error *e);
int guard_build(struct guard *g, int64_t now, struct error *e);
int guard_write_grants(const struct guard *g, struct error *e);
int guard_write_records(const struct guard *g, struct error *e);

/* The configuration in force. */
int guard_read_loaded(const struct guard *g, struct config *ret, struct error *e);
/* The pins of the previous load, if they are in another folder than now; else "". */
void guard_former_pins(const struct guard *g, const char *instance, char ret[PATH_MAX + 64]);

/* Remembers the configuration that is now in force (NULL: the default file, or none at all). */
int guard_remember_config(const struct guard *g, const char *path, struct error *e);
/* Remembers that the defaults are in force. */
int guard_remember_defaults(const struct guard *g, struct error *e);
/* True if the file that it came from has changed since. */
bool guard_config_changed(const struct guard *g);
/* Walks the lines of the configuration in force. */
int guard_walk_config(const struct guard *g, config_visit each, void *context, struct error *e);
/* Whether `load` would take that file as it is now: 0, or a negative errno with *e filled in. */
int guard_check_source(const struct guard *g, struct error *e);

/* Removes the files that live only as long as the engine. */
void guard_forget(const struct guard *g);

#endif
