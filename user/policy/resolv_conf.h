/* SPDX-License-Identifier: MIT */
/* What resolv.conf(5) says. */
#ifndef OHGUARD_RESOLV_CONF_H
#define OHGUARD_RESOLV_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/address.h"
#include "policy/target.h"

#define CONFIG_RESOLVERS_MAX 8
#define CONFIG_SEARCH_MAX 6

/* Reads the name servers of a resolv.conf(5) file: those on this machine (local), or the others. Returns how many, at
 * most CONFIG_RESOLVERS_MAX; 0 if there is no such file. */
size_t resolv_conf_servers(const char *resolv_conf, bool local, struct oh_address ret[CONFIG_RESOLVERS_MAX]);
/* The same, of those that this machine's programs ask: where /etc/resolv.conf has none, systemd-resolved's. */
size_t resolv_conf_find(struct oh_address ret[CONFIG_RESOLVERS_MAX]);
/* Reads the search suffixes of such a file. What is no name is left out. Returns how many. */
size_t resolv_conf_search(const char *resolv_conf, char ret[CONFIG_SEARCH_MAX][TARGET_NAME_MAX + 1]);

#endif
