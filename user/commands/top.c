// SPDX-License-Identifier: MIT
#include "commands/top.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "history/follow.h"
#include "history/print.h"
#include "history/summary.h"

struct sums {
	struct history_summary wanted, programs;
};

/* What is not to be told apart is taken out of the copy. */
static int add(void *context, const struct history_record *r)
{
	struct history_record what = *r, who = { .first = r->first, .last = r->last, .count = r->count };
	struct sums *s = context;

	what.command = what.cgroup = what.container = what.container_name = NULL;
	what.reason = what.observed = 0;
	who.command = r->command;
	who.container = r->container;
	who.container_name = r->container_name;
	who.others = r->others;
	return r->others || !history_add(&s->wanted, &what) ? history_add(&s->programs, &who) : -ENOMEM;
}

/* Adds an entry to one that reads the same: two containers may have had one name. */
static bool is_there(struct top *top, const struct top_entry *entry)
{
	for (size_t i = 0; i < top->count; i++) {
		if (!strcmp(top->list[i].text, entry->text)) {
			top->list[i].refused += entry->refused;
			return true;
		}
	}
	return false;
}

static void take(struct history_summary *sum, void (*print)(FILE *out, const struct history_record *record),
		 struct top *ret)
{
	history_rank(sum);
	*ret = (struct top){ 0 };
	for (size_t i = 0; i < sum->count && ret->count < TOP_MAX; i++) {
		struct top_entry *entry = &ret->list[ret->count];

		entry->text = history_text(print, sum->group[i].record);
		entry->refused = sum->group[i].record->count;
		if (!entry->text || is_there(ret, entry))
			free(entry->text);
		else
			ret->count++;
	}
	history_summary_free(sum);
}

int top_read(const char *history, int64_t since, struct top *ret_wanted, struct top *ret_programs, struct error *e)
{
	const struct history_filter filter = { .since = since };
	struct history_follow *file = malloc(sizeof(*file));
	struct sums sums = { 0 };
	int r;

	if (!file)
		return error_set(e, ENOMEM, "out of memory");
	history_follow_start(file, history, 0);
	r = history_follow(file, &filter, add, &sums);
	history_follow_end(file);
	free(file);
	take(&sums.wanted, history_print_what, ret_wanted);
	take(&sums.programs, history_print_who, ret_programs);
	return r ? error_set(e, ENOMEM, "out of memory") : 0;
}

void top_free(struct top *top)
{
	for (size_t i = 0; i < top->count; i++)
		free(top->list[i].text);
	top->count = 0;
}

void top_json(struct json *j, const char *key, const struct top *top)
{
	json_array(j, key);
	for (size_t i = 0; i < top->count; i++) {
		json_object(j, NULL);
		json_string(j, "what", top->list[i].text);
		json_number(j, "count", (int64_t)top->list[i].refused);
		json_object_end(j);
	}
	json_array_end(j);
}

void top_text(const char *title, const struct top *top)
{
	if (top->count)
		printf("%s\n", title);
	for (size_t i = 0; i < top->count; i++) {
		printf("  %12llu ", (unsigned long long)top->list[i].refused);
		text_print(stdout, top->list[i].text);
		putchar('\n');
	}
}
