/* SPDX-License-Identifier: MIT */
/* The configuration, /etc/ohguard/ohguard.conf (INI; see ohguard.conf(5)). Every key has a default. */
#ifndef OHGUARD_CONFIG_H
#define OHGUARD_CONFIG_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/address.h"
#include "policy/target.h"
#include "policy/interface.h"

#define CONFIG_FILE "/etc/ohguard/ohguard.conf"
#define CONFIG_RESOLVERS_MAX 8

/* A range that answers for names that match may lie in, although it is not public. */
struct config_private {
	struct target names;	/* TARGET_NAME or TARGET_SUFFIX */
	struct oh_range range;
};

/* Times are seconds. Freed with config_free(). */
struct config {
	char cgroup[PATH_MAX];		/* "": the root of the cgroup2 mount */
	uplink_names uplinks;
	size_t uplink_count;
	bool uplink_set;		/* else those stay that are guarded now, or none */
	uint32_t max_addresses;
	struct oh_address resolvers[CONFIG_RESOLVERS_MAX];
	size_t resolver_count;
	bool resolver_set;		/* else they are found: see config_find_resolvers() */
	uint32_t min_ttl, max_ttl, grace, max_stale;
	struct config_private *private;
	size_t private_count;
	struct nat64 nat64;
	struct target *names;		/* that may be asked for besides: TARGET_NAME and TARGET_SUFFIX */
	size_t name_count;
	struct target *targets;		/* [allow] and [ntp], in the order of the file; repeats are dropped later */
	size_t target_count, target_room;
	bool ntp_set, ntp_none;
	bool nts;			/* [ntp] nts = on */
	struct oh_inbound inbound[OH_INBOUND_MAX];
	size_t inbound_count;
	bool inbound_set;
	bool metadata;			/* [imds] access = allow */
	bool inspect;			/* [dns] inspect = on */
	bool answer;			/* [dns] refuse = answer */
	char state[PATH_MAX], pins[PATH_MAX];
	bool loaded;			/* it was checked when it was loaded */
	char *text;			/* what it was read from, NULL: from no file */
	size_t text_size;
};

/* Reads path, or CONFIG_FILE where path is NULL; then, and only then, a missing file means all defaults.
 * 0, or a negative errno with *e filled in; *ret is freed and zeroed then. */
int config_read(const char *path, struct config *ret, struct error *e);
void config_free(struct config *c);
/* The same of a copy that was in force already: a list of suffixes that is newer than it does not change that. */
int config_read_loaded(const char *path, struct config *ret, struct error *e);
/* What an empty file would give. */
int config_default(struct config *ret, struct error *e);

/* Puts these (ended by NULL) in place of its uplinks, as lines of the file would. */
int config_set_uplinks(struct config *c, const char **values, struct error *e);

/* The name servers of a resolv.conf(5) file: local are those on this machine, which packets to them never leave. Returns how
 * many, at most CONFIG_RESOLVERS_MAX; 0 also where there is no such file. */
size_t config_find_resolvers(const char *resolv_conf, bool local, struct oh_address ret[CONFIG_RESOLVERS_MAX]);

#endif
