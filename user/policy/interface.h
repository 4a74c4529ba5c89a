/* SPDX-License-Identifier: MIT */
/* Names of interfaces, as the configuration lists uplinks. */
#ifndef OHGUARD_INTERFACE_H
#define OHGUARD_INTERFACE_H

#include <ohguard/abi.h>
#include <stdbool.h>

#define UPLINK_AUTO "auto"

/* As configured: names, or UPLINK_AUTO. An empty name ends the list. */
typedef char uplink_names[OH_UPLINKS_MAX][OH_INTERFACE_MAX];

/* True if the text can be an interface's name. */
bool interface_name_valid(const char *name);

#endif
