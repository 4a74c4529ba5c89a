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

/* Where an entry's room comes from. */
enum oh_room {
	OH_ROOM_NONE,
	OH_ROOM_OWN,	/* the target's share */
	OH_ROOM_LEFT,	/* what is left to all */
};

/* What an entry costs of either half of a table, and of a target's part of its half. */
static __always_inline __u64 oh_cost(__u64 span, __u32 room)
{
	return span * 2 / room;
}

static __always_inline __u64 oh_own_cost(const struct oh_control *control, __u64 span, __u32 room)
{
	return oh_cost(span, room) * (control->targets + 1);
}

/* Whether a target may have one more entry in a table of `room`, a power of 2. Entries live for `span`, in any unit
 * that `now` has too. What does not fit is counted, and noted for `status`. */
static __always_inline enum oh_room oh_has_room(enum oh_shared table, __u32 target, __u64 now, __u64 span, __u32 room)
{
	__u32 all = OH_SHARES_OF_ALL, zero = 0;
	const struct oh_control *control = bpf_map_lookup_elem(&oh_control, &zero);
	struct oh_shares *own = bpf_map_lookup_elem(&oh_shares, &target);
	struct oh_shares *common = bpf_map_lookup_elem(&oh_shares, &all);

	if (!control || !own || !common)
		return OH_ROOM_NONE;
	if (oh_pay(&own->of[table].own, now, oh_own_cost(control, span, room), span))
		return OH_ROOM_OWN;
	if (oh_pay(&own->of[table].more, now, 8 * oh_cost(span, room), span) &&
	    oh_pay(&common->of[table].more, now, oh_cost(span, room), span))
		return OH_ROOM_LEFT;
	oh_count(OH_COUNT_NO_ROOM + table, 0);
	common->of[table].own = (__u64)oh_now() << 32 | target;	/* who was refused last, and when */
	return OH_ROOM_NONE;
}

/* Gives back what an entry cost, since it is gone. It must be young: time pays off a debt too, and what both paid lets
 * more entries in than there is room for. At an eighth of `span`, a sixteenth more. */
static __always_inline void oh_give_back(enum oh_shared table, __u32 target, enum oh_room from, __u64 span, __u32 room)
{
	__u32 all = OH_SHARES_OF_ALL, zero = 0;
	const struct oh_control *control = bpf_map_lookup_elem(&oh_control, &zero);
	struct oh_shares *own = bpf_map_lookup_elem(&oh_shares, &target);
	struct oh_shares *common = bpf_map_lookup_elem(&oh_shares, &all);

	if (!control || !own || !common)
		return;
	if (from == OH_ROOM_OWN) {
		__sync_fetch_and_add(&own->of[table].own, -oh_own_cost(control, span, room));
	} else {
		__sync_fetch_and_add(&own->of[table].more, -(8 * oh_cost(span, room)));
		__sync_fetch_and_add(&common->of[table].more, -oh_cost(span, room));
	}
}

#endif
