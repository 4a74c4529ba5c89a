// SPDX-License-Identifier: MIT
#include "policy/suffix.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/unpack.h"

#define LIST_MAX (4 << 20)
#define VERSION_MARK "// VERSION: "

extern const unsigned char suffixes[], suffixes_end[];	/* suffixes.S */

/* Rules as the list has them, last letter first: "kc.*" for "*.ck", "kc.www!" for "!www.ck". So what is below a name
 * follows it in order. */
static struct list {
	char *text[2];		/* what the rules point into: ours, and the system's */
	char **rule;
	size_t count;
} list;

static void reverse(char *s)
{
	for (char *end = s + strlen(s); s + 1 < end; s++) {
		char c = *s;

		*s = *--end;
		*end = c;
	}
}

/* The file's text, NULL where there is none or it is no such list. */
static char *read_file(const char *path)
{
	char *text = malloc(LIST_MAX);
	FILE *f = fopen(path, "re");
	size_t size = text && f ? fread(text, 1, LIST_MAX, f) : 0;

	if (f)
		fclose(f);
	if (!size || size == LIST_MAX || memchr(text, '\0', size)) {
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

/* Versions are dates, as text. A list without one is older than all that have one. */
static bool is_newer(const char *text, const char *than)
{
	const char *a = strstr(text, VERSION_MARK), *b = strstr(than, VERSION_MARK);
	size_t len = b ? strcspn(b, "\n") : 0;

	return a && b && strncmp(a, b, len) > 0;
}

/* Adds the rules of a text, which it cuts into lines. A rule in other letters than ASCII never matches: the list in
 * this binary has it as an A-label. */
static void add_rules(struct list *l, char *text, size_t max)
{
	for (char *line = text, *next; *line && l->count < max; line = next) {
		size_t len = strcspn(line, "\n"), rule = strcspn(line, " \t\r\n");

		next = line + len + (line[len] == '\n');
		line[rule] = '\0';
		if (!rule || rule >= SUFFIX_RULE_MAX || !strncmp(line, "//", 2))
			continue;
		for (char *c = line; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		reverse(line);
		l->rule[l->count++] = line;
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t count_lines(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

int suffix_read(const char *file, struct error *e)
{
	struct list l = { 0 };
	size_t size, max = 0;

	l.text[0] = unpack(suffixes, suffixes_end, LIST_MAX, &size);
	l.text[1] = read_file(file);
	if (l.text[0] && l.text[1] && !is_newer(l.text[1], l.text[0])) {
		free(l.text[1]);
		l.text[1] = NULL;
	}
	for (int i = 0; i < 2; i++)
		max += l.text[i] ? count_lines(l.text[i]) : 0;
	l.rule = l.text[0] ? calloc(max, sizeof(*l.rule)) : NULL;
	if (!l.rule) {
		free(l.text[0]);
		free(l.text[1]);
		return error_set(e, ENOMEM, "the list of public suffixes cannot be unpacked: out of memory?");
	}
	for (int i = 0; i < 2; i++) {
		if (l.text[i])
			add_rules(&l, l.text[i], max);
	}
	qsort(l.rule, l.count, sizeof(*l.rule), compare);
	free(list.text[0]);
	free(list.text[1]);
	free(list.rule);
	list = l;
	return 0;
}

/* The first rule that is not before it. */
static const char *find_from(const char *rule)
{
	size_t low = 0, high = list.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(list.rule[middle], rule) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list.count ? list.rule[low] : "";
}

static bool has(const char *name, const char *end)
{
	char rule[2 * SUFFIX_RULE_MAX];

	snprintf(rule, sizeof(rule), "%s%s", name, end);
	return !strcmp(find_from(rule), rule);
}

/* Whether anyone can have a name right below it: by its own rule, by a wildcard's, or since no rule knows its last
 * label. */
static bool is_public(const char *reversed)
{
	const char *dot = strrchr(reversed, '.');
	char above[SUFFIX_RULE_MAX];

	if (has(reversed, ""))
		return true;
	if (!dot)
		return true;
	snprintf(above, sizeof(above), "%.*s", (int)(dot - reversed), reversed);
	return has(above, ".*") && !has(reversed, "!");
}

bool suffix_is_wide(const struct target *t, char ret[SUFFIX_RULE_MAX])
{
	char reversed[SUFFIX_RULE_MAX], from[SUFFIX_RULE_MAX + 1];
	const char *below;
	struct error e;

	if (t->kind != TARGET_SUFFIX)
		return false;
	snprintf(ret, SUFFIX_RULE_MAX, "%s", t->name);
	if (!list.rule && suffix_read(SUFFIX_FILE, &e))
		return true;
	snprintf(reversed, sizeof(reversed), "%s", t->name);
	reverse(reversed);
	if (is_public(reversed))
		return true;
	snprintf(from, sizeof(from), "%s.", reversed);
	below = find_from(from);
	if (strncmp(below, from, strlen(from)))
		return false;
	snprintf(ret, SUFFIX_RULE_MAX, "%s", below);
	reverse(ret);
	return true;
}

int suffix_check(const struct target *t, bool ask, struct error *e)
{
	char open[SUFFIX_RULE_MAX];

	/* Who asks for reverse names has to say so, and then all of them are meant. */
	if (ask && (!strcmp(t->name, "in-addr.arpa") || !strcmp(t->name, "ip6.arpa")))
		return 0;
	if (t->wide || !suffix_is_wide(t, open))
		return 0;
	return error_set(e, EINVAL, "*.%s: anyone can have a name below %s: allow the names that are needed, or a "
			 "narrower suffix; where all of it is meant, say so: --wide, or in the configuration wide "
			 "behind it", t->name, open);
}
