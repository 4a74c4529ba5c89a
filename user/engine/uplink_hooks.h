/* SPDX-License-Identifier: MIT */
/* Programs in force at uplinks. */
#ifndef OHGUARD_UPLINK_HOOKS_H
#define OHGUARD_UPLINK_HOOKS_H

#include "engine/hooks.h"
#include "engine/load.h"
#include "engine/uplink.h"

/* Puts the programs in force at these interfaces: each link is updated in one step. Other guarded interfaces are given
 * up, unless a wanted one is missing. */
int engine_attach_uplinks(struct engine_program_set *set, const char *pins, const struct uplinks *wanted,
			  struct error *e);
/* Attaches the programs in force to those interfaces that lack them. */
int engine_add_uplinks(const char *pins, const struct uplinks *uplinks, struct error *e);
/* Detaches from all interfaces but those in `but` (NULL: none). */
int engine_detach_uplinks(const char *pins, const struct uplinks *but, struct error *e);
/* Asks the kernel about a hook at an interface. */
void engine_read_uplink_hook(const char *pins, enum oh_hook hook, const struct uplink *uplink, struct engine_hook *ret);

#endif
