// SPDX-License-Identifier: MIT
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

static int compare_targets(const void *a, const void *b)
{
	const struct policy_target *left = a, *right = b;

	return target_compare(left->target, right->target);
}

/* Of two entries for the same target, the configuration's stays, or else the one that lasts longer. */
static bool outlasts(const struct policy_target *a, const struct policy_target *b)
{
	if (a->source != b->source)
		return a->source < b->source;
	return !a->lapses || (b->lapses && a->lapses > b->lapses);
}

static void drop_repeats(struct policy *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++) {
		if (!kept || compare_targets(&p->list[kept - 1], &p->list[i]))
			p->list[kept++] = p->list[i];
		else if (outlasts(&p->list[i], &p->list[kept - 1]))
			p->list[kept - 1] = p->list[i];
	}
	p->count = kept;
}

int policy_build(const struct config *c, const struct grants *grants, int64_t now, struct policy *ret, struct error *e)
{
	size_t room = c->target_count + grants->count;
	struct policy p = { .list = calloc(room ? room : 1, sizeof(*p.list)), .asks = { c->names, c->name_count },
			    .search = c->search, .search_count = c->search_count,
			    .private = c->private, .private_count = c->private_count,
			    .local = c->local, .local_count = c->local_count };

	if (!p.list)
		return error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < c->target_count; i++)
		p.list[p.count++] = (struct policy_target){ .target = &c->targets[i], .source = POLICY_CONFIG };
	for (size_t i = 0; i < grants->count; i++) {
		const struct grant *g = &grants->list[i];

		if (g->lapses && g->lapses <= now)
			continue;
		p.list[p.count++] = (struct policy_target){ .target = &g->target, .lapses = g->lapses,
							     .source = g->lapses ? POLICY_GRANT : POLICY_RUNTIME };
	}
	qsort(p.list, p.count, sizeof(*p.list), compare_targets);
	drop_repeats(&p);
	if (p.count >= OH_TARGETS_MAX) {
		error_set(e, E2BIG, "%zu targets: at most %d are possible", p.count, OH_TARGETS_MAX - 1);
		policy_free(&p);
		return -E2BIG;
	}
	*ret = p;
	return 0;
}

void policy_free(struct policy *p)
{
	free(p->list);
	*p = (struct policy){ 0 };
}

struct policy_target *policy_find(const struct policy *p, const struct target *target)
{
	struct policy_target key = { .target = target };

	return p->count ? bsearch(&key, p->list, p->count, sizeof(key), compare_targets) : NULL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int policy_names(const struct policy *p, const char ***ret, size_t *ret_count, struct error *e)
{
	const char **names = calloc(p->count ? p->count : 1, sizeof(*names));
	size_t n = 0, kept = 0;

	if (!names)
		return error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < p->count; i++) {
		if (p->list[i].target->kind == TARGET_NAME && !p->list[i].target->on_demand)
			names[n++] = p->list[i].target->name;
	}
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++) {
		if (!kept || strcmp(names[kept - 1], names[i]))
			names[kept++] = names[i];
	}
	*ret = names;
	*ret_count = kept;
	return 0;
}
