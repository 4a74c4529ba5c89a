/* SPDX-License-Identifier: MIT */
/* bpf/decide/decide.h: what the three tables say of one address, over grants of which each comes as near to what is
 * wanted as it may; grant.c says when. Of the grants each is of a target of its own, so that it can be told by its id:
 * no lookup compares ids, and two grants of one target are two whose targets hold the same.
 *
 * options: --unwind 7 --replace oh_nearness:any_nearness
 * proof tables:
 * reach first: -DREACH=OH_FOUND_TARGET(found)==1&&nearest==OH_NEAR_ADMITS
 * reach last: -DREACH=OH_FOUND_TARGET(found)==18&&found&OH_FOUND_NAMED
 */
#include "settings.h"

#include "decide/decide.h"

enum { ADDRESSES, LEARNED, RANGES, TABLES };

static struct oh_address destination;
static bool listed[TABLES];
static struct oh_entry entry[TABLES];
static __u32 wanted;

#define ID(table, i) (1 + (table) * OH_GRANTS_MAX + (i))
static int nearness[ID(TABLES, 0)];

void *bpf_map_lookup_elem(void *map, const void *key)
{
	const struct oh_range *range = key;

	if (map == (void *)&oh_ranges) {
		__CPROVER_assert(range->prefix == 128 && oh_address_equal(&range->address, &destination),
				 "the whole address");
		return listed[RANGES] ? &entry[RANGES] : NULL;
	}
	__CPROVER_assert(map == (void *)&oh_addresses || map == (void *)&oh_learned, "a lookup asks no other map");
	__CPROVER_assert(oh_address_equal(key, &destination), "only the destination is looked up");
	if (map == (void *)&oh_addresses)
		return listed[ADDRESSES] ? &entry[ADDRESSES] : NULL;
	return listed[LEARNED] ? &entry[LEARNED] : NULL;
}

int any_nearness(__u64 low, __u64 high, __u32 want)
{
	__u32 id = low >> 32 & 0xffff;	/* the target, behind the expiry */

	__CPROVER_assert(want == wanted, "what is wanted stays the same");
	__CPROVER_assert(id && id < ID(TABLES, 0), "a grant of these tables");
	return nearness[id];
}

int main(void)
{
	int nearest = OH_NEAR_NOT;
	bool its_own = false;
	__u64 found;

	__CPROVER_havoc_object(&destination);
	__CPROVER_havoc_object(entry);
	wanted = nondet_u32();
	for (int t = 0; t < TABLES; t++) {
		listed[t] = nondet_bool();
		for (int i = 0; i < OH_GRANTS_MAX; i++) {
			int near = nondet_u8();

			entry[t].grant[i].target = ID(t, i);
			__CPROVER_assume(near <= OH_NEAR_ADMITS);
			__CPROVER_assume(near == OH_NEAR_NOT || entry[t].grant[i].service != OH_SERVICE_NONE);
			nearness[ID(t, i)] = near;
			if (listed[t] && near > nearest)
				nearest = near;
		}
	}
	found = oh_lookup((__u64)destination.word[1] << 32 | destination.word[0],
			  (__u64)destination.word[3] << 32 | destination.word[2], wanted);
#ifdef REACH
	__CPROVER_assert(!(REACH), "reached");
	return 0;
#endif
	__CPROVER_assert(OH_FOUND_REASON(found) == (nearest >= OH_NEAR_NAMED ? OH_TARGET :
						    nearest == OH_NEAR_EXPIRED ? OH_ADDRESS_EXPIRED :
						    nearest == OH_NEAR_OTHER_PORT ? OH_PORT_NOT_ALLOWED
						    : OH_ADDRESS_NOT_ALLOWED),
			 "it admits where a grant does, and else says how near one comes");
	if (OH_FOUND_REASON(found) != OH_TARGET) {
		__CPROVER_assert(found == OH_FOUND_REASON(found), "a refusal names no target");
		return 0;
	}
	__CPROVER_assert(!!(found & OH_FOUND_NAMED) == (nearest == OH_NEAR_NAMED),
			 "a name is asked for where no grant does without");
	for (int t = 0; t < TABLES; t++)
		for (int i = 0; i < OH_GRANTS_MAX; i++)
			its_own = its_own ||
				(listed[t] && OH_FOUND_TARGET(found) == ID(t, i) && nearness[ID(t, i)] == nearest &&
					      found >> 32 == entry[t].grant[i].generation);
	__CPROVER_assert(its_own, "the target and generation are those of a grant that admits");
	return 0;
}
