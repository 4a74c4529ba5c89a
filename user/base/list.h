/* SPDX-License-Identifier: MIT */
/* Lists that grow by doubling. Nobody keeps their room: a list of N elements has room for the power of 2 that is N or
 * the next. So one that list_grow() is to grow must have been made by it, an element at a time. */
#ifndef OHGUARD_LIST_H
#define OHGUARD_LIST_H

#include <stdlib.h>

/* Makes place for one more element of a list of `count`: the list, which may have moved. NULL: out of memory, and the
 * list is as it was. */
static inline void *list_grow(void *list, size_t count, size_t size)
{
	return list && count & (count - 1) ? list : realloc(list, (count ? 2 * count : 1) * size);
}

#endif
