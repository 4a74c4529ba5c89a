// SPDX-License-Identifier: MIT
#include "commands/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

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

int cmd_parse(int argc, char **argv, struct poptOption *own, const char *arguments,
	      struct cmd_options *options)
{
	int help = 0, r;
	char usage[64];		/* popt keeps the pointer until it prints the help */
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
	/* Never freed: it owns the arguments that are handed out, and the process is short. */
	poptContext context = poptGetContext(argv[0], argc, (const char **)argv, all, 0);

	if (!context) {
		error_warn("out of memory");
		return CMD_FAILED;
	}
	snprintf(usage, sizeof(usage), "[OPTION...]%s%s", arguments ? " " : "", arguments ? arguments : "");
	poptSetOtherOptionHelp(context, usage);
	options->guard.instance = NULL;
	r = poptGetNextOpt(context);
	if (r < -1)
		return cmd_usage("%s: %s: see %s --help", poptBadOption(context, POPT_BADOPTION_NOALIAS),
				 poptStrerror(r), argv[0]);
	if (help) {
		poptPrintHelp(context, stdout, 0);
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
