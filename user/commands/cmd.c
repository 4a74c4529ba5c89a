// SPDX-License-Identifier: MIT
#include "commands/cmd.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "commands/complete.h"

#define OPTIONS_MAX 64

int cmd_usage(const char *format, ...)
{
	struct error e;
	va_list args;

	va_start(args, format);
	vsnprintf(e.text, sizeof(e.text), format, args);
	va_end(args);
	error_print(&e);
	return CMD_USAGE;
}

int cmd_fail(const struct error *e)
{
	error_print(e);
	return CMD_FAILED;
}

int cmd_open_failed(int r, const struct error *e)
{
	error_print(e);
	return r == -ENOENT ? CMD_NOT_LOADED : CMD_FAILED;
}

const struct cmd *cmd_running;

/* popt keeps the pointer until it prints the help. own: options of the command follow, and not an empty line. */
static const char *usage_of(const char *arguments, bool own)
{
	static char usage[256];
	int n = snprintf(usage, sizeof(usage), "[OPTION...]%s%s", arguments ? " " : "", arguments ? arguments : "");

	if (cmd_running)	/* "attach" is a line of the table, "Attach." a sentence */
		snprintf(usage + n, sizeof(usage) - (size_t)n, "\n\n%c%s.%s",
			 toupper((unsigned char)*cmd_running->help), cmd_running->help + 1, own ? "\n" : "");
	return usage;
}

static void print_help(poptContext context)
{
	poptPrintHelp(context, stdout, 0);
	if (cmd_running && cmd_running->example)
		printf("\nExample: %s\n", cmd_running->example);
}

/* The option that was meant, NULL: none is near. */
static const char *nearest_option(const char *bad, const struct poptOption *own, const struct poptOption *common)
{
	const struct poptOption *const tables[] = { own, common };
	const char *names[OPTIONS_MAX];
	char word[64];
	size_t n = 0;

	for (int t = 0; t < 2; t++) {
		for (const struct poptOption *o = tables[t]; (o->longName || o->shortName) && n < OPTIONS_MAX; o++) {
			if (o->longName && !(o->argInfo & POPT_ARGFLAG_DOC_HIDDEN))
				names[n++] = o->longName;
		}
	}
	snprintf(word, sizeof(word), "%s", bad + strspn(bad, "-"));
	word[strcspn(word, "=")] = '\0';
	return text_nearest(word, names, n);
}

static int bad_option(poptContext context, int error, const char *command, const char *near)
{
	const char *bad = poptBadOption(context, POPT_BADOPTION_NOALIAS);

	if (error == POPT_ERROR_BADOPT && near)
		return cmd_usage("%s: no such option: did you mean --%s?", bad, near);
	return cmd_usage("%s: %s: see %s --help", bad, poptStrerror(error), command);
}

int cmd_parse(int argc, char **argv, struct poptOption *own, const char *arguments,
	      struct cmd_options *options)
{
	int help = 0, r;
	struct poptOption none[] = { POPT_TABLEEND };
	struct poptOption common[] = {
		{ "config", 'c', POPT_ARG_STRING, &options->guard.config, 0,
		  "Configuration (default /etc/ohguard/ohguard.conf)", "FILE" },
		{ "name", 0, POPT_ARG_STRING, &options->guard.instance, 0,
		  "Which guard, if several are loaded (default host)", "INSTANCE" },
		{ "key", 0, POPT_ARG_STRING, &options->guard.key, 0,
		  "The key, if it is locked (default /etc/ohguard/lock.key)", "FILE" },
		{ "json", 0, POPT_ARG_NONE, &options->json, 0, "Print JSON on standard output", NULL },
		{ "help", 'h', POPT_ARG_NONE, &help, 0, "Show this help", NULL },
		POPT_TABLEEND
	};
	struct poptOption all[] = {
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, own ? own : none, 0, NULL, NULL },
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, common, 0, "Every command:", NULL },
		POPT_TABLEEND
	};
	for (struct poptOption *c = common; cmd_running && cmd_running->elsewhere && c->longName; c++) {
		if (c->arg == &options->guard.instance || c->arg == &options->guard.key)
			c->argInfo |= POPT_ARGFLAG_DOC_HIDDEN;
	}
	/* Never freed: it owns the arguments that are handed out, and the process is short. */
	poptContext context;

	if (completing)
		return complete_options(own ? own : none, common) ? CMD_OK : CMD_COMPLETE;
	context = poptGetContext(argv[0], argc, (const char **)argv, all, 0);
	if (!context) {
		error_warn("out of memory");
		return CMD_FAILED;
	}
	poptSetOtherOptionHelp(context, usage_of(arguments, own));
	options->guard.instance = NULL;
	options->guard.command = argv[0];
	r = poptGetNextOpt(context);
	if (r < -1)
		return bad_option(context, r, argv[0], nearest_option(poptBadOption(context, 0), own ? own : none,
								      common));
	if (help) {
		print_help(context);
		return CMD_OK;
	}
	if (!options->guard.instance)
		options->guard.instance = "host";
	if (!text_is_instance(options->guard.instance))
		return cmd_usage("--name %s: an instance name is 1 to 32 letters, digits, '-' and '_'",
				 options->guard.instance);
	options->argv = poptGetArgs(context);
	options->argc = 0;
	while (options->argv && options->argv[options->argc])
		options->argc++;
	if (!arguments && options->argc)
		return cmd_usage("%s: %s takes no argument: see %s --help", options->argv[0], argv[0], argv[0]);
	return CMD_GO_ON;
}
