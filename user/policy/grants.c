// SPDX-License-Identifier: MIT
#include "policy/grants.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/ini.h"
#include "base/list.h"

struct grant *grants_find(const struct grants *grants, const struct target *target)
{
	for (size_t i = 0; i < grants->count; i++) {
		if (!target_compare(&grants->list[i].target, target))
			return &grants->list[i];
	}
	return NULL;
}

static int append(struct grants *grants, const struct target *target, int64_t lapses, struct error *e)
{
	struct grant *grown;

	if (grants->count == OH_TARGETS_MAX - 1)
		return error_set(e, E2BIG, "more than %d targets", OH_TARGETS_MAX - 1);
	grown = list_grow(grants->list, grants->count, sizeof(*grown));
	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	grants->list = grown;
	grants->list[grants->count++] = (struct grant){ .target = *target, .lapses = lapses };
	return 0;
}

int grants_add(struct grants *grants, const struct target *target, int64_t lapses, struct error *e)
{
	struct grant *old = grants_find(grants, target);

	if (!old)
		return append(grants, target, lapses, e);
	old->lapses = lapses;
	old->target.plain = target->plain;
	old->target.wide = target->wide;
	return 0;
}

void grants_remove(struct grants *grants, struct grant *grant)
{
	size_t behind = (size_t)(grants->list + grants->count - (grant + 1));

	memmove(grant, grant + 1, behind * sizeof(*grant));
	grants->count--;
}

bool grants_lapse(struct grants *grants, int64_t now)
{
	size_t before = grants->count;
	int64_t end = grants->count < OH_TARGETS_MAX / 2 ? now - GRANTS_LAPSED_KEPT : now;

	for (size_t i = grants->count; i-- > 0;) {
		if (grants->list[i].lapses && grants->list[i].lapses <= end)
			grants_remove(grants, &grants->list[i]);
	}
	return grants->count < before;
}

int grants_copy(const struct grants *grants, struct grants *ret, struct error *e)
{
	struct grants copy = { 0 };
	int r = 0;

	for (size_t i = 0; !r && i < grants->count; i++)
		r = append(&copy, &grants->list[i].target, grants->list[i].lapses, e);
	if (r)
		grants_free(&copy);
	else
		*ret = copy;
	return r;
}

void grants_free(struct grants *grants)
{
	free(grants->list);
	*grants = (struct grants){ 0 };
}

/* `target = TARGET` is for good, `grant = SECONDS TARGET` until that time. Each target is listed once. */
static int visit(void *context, const char *section, const char *key, const char *value, struct error *e)
{
	struct target target;
	int64_t lapses = 0;
	int text = 0, r;

	if (!key && !strcmp(section, "allow"))
		return 0;
	if (!key || strcmp(section, "allow") || (strcmp(key, "target") && strcmp(key, "grant")))
		return error_set(e, EINVAL, "[%s] %s: no such key", section, key ? key : "");
	if (!strcmp(key, "grant") && (sscanf(value, "%" SCNd64 " %n", &lapses, &text) != 1 || !text || lapses <= 0 ||
				      value[text - 1] != ' '))
		return error_set(e, EINVAL, "'%s' is not SECONDS TARGET", value);
	r = target_parse_options(value + text, &target, e);
	return r ? r : append(context, &target, lapses, e);
}

int grants_read(const char *path, struct grants *ret, struct error *e)
{
	int r;

	*ret = (struct grants){ 0 };
	r = ini_read(path, visit, ret, e);
	if (!r || r == -ENOENT)
		return 0;
	grants_free(ret);
	return error_prefix(e, -r, "state file (move it away to start with the configuration only)");
}

int grants_write(const char *path, const struct grants *grants, struct error *e)
{
	char identity[OH_TARGET_TEXT_MAX];
	struct file_out out;
	int r = file_begin(&out, path, 0600, e);

	if (r)
		return r;
	fputs("; Kept by ohguard: what `ohguard allow` added.\n[allow]\n", out.stream);
	for (size_t i = 0; i < grants->count; i++) {
		const struct grant *g = &grants->list[i];

		if (g->lapses)
			fprintf(out.stream, "grant = %" PRId64 " ", g->lapses);
		else
			fputs("target = ", out.stream);
		fprintf(out.stream, "%s%s\n", target_identity(&g->target, identity), target_options(&g->target));
	}
	return file_commit(&out, e);
}
