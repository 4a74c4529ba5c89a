// SPDX-License-Identifier: MIT
/* ohguard asks: what waits for an answer, under `load --ask`. */
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cells.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/reason.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "engine/container.h"
#include "engine/hooks.h"
#include "engine/questions.h"

#define LOOK 250000	/* microseconds between two looks with --follow */

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* Who asks, as far as user space can tell. "": not known. */
struct asker {
	char cgroup[PATH_MAX];
	char interface[IF_NAMESIZE];
	struct container container;
};

static void find_asker(const struct oh_event *what, struct asker *ret)
{
	*ret = (struct asker){ 0 };
	engine_cgroup_path(what->cgroup, ret->cgroup);
	if (what->interface && !if_indextoname(what->interface, ret->interface))
		snprintf(ret->interface, sizeof(ret->interface), "%u", what->interface);
	if (!container_by_cgroup(ret->cgroup, &ret->container) && what->interface)
		container_by_address(&what->source, &ret->container);
}

static unsigned int seconds_left(const struct question *q)
{
	int64_t left = (int64_t)q->kernel.until - clock_boot_ns();

	return left > 0 ? (unsigned int)((left + 999999999) / 1000000000) : 0;
}

static void json_question(struct json *j, const struct question *q)
{
	const struct oh_event *what = &q->kernel.what;
	char target[OH_TARGET_TEXT_MAX], when[TEXT_TIME_MAX], id[CONTAINER_SHORT + 1] = "";
	struct asker asker;

	find_asker(what, &asker);
	memcpy(id, asker.container.id, CONTAINER_SHORT);
	json_object(j, NULL);
	json_string(j, "target", question_target(q, target));
	json_string(j, "reason", reason_name(what->reason));
	json_string(j, "time", text_time(clock_boot_at() + (int64_t)(what->time / 1000000000), when));
	json_number(j, "seconds_left", seconds_left(q));
	json_number(j, "tries", q->kernel.tries);
	json_number(j, "pid", what->pid);
	json_number(j, "uid", what->uid);
	json_string(j, "command", what->pid ? what->command : NULL);
	json_string(j, "cgroup", *asker.cgroup ? asker.cgroup : NULL);
	json_string(j, "container", *id ? id : NULL);
	json_string(j, "container_name", *asker.container.name ? asker.container.name : NULL);
	json_string(j, "interface", *asker.interface ? asker.interface : NULL);
	json_object_end(j);
}

static void print_who(FILE *out, const struct oh_event *what)
{
	struct asker asker;

	find_asker(what, &asker);
	if (what->pid) {
		text_print(out, what->command);
		fprintf(out, "[%u]", what->pid);
	} else if (*asker.interface) {
		fputs("forwarded from ", out);
		text_print(out, asker.interface);
	} else {
		fputs("an unknown process", out);
	}
	if (*asker.container.id) {
		fputs(" in container ", out);
		text_print(out, *asker.container.name ? asker.container.name : asker.container.id);
	} else if (*asker.cgroup) {
		fputs(" in ", out);
		text_print(out, asker.cgroup);
	}
}

static void print_question(const struct question *q)
{
	size_t width = cells_terminal(), length, used, size;
	char target[OH_TARGET_TEXT_MAX], *who = NULL;
	FILE *f = open_memstream(&who, &size);

	if (f) {
		print_who(f, &q->kernel.what);
		fclose(f);
	}
	question_target(q, target);
	length = strlen(target);
	text_print(stdout, target);	/* not cut: it is there to be pasted */
	printf("%*s %3us  %-22s ", length < 32 ? (int)(32 - length) : 0, "", seconds_left(q),
	       reason_name(q->kernel.what.reason) ? reason_name(q->kernel.what.reason) : "?");
	used = (length < 32 ? 32 : length) + 30;
	if (who && width > used + 10)
		cells_print(stdout, who, width - used);
	else
		fputs(who ? who : "?", stdout);
	free(who);
	putchar('\n');
}

static void show(const struct guard *g, const struct cmd_options *o, const struct questions *questions)
{
	struct json j;
	bool any = false;

	json_start(&j, stdout);
	if (o->json) {
		json_object(&j, NULL);
		json_string(&j, "instance", o->guard.instance);
		json_number(&j, "ask", (int64_t)(g->engine.settings.ask / 1000000000));
		json_array(&j, "asks");
	}
	for (size_t i = 0; i < questions->count; i++) {
		if (!questions->list[i].waits)
			continue;
		if (o->json)
			json_question(&j, &questions->list[i]);
		else
			print_question(&questions->list[i]);
		any = true;
	}
	if (o->json) {
		json_array_end(&j);
		json_object_end(&j);
		json_end(&j);
	} else if (!any) {
		puts("nothing waits for an answer");
	} else if (isatty(STDOUT_FILENO)) {
		puts("\nAnswer with `ohguard allow TARGET` or `ohguard deny TARGET`.");
	}
}

/* Prints those that were put later than *seen, which it moves on. */
static void show_new(const struct cmd_options *o, const struct questions *questions, uint64_t *seen)
{
	uint64_t last = *seen;
	struct json j;

	for (size_t i = 0; i < questions->count; i++) {
		const struct question *q = &questions->list[i];

		if (!q->waits || q->kernel.what.time <= *seen)
			continue;
		if (o->json) {
			json_start(&j, stdout);
			json_question(&j, q);
			json_end(&j);
		} else {
			print_question(q);
		}
		last = q->kernel.what.time;
	}
	*seen = last;
}

static int ask(struct guard *g, const struct cmd_options *o, bool follow, struct error *e)
{
	uint64_t seen = 0;
	int r = 0;

	if (!g->engine.settings.ask)
		return error_set(e, EPERM, "nothing waits: what is not allowed is refused at once, unless it is loaded "
				 "with `ohguard load --ask 60s`");
	do {
		struct questions questions;
		bool other;

		r = questions_read(&g->engine, &questions, e);
		if (!r && follow)
			show_new(o, &questions, &seen);
		else if (!r)
			show(g, o, &questions);
		questions_free(&questions);
		if (r || !follow)
			return r;
		fflush(stdout);
		usleep(LOOK);
		r = engine_renew(&g->engine, g->pins, ENGINE_QUESTIONS, &other, e);
	} while (!r && !stopped && !ferror(stdout));
	return r;
}

int cmd_asks(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	int follow = 0, r;
	struct guard g;
	struct error e;
	struct poptOption options[] = {
		{ "follow", 'f', POPT_ARG_NONE, &follow, 0, "Wait for more and print them as they come", NULL },
		POPT_TABLEEND
	};

	r = cmd_parse(argc, argv, options, NULL, &common);
	if (r != CMD_GO_ON)
		return r;
	r = guard_open(&common.guard, &g, &e);
	if (r)
		return cmd_open_failed(r, &e);
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	r = ask(&g, &common, follow, &e);
	guard_close(&g);
	return r ? cmd_open_failed(r, &e) : CMD_OK;
}
