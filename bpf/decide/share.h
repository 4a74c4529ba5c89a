/* SPDX-License-Identifier: GPL-2.0-only */
/* The one rule for room in all tables that others fill. An entry is paid for with time, for as long as it is of use to
 * anybody, so no more are young at once than there is room for. Half of a table is divided equally among the targets,
 * and nobody can take a target's part. Of the other half each may use an eighth, while it lasts. So whoever fills a
 * table endlessly starves only itself. */
#ifndef OHGUARD_BPF_SHARE_H
#define OHGUARD_BPF_SHARE_H

#include "decide/report.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OH_SHARES);
	__type(key, __u32);
	__type(value, struct oh_shares);
} oh_shares SEC(".maps");

/* Adds cost to a payer's debt; false if that would exceed `debt`. Two CPUs at once both pay, but after a pause of the
 * payer one payment can count for both. */
static __always_inline bool oh_pay(__u64 *paid, __u64 now, __u64 cost, __u64 debt)
{
	__u64 until = OH_MEM(*paid);

	if (cost > debt || (until > now && until - now + cost > debt))
		return false;
	if (until <= now) {
		OH_MEM(*paid) = now + cost;
		return true;
	}
	__sync_fetch_and_add(paid, cost);
	return true;
}

/* Whether a target may have one more entry in a table of `room`, a power of 2. Entries live for `span`, in any unit
 * that `now` has too. What does not fit is counted, and noted for `status`. */
static __always_inline bool oh_has_room(enum oh_shared table, __u32 target, __u64 now, __u64 span, __u32 room)
{
	__u32 all = OH_SHARES_OF_ALL, zero = 0;
	const struct oh_control *control = bpf_map_lookup_elem(&oh_control, &zero);
	struct oh_shares *own = bpf_map_lookup_elem(&oh_shares, &target);
	struct oh_shares *common = bpf_map_lookup_elem(&oh_shares, &all);

	if (!control || !own || !common)
		return false;
	if (oh_pay(&own->of[table].own, now, span * 2 / room * (control->targets + 1), span))
		return true;
	if (oh_pay(&own->of[table].more, now, span * 16 / room, span) &&
	    oh_pay(&common->of[table].more, now, span * 2 / room, span))
		return true;
	oh_count(OH_COUNT_NO_ROOM + table, 0);
	common->of[table].own = (__u64)oh_now() << 32 | target;	/* who was refused last, and when */
	return false;
}

#endif
