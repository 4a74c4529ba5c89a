/* SPDX-License-Identifier: MIT */
/* bpf/decide/decide.h: when one grant of one target admits, for anything that is wanted, at any second.
 *
 * proof grant:
 * reach last-second-of-grant: -DREACH=near==OH_NEAR_ADMITS&&u.grant.expires==proof_now+1
 * reach first-second-after: -DREACH=near==OH_NEAR_EXPIRED&&u.grant.expires==proof_now
 * reach last-second-of-target: -DREACH=near==OH_NEAR_NAMED&&target.lapses==proof_now+1
 * reach first-second-lapsed: -DREACH=near==OH_NEAR_NOT&&!revoked&&u.grant.service&&target.lapses==proof_now
 * reach last-of-several-ports: -DREACH=near==OH_NEAR_ADMITS&&!any_port&&u.grant.more&&port==u.grant.port+u.grant.more
 * reach no-end: -DREACH=near==OH_NEAR_ADMITS&&proof_now==OH_FOREVER
 */
#include "settings.h"

#include "decide/decide.h"

static struct oh_target target;
static bool target_there;

void *bpf_map_lookup_elem(void *map, const void *key)
{
	__CPROVER_assert(map == (void *)&oh_targets, "a grant asks for its target and for nothing else");
	return target_there ? &target : NULL;
}

/* DESIGN: an expiry and a lapse are the first second that no longer holds, or never come; a generation that was raised
 * revokes. */
static int rule_nearness(const struct oh_grant *g, __u32 service, bool any_port, __u16 port)
{
	bool holds = target_there && target.generation == g->generation &&
		     (target.lapses == 0xffffffff || proof_now < target.lapses);
	bool in_time = g->expires == 0xffffffff || proof_now < g->expires;

	if (!holds || g->service == OH_SERVICE_NONE)
		return OH_NEAR_NOT;
	if (g->service != service || !(any_port || (port >= g->port && port <= g->port + g->more)))
		return OH_NEAR_OTHER_PORT;
	if (!in_time)
		return OH_NEAR_EXPIRED;
	return target.named ? OH_NEAR_NAMED : OH_NEAR_ADMITS;
}

int main(void)
{
	__u8 service = nondet_u8();
	bool any_port = nondet_bool();
	__u16 port = nondet_u16();
	union {
		struct oh_grant grant;
		__u64 word[2];
	} u;
	bool revoked;
	int near, life;

	__CPROVER_havoc_object(&u);
	__CPROVER_havoc_object(&target);
	target_there = nondet_bool();
	revoked = !target_there || target.generation != u.grant.generation;
	proof_now = nondet_u32();
	near = oh_nearness(u.word[0], u.word[1], OH_WANT(service, any_port, port));
	life = oh_target_life(u.grant.target, u.grant.generation);
#ifdef REACH
	__CPROVER_assert(!(REACH), "reached");
	return 0;
#endif
	__CPROVER_assert(near == rule_nearness(&u.grant, service, any_port, port),
			 "a grant admits what it says, in its time");
	__CPROVER_assert((life == OH_TARGET_DEAD) ==
				 (revoked || (target.lapses != 0xffffffff && proof_now >= target.lapses)),
			 "a target holds in its time");
	return 0;
}
