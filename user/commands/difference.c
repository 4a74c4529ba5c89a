// SPDX-License-Identifier: MIT
#include "commands/difference.h"

#include "base/text.h"

#define LINES_MAX 50

static void print_line(bool added, const char *line, void *context)
{
	size_t *told = context;

	if ((*told)++ >= LINES_MAX)
		return;
	printf("  %c ", added ? '+' : '-');
	text_print(stdout, line);
	putchar('\n');
}

size_t difference_print(const struct rules *before, const struct rules *after)
{
	size_t told = 0;

	rules_compare(before, after, print_line, &told);
	if (told > LINES_MAX)
		printf("  and %zu more changes: --json has them all\n", told - LINES_MAX);
	return told;
}

static void json_added(bool added, const char *line, void *context)
{
	if (added)
		json_string(context, NULL, line);
}

static void json_removed(bool added, const char *line, void *context)
{
	if (!added)
		json_string(context, NULL, line);
}

size_t difference_json(const struct rules *before, const struct rules *after, struct json *j)
{
	size_t count;

	json_array(j, "added");
	count = rules_compare(before, after, json_added, j);
	json_array_end(j);
	json_array(j, "removed");
	rules_compare(before, after, json_removed, j);
	json_array_end(j);
	return count;
}
