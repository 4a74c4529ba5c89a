// SPDX-License-Identifier: MIT
#include "guard/ways_out.h"

#include "policy/suffix.h"

static void check_suffix(const struct target *t, const char *what, struct remarks *ret)
{
	char open[SUFFIX_RULE_MAX];

	if (suffix_is_wide(t, open))
		remark(ret, "*.%s may be %s, and anyone can have a name below %s", t->name, what, open);
}

void ways_out_suffixes(const struct policy *policy, struct remarks *ret)
{
	for (size_t i = 0; i < policy->count; i++)
		check_suffix(policy->list[i].target, "reached", ret);
	for (size_t i = 0; i < policy->asks.count; i++)
		check_suffix(&policy->asks.list[i], "asked for", ret);
}
