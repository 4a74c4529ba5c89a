// SPDX-License-Identifier: MIT
/* ohguard: finds the command and runs it. */
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/cmd.h"
#include "commands/complete.h"
#include "base/text.h"
#include "lock/place.h"
#include "base/version.h"

static const struct cmd commands[] = {
	{ "load", cmd_load, "attach and enforce; run again, it replaces programs and policy",
	  .example = "ohguard load --confirm 60s", .changes = true },
	{ "confirm", cmd_confirm, "keep what `load --confirm` put in force",
	  .example = "ohguard confirm", .changes = true },
	{ "unload", cmd_unload, "detach and remove everything",
	  .example = "ohguard unload --yes", .changes = true },
	{ "allow", cmd_allow, "allow names, addresses and ranges, at once and until revoked",
	  .example = "ohguard allow --for 2h github.com '*.corp.example'", .changes = true },
	{ "revoke", cmd_revoke, "take back what `allow` gave, and end its connections",
	  .example = "ohguard revoke github.com", .targets = true, .changes = true },
	{ "asks", cmd_asks, "show what waits for an answer, under load --ask",
	  .example = "ohguard asks --follow" },
	{ "deny", cmd_deny, "answer with no: what waits is refused at once",
	  .example = "ohguard deny github.com", .changes = true },
	{ "list", cmd_list, "show what is allowed, its addresses and how long they live",
	  .example = "ohguard list" },
	{ "refresh", cmd_refresh, "resolve the names that are due",
	  .example = "ohguard refresh --now", .changes = true },
	{ "stats", cmd_stats, "show packets and bytes by verdict, reason and target",
	  .example = "ohguard stats" },
	{ "events", cmd_events, "show refused attempts, one a line",
	  .example = "ohguard events --follow" },
	{ "report", cmd_report, "write a page about the history, to look at",
	  .example = "ohguard report /root/report.html" },
	{ "explain", cmd_explain, "say whether something is allowed, by what, and what to type",
	  .example = "ohguard explain github.com", .alias = "why", .targets = true },
	{ "verify", cmd_verify, "try from inside the guard what must work and what must fail",
	  .example = "ohguard verify" },
	{ "status", cmd_status, "show what is attached where, and whether it is healthy",
	  .example = "ohguard status" },
	{ "config", cmd_config, "show each key and where it comes from, or check files",
	  .example = "ohguard config --check ohguard.conf" },
	{ "suggest", cmd_suggest, "show the smallest list that lets pass what was observed",
	  .example = "ohguard suggest --since 2h", .changes = true },
	{ "run", cmd_run, "run one command under a guard of its own",
	  .example = "ohguard run --allow api.openai.com -- ./agent" },	/* its command inherits how SIGPIPE is */
	{ "serve", cmd_serve, "stay, keep the history, and answer refused names",
	  .example = "ohguard serve" },
	{ "lock", cmd_lock, "protect links, maps, files and binary from other root processes",
	  .example = "ohguard lock --copy-key /root/ohguard.key", .changes = true },
	{ "unlock", cmd_unlock, "end the protection of `lock`",
	  .example = "ohguard unlock --key /root/ohguard.key", .changes = true },
	{ "aws", cmd_aws, "build and watch the network and the machines in AWS",
	  .example = "ohguard aws plan" },
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

/* What a change says goes nowhere if nobody reads, and the change itself must not end half way. What only shows ends
 * with its reader. */
static void set_up_pipes(const struct cmd *c)
{
	signal(SIGPIPE, c->changes ? SIG_IGN : SIG_DFL);
}

static bool nobody_reads(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	return poll(&out, 1, 0) == 1 && out.revents & POLLERR;
}

static int run(const struct cmd *c, int argc, char **argv)
{
	char name[64];
	int r;

	snprintf(name, sizeof(name), "ohguard %s", c->name);
	argv[0] = name;
	set_up_pipes(c);
	cmd_running = c;
	r = c->run(argc, argv);
	/* Output that went to a full disk must not pass for success. */
	if ((!fflush(stdout) && !ferror(stdout)) || nobody_reads())
		return r;
	if (c->changes && r == CMD_OK) {	/* who reads "failed" would think that nothing has changed */
		error_warn("standard output: write failed: what it should say is done");
		return CMD_DEGRADED;
	}
	error_warn("standard output: write failed");
	return CMD_FAILED;
}

static const struct cmd *find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (!strcmp(name, commands[i].name) || (commands[i].alias && !strcmp(name, commands[i].alias)))
			return &commands[i];
	}
	return NULL;
}

static int no_such_command(const char *name)
{
	const char *names[sizeof(commands) / sizeof(*commands)], *near;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		names[i] = commands[i].name;
	near = text_nearest(name, names, sizeof(names) / sizeof(*names));
	if (near)
		return cmd_usage("%s: no such command: did you mean ohguard %s?", name, near);
	return cmd_usage("%s: no such command: see ohguard --help", name);
}

/* The command's own options and arguments; or, if they are not begun yet, the commands. */
static int complete(int argc, char **argv)
{
	static struct completion asked = { .word = "", .before = "", .instance = "host" };
	bool command = argc < 2 || (argc == 2 && !strcmp(argv[0], "help"));
	const struct cmd *c = command ? NULL : find(argv[0]);

	for (int i = 0; i + 1 < argc; i++) {
		if (!strcmp(argv[i], "--"))	/* the words of another program */
			return CMD_OK;
		if (!strcmp(argv[i], "--name"))
			asked.instance = argv[i + 1];
		asked.before = argv[i];
	}
	asked.word = argc ? argv[argc - 1] : "";
	completing = &asked;
	for (size_t i = 0; command && i < sizeof(commands) / sizeof(*commands); i++)
		complete_offer(commands[i].name, commands[i].help);
	if (c && c->run(argc - 1, argv) == CMD_COMPLETE && c->targets)
		complete_targets();
	return CMD_OK;
}

int main(int argc, char **argv)
{
	char help_option[] = "--help", *help_argv[] = { NULL, help_option, NULL };
	static char line[8192];
	const struct cmd *c;

	/* glibc raises it to the largest block that was freed, and keeps such blocks: 3 MB for 10,000 names */
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	open_standard();
	/* a line is one write: those of two processes must not mix */
	setvbuf(stderr, line, _IOLBF, sizeof(line));
	place_remember(argc, argv);
	libbpf_set_print(NULL);	/* we report failures ourselves, once */

	if (argc < 2) {
		print_help(stderr);
		return CMD_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V") || !strcmp(argv[1], "version")) {
		puts(version_line);
		return CMD_OK;
	}
	if (!strcmp(argv[1], "help") && argc > 2) {
		c = find(argv[2]);
		if (c && c->run == cmd_aws && argc > 3)
			return run(c, 3, (char *[]){ NULL, argv[3], help_option, NULL });
		return c ? run(c, 2, help_argv) : no_such_command(argv[2]);
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return CMD_OK;
	}
	if (!strcmp(argv[1], "complete"))
		return complete(argc - 2, argv + 2);
	c = find(argv[1]);
	return c ? run(c, argc - 1, argv + 1) : no_such_command(argv[1]);
}
