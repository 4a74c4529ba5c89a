// SPDX-License-Identifier: MIT
#include "unit/unit.h"

#include <malloc.h>

#include "base/list.h"

/* Up and down again, as lists do from which something is removed: there is always place for one more. */
static void there_is_place_for_one_more(void **state)
{
	uint64_t *list = NULL;
	size_t count = 0;

	(void)state;
	for (unsigned int round = 0; round < 50; round++) {
		for (size_t end = count + 1 + round * 7 % 40; count < end; count++) {
			list = list_grow(list, count, sizeof(*list));
			assert_non_null(list);
			assert_true(malloc_usable_size(list) >= (count + 1) * sizeof(*list));
			list[count] = count;
		}
		count -= count * (round % 5) / 5;
		for (size_t i = 0; i < count; i++)
			assert_int_equal(list[i], i);
	}
	free(list);
}

static void what_does_not_fit_leaves_the_list(void **state)
{
	uint64_t *volatile list = list_grow(NULL, 0, sizeof(*list));	/* or gcc takes it for freed */

	(void)state;
	assert_non_null(list);
	*list = 7;
	assert_null(list_grow(list, 1, SIZE_MAX / 4));
	assert_int_equal(*list, 7);
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_place_for_one_more),
		cmocka_unit_test(what_does_not_fit_leaves_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
