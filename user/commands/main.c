// SPDX-License-Identifier: MIT
/* ohguard: finds the command and runs it. */
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/cmd.h"
#include "lock/place.h"
#include "base/version.h"

static const struct cmd commands[] = {
	{ "load", cmd_load, "attach and enforce; run again, it replaces programs and policy" },
	{ "confirm", cmd_confirm, "keep what `load --confirm` put in force" },
	{ "unload", cmd_unload, "detach and remove everything" },
	{ "allow", cmd_allow, "allow names, addresses and ranges, at once and until revoked" },
	{ "revoke", cmd_revoke, "take that back, and end its open connections" },
	{ "list", cmd_list, "show what is allowed, its addresses and how long they live" },
	{ "refresh", cmd_refresh, "resolve the names that are due" },
	{ "stats", cmd_stats, "show packets and bytes by verdict, reason and target" },
	{ "events", cmd_events, "show refused attempts, one a line" },
	{ "status", cmd_status, "show what is attached where, and whether it is healthy" },
	{ "config", cmd_config, "show each key and where it comes from, or check files" },
	{ "run", cmd_run, "run one command under a guard of its own" },
	{ "serve", cmd_serve, "stay, and answer what is refused for its name" },
	{ "lock", cmd_lock, "protect links, maps, files and binary from other root processes" },
	{ "unlock", cmd_unlock, "end that protection" },
	{ "aws", cmd_aws, "build and watch the network and the machines in AWS" },
};

static void print_help(FILE *out)
{
	fputs("Usage: ohguard COMMAND [OPTION...] [ARGUMENT...]\n\n", out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\nSee ohguard COMMAND --help for its options, and ohguard(8) for everything.\n", out);
}

/* Without a standard descriptor, the next file that is opened gets its number, and messages would go into that file. */
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	char name[64];

	open_standard();
	place_remember(argc, argv);
	libbpf_set_print(NULL);	/* we report failures ourselves, once */

	if (argc < 2) {
		print_help(stderr);
		return CMD_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return CMD_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		puts(version_line);
		return CMD_OK;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		int r;

		if (strcmp(argv[1], commands[i].name))
			continue;
		snprintf(name, sizeof(name), "ohguard %s", argv[1]);
		argv[1] = name;
		r = commands[i].run(argc - 1, argv + 1);
		/* Output that went to a full disk must not pass for success. */
		if (fflush(stdout) || ferror(stdout)) {
			error_warn("standard output: write failed");
			return CMD_FAILED;
		}
		return r;
	}
	return cmd_usage("%s: no such command: see ohguard --help", argv[1]);
}
