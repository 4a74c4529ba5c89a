/* SPDX-License-Identifier: GPL-2.0-only */
/* What an answer gives to a target, and for how long. */
#ifndef OHGUARD_BPF_GRANTS_H
#define OHGUARD_BPF_GRANTS_H

#include "decide/share.h"

/* Seconds for which an answer is believed: at most as long as resolvers themselves keep one. */
static __always_inline __u32 oh_answer_life(__u32 ttl)
{
	__u32 longest = oh_settings.max_ttl > OH_TTL_LONGEST ? oh_settings.max_ttl : OH_TTL_LONGEST;

	if (ttl < oh_settings.min_ttl)
		ttl = oh_settings.min_ttl;
	return (ttl > longest ? longest : ttl) + oh_settings.grace;
}

/* Adds a grant to the entry, unless it is there already for at least as long. True if the entry changed. */
static __always_inline bool oh_merge(struct oh_entry *entry, const struct oh_grant *grant)
{
	struct oh_grant *to = NULL;
	__u32 now = oh_now();

	for (int i = 0; i < OH_GRANTS_MAX; i++) {
		struct oh_grant *g = &entry->grant[i];

		if (g->service == grant->service && g->port == grant->port && g->target == grant->target &&
		    g->generation == grant->generation) {
			if (g->expires >= grant->expires)
				return false;
			g->expires = grant->expires;
			return true;
		}
		if (!to && (g->service == OH_SERVICE_NONE || now >= g->expires ||
			    !oh_target_life(g->target, g->generation)))
			to = g;
	}
	if (!to)
		return false;
	*to = *grant;
	return true;
}

/* Extends an existing grant to last as long as this one; true if it exists. Done in place: it is one aligned word, so
 * no reader sees half of it. */
static __always_inline bool oh_renew(struct oh_entry *entry, const struct oh_grant *grant)
{
	for (int i = 0; i < OH_GRANTS_MAX; i++) {
		struct oh_grant *g = &entry->grant[i];

		if (g->service == grant->service && g->port == grant->port && g->target == grant->target &&
		    g->generation == grant->generation) {
			if (g->expires < grant->expires)
				OH_MEM(g->expires) = grant->expires;
			return true;
		}
	}
	return false;
}

/* Whether a target may have one more entry in a table that answers fill, for as long as the entry stays there. */
static __always_inline bool oh_may_grow(enum oh_shared table, __u32 target, __u32 life, __u32 room)
{
	return oh_has_room(table, target, bpf_ktime_get_boot_ns(), (__u64)(life + OH_KEPT) * 1000000000, room);
}

#endif
