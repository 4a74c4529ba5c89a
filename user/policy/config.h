/* SPDX-License-Identifier: MIT */
/* The configuration, /etc/ohguard/ohguard.conf (INI; see ohguard.conf(5)). Every key has a default. */
#ifndef OHGUARD_CONFIG_H
#define OHGUARD_CONFIG_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/address.h"
#include "policy/check.h"
#include "policy/target.h"
#include "policy/interface.h"
#include "policy/resolv_conf.h"

#define CONFIG_LOCAL_MAX 32
#define CONFIG_CHECKS_MAX 256
#define CONFIG_HISTORY_FILES_MAX 1000

/* A range that is not public, but may hold the addresses of matching names. */
struct config_private {
	struct target names;	/* TARGET_NAME or TARGET_SUFFIX */
	struct oh_range range;
};

/* How much of the history is kept. */
struct config_history {
	uint32_t file_size, file_age;	/* bytes, and seconds from a file's first line on: then another is begun */
	uint32_t keep, files;		/* seconds that a file is kept for, and how many at most */
};

/* Times are seconds. Freed with config_free(). */
struct config {
	char cgroup[PATH_MAX];		/* "": the root of the cgroup2 mount */
	uplink_names uplinks;
	size_t uplink_count;
	bool uplink_set;		/* false: the uplinks that are guarded now stay, or none */
	bool xdp;			/* [guard] inbound = xdp */
	bool local_set;			/* false: `load` decides, by what is guarded */
	bool local_auto;		/* [guard] local = auto */
	struct oh_range local[CONFIG_LOCAL_MAX];
	size_t local_count;
	uint32_t max_addresses;
	struct oh_address resolvers[CONFIG_RESOLVERS_MAX];
	size_t resolver_count;
	bool resolver_set;		/* false: they were found, see resolv_conf_servers() */
	uint32_t min_ttl, max_ttl, grace, max_stale;
	struct config_private *private;
	size_t private_count;
	struct nat64 nat64;
	char search[CONFIG_SEARCH_MAX][TARGET_NAME_MAX + 1];	/* suffixes: lower case, no last dot */
	size_t search_count;
	bool search_set;		/* false: they were found, see resolv_conf_search() */
	struct target *names;		/* that may also be asked for: TARGET_NAME and TARGET_SUFFIX */
	size_t name_count;
	struct target *targets;		/* [allow] and [ntp], in the order of the file; repeats are dropped later */
	size_t target_count;
	bool ntp_set, ntp_none, ntp_default;
	bool nts;			/* [ntp] nts = on */
	struct oh_inbound inbound[OH_INBOUND_MAX];
	size_t inbound_count;
	bool inbound_set;
	bool metadata;			/* [imds] access = allow */
	uint32_t ask;			/* seconds; from `load --ask`, not from the file; 0: nothing is asked */
	bool inspect;			/* [dns] inspect = on */
	bool no_names;			/* of `run`, whose list stays as it is: no answer can teach anything */
	bool answer;			/* [dns] refuse = answer */
	struct check *checks;		/* [verify], besides the default ones */
	size_t check_count;
	struct config_history history;
	char state[PATH_MAX], pins[PATH_MAX], log[PATH_MAX];
	bool loaded;			/* it is in force, and was checked when it was loaded */
	char *text;			/* what config_text() gave, NULL: there was no file */
	size_t text_size;
};

#endif
