// SPDX-License-Identifier: MIT
/* ohguard config: the configuration, key by key, and where each comes from; or files checked, by anyone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/list.h"
#include "base/text.h"
#include "commands/cmd.h"
#include "guard/guard.h"
#include "policy/keys.h"

struct line {
	const struct config_key *key;
	char *value, *file;
	unsigned int number;
};

struct listing {
	struct line *line;
	size_t count;
};

static int note(void *context, const struct config_line *at, struct error *e)
{
	struct listing *l = context;
	struct line *grown = list_grow(l->line, l->count, sizeof(*grown)), *line;

	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	l->line = grown;
	line = &grown[l->count];
	*line = (struct line){ .key = at->key, .value = strdup(at->value), .file = strdup(at->file),
			       .number = at->line };
	l->count++;
	return line->value && line->file ? 0 : error_set(e, ENOMEM, "out of memory");
}

static void free_listing(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->line[i].value);
		free(l->line[i].file);
	}
	free(l->line);
}

/* A line that a later file has overruled is not shown. */
static bool counts(const struct listing *l, size_t i)
{
	for (size_t j = i + 1; j < l->count && !l->line[i].key->repeated; j++) {
		if (l->line[j].key == l->line[i].key)
			return false;
	}
	return true;
}

static void print_key(struct json *j, const struct config_key *key, const struct line *line)
{
	const char *value = line ? line->value : key->fallback;

	if (j) {
		json_object(j, NULL);
		json_string(j, "section", key->section);
		json_string(j, "key", key->key);
		json_string(j, "value", value);
		json_string(j, "default", line ? NULL : value ? value : key->otherwise);
		json_string(j, "file", line ? line->file : NULL);
		if (line)
			json_number(j, "line", line->number);
		else
			json_null(j, "line");
		json_object_end(j);
		return;
	}
	if (line) {
		printf("%s = ", key->key);
		text_print(stdout, value);
		fputs(" ; ", stdout);
		text_print(stdout, line->file);
		printf(":%u\n", line->number);
	} else if (value) {
		printf("%s = %s ; default\n", key->key, value);
	} else {
		printf("; %s: %s\n", key->key, key->otherwise);
	}
}

static void print_listing(struct json *j, const struct listing *l)
{
	const char *section = "";

	for (size_t k = 0; k < config_key_count; k++) {
		const struct config_key *key = &config_keys[k];
		bool given = false;

		if (!j && strcmp(section, key->section))
			printf("%s[%s]\n", *section ? "\n" : "", key->section);
		section = key->section;
		for (size_t i = 0; i < l->count; i++) {
			if (l->line[i].key != key || !counts(l, i))
				continue;
			print_key(j, key, &l->line[i]);
			given = true;
		}
		if (!given)
			print_key(j, key, NULL);
	}
}

static void print_config(const struct cmd_options *o, bool in_force, const struct listing *l)
{
	struct json j;

	if (!o->json) {
		puts(in_force ? "; in force" : "; what `ohguard load` would put in force");
		print_listing(NULL, l);
		return;
	}
	json_start(&j, stdout);
	json_object(&j, NULL);
	json_bool(&j, "in_force", in_force);
	json_array(&j, "keys");
	print_listing(&j, l);
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
}

/* What is in force, unless nothing is or the files are asked for. */
static int show(const struct cmd_options *o, bool edited)
{
	struct listing l = { 0 };
	struct config c = { 0 };
	struct guard g;
	struct error e;
	int r = edited ? -ENOENT : guard_open(&o->guard, &g, &e);
	bool in_force = !r;

	if (in_force) {
		r = guard_walk_config(&g, note, &l, &e);
		guard_close(&g);
	} else if (r == -ENOENT) {
		r = config_read(o->guard.config, &c, &e);
		if (!r)
			r = config_walk(&c, o->guard.config, note, &l, &e);
		config_free(&c);
	}
	if (!r)
		print_config(o, in_force, &l);
	free_listing(&l);
	return r ? cmd_fail(&e) : CMD_OK;
}

static int check(const struct cmd_options *o)
{
	int exit = CMD_OK;

	for (int i = 0; i < o->argc; i++) {
		struct error e;

		if (!config_check(o->argv[i], &e)) {
			printf("%s: ok\n", o->argv[i]);
			continue;
		}
		error_print(&e);
		exit = CMD_FAILED;
	}
	return exit;
}

int cmd_config(int argc, char **argv)
{
	struct cmd_options common = { 0 };
	int checking = 0, edited = 0, r;
	struct poptOption options[] = {
		{ "check", 0, POPT_ARG_NONE, &checking, 0, "Check files, each as a whole configuration", NULL },
		{ "edited", 0, POPT_ARG_NONE, &edited, 0, "Show the files as they are now, not what is in force",
		  NULL },
		POPT_TABLEEND
	};

	r = cmd_parse(argc, argv, options, "[FILE...]", &common);
	if (r != CMD_GO_ON)
		return r;
	if (!checking && common.argc)
		return cmd_usage("%s: a FILE is for --check: see %s --help", common.argv[0], argv[0]);
	if (checking && !common.argc)
		return cmd_usage("--check: which FILE? See %s --help", argv[0]);
	return checking ? check(&common) : show(&common, edited);
}
