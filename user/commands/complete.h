/* SPDX-License-Identifier: MIT */
/* What the shells' completions ask for: `ohguard complete WORD...` prints what the last word may become, a line each:
 * the word, a tab and what it means. The words come from where the program itself reads them: the table of commands,
 * and the option table of the command, which calls cmd_parse() as ever and so tells of them. */
#ifndef OHGUARD_COMPLETE_H
#define OHGUARD_COMPLETE_H

#include <popt.h>
#include <stdbool.h>

struct completion {
	const char *word;	/* as far as it is typed */
	const char *before;	/* the word before it, or "" */
	const char *instance;	/* of --name, or "host" */
};

/* NULL: commands do their work, and complete nothing. */
extern const struct completion *completing;

/* Prints a candidate if the word begins as it does. description may be NULL. */
void complete_offer(const char *candidate, const char *description);
/* Offers options, or the values of the one before. False: the word is an argument of the command. */
bool complete_options(const struct poptOption *own, const struct poptOption *common);
/* Offers what the guard holds. */
void complete_targets(void);

#endif
