// SPDX-License-Identifier: MIT
#include "policy/interface.h"

#include <ctype.h>
#include <net/if.h>
#include <string.h>

_Static_assert(OH_INTERFACE_MAX == IFNAMSIZ, "names of interfaces");

bool interface_name_valid(const char *name)
{
	size_t n = strlen(name);

	if (!n || n >= OH_INTERFACE_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (size_t i = 0; i < n; i++) {	/* dev_valid_name() */
		if (name[i] == '/' || name[i] == ':' || isspace((unsigned char)name[i]))
			return false;
	}
	return true;
}
