/* SPDX-License-Identifier: MIT */
/* bpf/decide/decide.h: oh_decide() over any flow, connection and settings is what decision_rules.h says. What the
 * tables hold for a destination is any answer that tables.c proves of oh_lookup().
 *
 * options: -DOH_INBOUND_MAX=4 --unwind 33 --replace oh_lookup:any_lookup --replace oh_target_life:any_target_life
 * proof packet: -DSTAGE=OH_STAGE_PACKET
 * proof uplink: -DSTAGE=OH_STAGE_UPLINK
 * proof connect: -DSTAGE=OH_STAGE_CONNECT
 * proof send: -DSTAGE=OH_STAGE_SEND
 * reach loopback: -DSTAGE=OH_STAGE_CONNECT -DREACH=verdict==OH_LOOPBACK
 * reach host-need: -DSTAGE=OH_STAGE_PACKET -DREACH=verdict==OH_HOST_NEED
 * reach inbound-reply: -DSTAGE=OH_STAGE_UPLINK -DREACH=verdict==OH_INBOUND_REPLY
 * reach dns: -DSTAGE=OH_STAGE_SEND -DREACH=verdict==OH_DNS&&a.fresh
 * reach ntp: -DSTAGE=OH_STAGE_PACKET -DREACH=verdict==OH_NTP&&a.fresh
 * reach target: -DSTAGE=OH_STAGE_PACKET -DREACH=verdict==OH_TARGET&&a.fresh
 * reach lives-on: -DSTAGE=OH_STAGE_UPLINK -DREACH=verdict==OH_TARGET&&a.target&&!a.fresh
 */
#include "settings.h"

#include "decide/flow.h"

/* ---- the tables, for the one address that is asked about ---- */

struct proof_grant {
	enum oh_reason reason;	/* OH_TARGET, or why not */
	bool named;
	__u32 target, generation;
};

static struct oh_address proof_destination;
static __u16 proof_port;
static bool proof_local, proof_ready;
static struct proof_grant proof_grants[OH_SERVICE_MAX][2];	/* for the service, on proof_port and on any */
static bool proof_holds;					/* the connection's target */

static bool proof_target_holds(__u32 id, __u32 generation)
{
	return proof_holds;
}

#include "decision_rules.h"

#include "decide/decide.h"

void *bpf_map_lookup_elem(void *map, const void *key)
{
	static struct oh_control control;
	static __u8 one = 1;

	if (map == (void *)&oh_control) {
		__CPROVER_assert(!*(const __u32 *)key, "there is one");
		control.ready = proof_ready;
		return &control;
	}
	__CPROVER_assert(map == (void *)&oh_local, "the rules ask no other map");
	__CPROVER_assert(oh_address_equal(key, &proof_destination), "only the destination is looked up");
	return proof_local ? &one : NULL;
}

int any_target_life(__u32 id, __u32 generation)
{
	return !proof_holds ? OH_TARGET_DEAD : nondet_bool() ? OH_TARGET_HOLDS : OH_TARGET_HOLDS_NAMED;
}

__u64 any_lookup(__u64 high, __u64 low, __u32 want)
{
	struct oh_address asked = { .word = { high, high >> 32, low, low >> 32 } };
	__u32 service = want >> 24;
	bool any_port = want >> 16 & 1;
	struct proof_grant *g;

	__CPROVER_assert(oh_address_equal(&asked, &proof_destination), "only the destination is looked up");
	__CPROVER_assert(service < OH_SERVICE_MAX && (any_port || (want & 0xffff) == proof_port), "on the flow's port");
	g = &proof_grants[service][any_port];
	if (g->reason != OH_TARGET)
		return g->reason;
	return (__u64)g->generation << 32 | (__u64)g->named << 31 | (__u64)g->target << 8 | OH_TARGET;
}

static void any_tables(const struct oh_flow *f)
{
	proof_destination = f->destination;
	proof_port = f->destination_port;
	proof_local = nondet_bool();
	proof_ready = nondet_bool();
	proof_holds = nondet_bool();
	__CPROVER_havoc_object(&oh_settings);
	for (int i = 0; i < OH_NAT64_MAX; i++) { /* nat64_add() takes these lengths alone, and no two that overlap */
		const struct oh_nat64 *n = &oh_settings.nat64[i];

		__CPROVER_assume(n->prefix == 32 || n->prefix == 40 || n->prefix == 48 || n->prefix == 56 ||
				 n->prefix == 64 || n->prefix == 96);
		for (int j = 0; j < i; j++) {
			const struct oh_nat64 *m = &oh_settings.nat64[j];

			__CPROVER_assume(!oh_is_behind(n->high, n->low, m->high, m->low,
						       n->prefix < m->prefix ? n->prefix : m->prefix));
		}
	}
	for (int service = 0; service < OH_SERVICE_MAX; service++)
		for (int any = 0; any < 2; any++) {
			struct proof_grant g = { nondet_u8(), nondet_bool(), nondet_u32(), nondet_u32() };

			__CPROVER_assume(g.reason == OH_TARGET || g.reason == OH_ADDRESS_EXPIRED ||
					 g.reason == OH_PORT_NOT_ALLOWED ||
					 g.reason == OH_ADDRESS_NOT_ALLOWED);
			__CPROVER_assume(g.target && g.target < OH_TARGETS_MAX);
			proof_grants[service][any] = g;
		}
}

static struct oh_flow any_flow(void)
{
	struct oh_flow f;

	__CPROVER_havoc_object(&f);
	f.stage = STAGE;
	__CPROVER_assume(f.loopback <= 1 && f.options <= 1 && f.same_link <= 1 && f.socket <= 1 && f.forwarded <= 1 &&
			 f.known_raw <= 1 && f.away <= 1 && f.kernel_raw <= 1);
	return f;
}

int main(void)
{
	struct oh_connection connection, *c = nondet_bool() ? &connection : NULL;
	struct oh_admission a = { .slot = 4 };
	struct oh_flow f = any_flow();
	struct proof_grant grant;
	enum oh_reason verdict;

	__CPROVER_havoc_object(&connection);
	any_tables(&f);
	verdict = oh_decide(&f, c, &a);
#ifdef REACH
	__CPROVER_assert(!(REACH), "reached");
	return 0;
#endif
	__CPROVER_assert(verdict == rule_verdict(&f, c, &grant), "the verdict is the rules'");
	if (rule_6_lives_on(&f, c)) {
		__CPROVER_assert(a.target == c->target && a.generation == c->generation && !a.fresh && !a.named,
				 "a connection lives on for the target that it was admitted for");
		return 0;
	}
	__CPROVER_assert(a.target == grant.target && a.generation == grant.generation, "the grant's target");
	__CPROVER_assert(a.fresh == (grant.reason == OH_TARGET), "fresh by a grant alone");
	__CPROVER_assert(a.named == (verdict == OH_TARGET && grant.named),
			 "a name is asked for where the grant says so");
	return 0;
}
