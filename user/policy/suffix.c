// SPDX-License-Identifier: MIT
#include "policy/suffix.h"

#include <errno.h>
#include <libpsl.h>
#include <string.h>

int suffix_check(const struct target *t, bool ask, struct error *e)
{
	const psl_ctx_t *list = psl_builtin();

	if (t->kind != TARGET_SUFFIX)
		return 0;
	if (!list)
		return error_set(e, ENOSYS, "*.%s: built without the list of public suffixes: allow names one by one",
				 t->name);
	/* Who asks for reverse names has to say so, and then all of them are meant. */
	if (ask && (!strcmp(t->name, "in-addr.arpa") || !strcmp(t->name, "ip6.arpa")))
		return 0;
	if (psl_is_public_suffix2(list, t->name, PSL_TYPE_ANY))
		return error_set(e, EINVAL, "*.%s: anyone can have a name below %s: allow the names that are needed, "
				 "or a suffix like *.example.%s", t->name, t->name, t->name);
	return 0;
}
