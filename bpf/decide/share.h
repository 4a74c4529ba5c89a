/* SPDX-License-Identifier: GPL-2.0-only */
/* The one rule for room in all tables that others fill. An entry is paid for with time, for as long as it is of use to
 * anybody, so no more are young at once than there is room for. Those who pay are targets or, for oh_openings, senders.
 * Half of a table is divided equally among them, and nobody can take another's part. Of the other half each may use an
 * eighth, while it lasts. So whoever fills a table endlessly starves only itself. */
#ifndef OHGUARD_BPF_SHARE_H
#define OHGUARD_BPF_SHARE_H

#include "decide/report.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OH_SHARES);
	__type(key, __u32);
	__type(value, struct oh_shares);
} oh_shares SEC(".maps");

/* Adds cost to a payer's debt; false if that would exceed `debt`. CPUs that ask at once can each find room for a
 * payment, and exceed it together. After a pause of the payer, one payment can count for all of them. */
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
	OH_ROOM_OWN,	/* the payer's share */
	OH_ROOM_LEFT,	/* what is left to all */
};

/* What an entry costs of either half of a table, and of a payer's part of its half. */
static __always_inline __u64 oh_cost(__u64 span, __u32 room)
{
	return span * 2 / room;
}

/* Targets pay by their id, and 0 is the host's own needs. */
static __always_inline __u64 oh_paying_targets(void)
{
	__u32 zero = 0;
	const struct oh_control *control = bpf_map_lookup_elem(&oh_control, &zero);

	return control ? control->targets + 1 : 0;
}

/* Takes room for one more entry in a table of `room`, a power of 2, for one of `payers`. Entries live for `span`, in
 * any unit that `now` has too. */
static __always_inline enum oh_room oh_take_room(enum oh_shared table, __u32 payer, __u64 payers, __u64 now,
						 __u64 span, __u32 room)
{
	__u32 all = OH_SHARES_OF_ALL;
	struct oh_shares *own = bpf_map_lookup_elem(&oh_shares, &payer);
	struct oh_shares *common = bpf_map_lookup_elem(&oh_shares, &all);

	if (!payers || !own || !common)
		return OH_ROOM_NONE;
	if (oh_pay(&own->of[table].own, now, oh_cost(span, room) * payers, span))
		return OH_ROOM_OWN;
	if (oh_pay(&own->of[table].more, now, 8 * oh_cost(span, room), span) &&
	    oh_pay(&common->of[table].more, now, oh_cost(span, room), span))
		return OH_ROOM_LEFT;
	return OH_ROOM_NONE;
}

/* What finds no room is counted, and `status` tells of it with the last who did not. */
static __always_inline void oh_note_no_room(enum oh_shared table, __u32 who)
{
	__u32 all = OH_SHARES_OF_ALL;
	struct oh_shares *common = bpf_map_lookup_elem(&oh_shares, &all);

	oh_count(OH_COUNT_NO_ROOM + table, 0);
	if (common)
		common->of[table].own = (__u64)oh_now() << 32 | who;
}

/* Takes it for a target. */
static __always_inline enum oh_room oh_has_room(enum oh_shared table, __u32 target, __u64 now, __u64 span, __u32 room)
{
	enum oh_room from = oh_take_room(table, target, oh_paying_targets(), now, span, room);

	if (from == OH_ROOM_NONE)
		oh_note_no_room(table, target);
	return from;
}

/* What waits for an answer, a query or an opening, is of use for that long: in jiffies, 2 to 20 s depending on the
 * kernel, after which the asker asks again. */
#define OH_WAIT_SPAN 2048
#define OH_WAIT(jiffies) ((__u64)(jiffies) << 16)	/* as room is paid for: parts of a jiffy cost nothing to read */

/* Gives back what such an entry cost, paid for at `paid` (the low bits of jiffies), since it is gone. It must be young:
 * time pays off a debt too, and what both paid lets more entries in than there is room for. At an eighth of the span, a
 * sixteenth more. */
static __always_inline void oh_give_back(enum oh_shared table, __u32 payer, __u64 payers, enum oh_room from,
					 __u32 paid, __u32 room)
{
	__u64 span = OH_WAIT(OH_WAIT_SPAN);
	__u32 all = OH_SHARES_OF_ALL;
	struct oh_shares *own = bpf_map_lookup_elem(&oh_shares, &payer);
	struct oh_shares *common = bpf_map_lookup_elem(&oh_shares, &all);

	if (!own || !common || (__u32)bpf_jiffies64() - paid > OH_WAIT_SPAN / 8)
		return;
	if (from == OH_ROOM_OWN) {
		__sync_fetch_and_add(&own->of[table].own, -(oh_cost(span, room) * payers));
	} else {
		__sync_fetch_and_add(&own->of[table].more, -(8 * oh_cost(span, room)));
		__sync_fetch_and_add(&common->of[table].more, -oh_cost(span, room));
	}
}

#endif
