// SPDX-License-Identifier: MIT
#include "commands/complete.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "guard/guard.h"

const struct completion *completing;

void complete_offer(const char *candidate, const char *description)
{
	if (strncmp(candidate, completing->word, strlen(completing->word)))
		return;
	printf(description ? "%s\t%s\n" : "%s\n", candidate, description);
}

static void offer_instance(const char *instance, void *context)
{
	const char *option = context;
	char text[80];

	snprintf(text, sizeof(text), "%s%s", option, instance);
	complete_offer(text, NULL);
}

static void offer_instances(const char *option)
{
	struct error e_ignored;
	struct config c;

	if (config_read(NULL, &c, &e_ignored) && config_default(&c, &e_ignored))
		return;
	guard_walk_loaded(c.pins, offer_instance, (void *)option);
	config_free(&c);
}

/* Values: what the help says in small letters is typed as it stands ("IF|auto|none"). What is a file is the shell's. */
static void offer_values(const struct poptOption *o, const char *option)
{
	const char *at = o->argDescrip ? o->argDescrip : "";
	bool choice = strchr(at, '|');

	if (!strcmp(at, "INSTANCE"))
		offer_instances(option);
	while (choice && *at) {
		size_t length = strcspn(at, "|");
		char text[128];

		snprintf(text, sizeof(text), "%s%.*s", option, (int)length, at);
		if (islower((unsigned char)*at))
			complete_offer(text, NULL);
		at += length + (at[length] == '|');
	}
}

static bool takes_value(const struct poptOption *o)
{
	return (o->argInfo & POPT_ARG_MASK) != POPT_ARG_NONE;
}

/* The option that a word names: "--via", "-c", or with a value behind it, "--via=s". *ret_value: where that begins. */
static const struct poptOption *find_option(const struct poptOption *table, const char *word, const char **ret_value)
{
	size_t length = strcspn(word, "=");

	for (const struct poptOption *o = table; o->longName || o->shortName; o++) {
		bool is_long = o->longName && length > 2 && !strncmp(word, "--", 2) &&
			       strlen(o->longName) == length - 2 && !strncmp(word + 2, o->longName, length - 2);

		if (!is_long && !(o->shortName && word[0] == '-' && word[1] == o->shortName && !word[2]))
			continue;
		*ret_value = word[length] ? word + length + 1 : NULL;
		return o;
	}
	return NULL;
}

bool complete_options(const struct poptOption *own, const struct poptOption *common)
{
	const struct poptOption *const tables[] = { own, common }, *o;
	const char *value;

	for (int t = 0; t < 2; t++) {
		o = find_option(tables[t], completing->before, &value);
		if (o && takes_value(o) && !value) {
			offer_values(o, "");
			return true;
		}
		o = find_option(tables[t], completing->word, &value);
		if (o && takes_value(o) && value) {
			char option[80];

			snprintf(option, sizeof(option), "%.*s", (int)(value - completing->word), completing->word);
			offer_values(o, option);
			return true;
		}
	}
	if (*completing->word != '-')
		return false;
	for (int t = 0; t < 2; t++) {
		for (o = tables[t]; o->longName || o->shortName; o++) {
			char option[80];

			snprintf(option, sizeof(option), "--%s", o->longName ? o->longName : "");
			if (o->longName && !(o->argInfo & POPT_ARGFLAG_DOC_HIDDEN))
				complete_offer(option, o->descrip);
		}
	}
	return true;
}

void complete_targets(void)
{
	const struct guard_options options = { .instance = completing->instance };
	char text[OH_TARGET_TEXT_MAX];
	struct error e_ignored;
	struct guard g;

	if (guard_open(&options, &g, &e_ignored))
		return;
	if (!guard_look(&g, time(NULL), &e_ignored)) {
		for (size_t i = 0; i < g.policy.count; i++)
			complete_offer(target_identity(g.policy.list[i].target, text), NULL);
	}
	guard_close(&g);
}
