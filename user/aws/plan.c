// SPDX-License-Identifier: MIT
#include "aws/apply.h"
#include "base/json.h"
#include "base/proc.h"

static const char *const marks[] = { [CHANGE_MAKE] = "+", [CHANGE_SET] = "~", [CHANGE_REMOVE] = "-",
	[CHANGE_DELIVER] = ">", [CHANGE_NOTE] = "!" };
static const char *const actions[] = { [CHANGE_MAKE] = "make", [CHANGE_SET] = "set", [CHANGE_REMOVE] = "remove",
	[CHANGE_DELIVER] = "deliver", [CHANGE_NOTE] = "note" };

const char *change_mark(enum change_kind kind)
{
	return marks[kind];
}

static void print_cost(struct stack_view *v, FILE *out)
{
	long total = 0;
	bool unknown = false;

	fputs("\nA month of it costs about (us-east-1, without traffic):\n", out);
	for (unsigned int i = 0; i < v->count; i++) {
		const struct node *n = &v->nodes[i];
		long cents;

		if (!n->resource->cost || n->surplus)
			continue;
		cents = n->resource->cost(v->stack);
		if (cents < 0) {
			fprintf(out, "  %-14s price not known\n", n->key);
			unknown = true;
			continue;
		}
		fprintf(out, "  %-14s %6ld.%02ld USD%s%s\n", n->key, cents / 100, cents % 100,
			n->resource->usage ? ", and " : "", n->resource->usage ? n->resource->usage : "");
		total += cents;
	}
	fprintf(out, "  %-14s %6ld.%02ld USD%s\n", "all", total / 100, total % 100, unknown ? " and more" : "");
}

void plan_print(struct stack_view *v, bool commands, FILE *out)
{
	for (unsigned int i = 0; i < v->change_count; i++) {
		const struct change *c = &v->changes[i];
		const char *argv[ARGS_MAX + 8];

		fprintf(out, "%s %-14s %s\n", marks[c->kind], c->key, c->text);
		if (!commands || !c->args.count)
			continue;
		fputs("    ", out);
		if (c->input)
			fprintf(out, "ohguard aws render %s | ", c->key);
		aws_argv(&v->aws, &c->args, argv);
		proc_echo(out, argv);
	}
	if (!v->change_count)
		fprintf(out, "Stack %s in %s is as configured: nothing to change.\n", v->stack->name, v->stack->region);
	else
		fprintf(out, "\nStack %s in %s: %u to make, %u to set, %u to remove, %u to deliver%s.\n",
			v->stack->name, v->stack->region, view_count(v, CHANGE_MAKE), view_count(v, CHANGE_SET),
			view_count(v, CHANGE_REMOVE), view_count(v, CHANGE_DELIVER),
			view_count(v, CHANGE_NOTE) ? ", and what is marked ! needs you" : "");
	print_cost(v, out);
}

void plan_print_json(struct stack_view *v, FILE *out)
{
	struct json j;

	json_start(&j, out);
	json_object(&j, NULL);
	json_string(&j, "stack", v->stack->name);
	json_string(&j, "region", v->stack->region);
	json_array(&j, "changes");
	for (unsigned int i = 0; i < v->change_count; i++) {
		const struct change *c = &v->changes[i];
		const char *argv[ARGS_MAX + 8];

		json_object(&j, NULL);
		json_string(&j, "resource", c->key);
		json_string(&j, "action", actions[c->kind]);
		json_string(&j, "text", c->text);
		json_array(&j, "command");
		aws_argv(&v->aws, &c->args, argv);
		for (unsigned int k = 0; c->args.count && argv[k]; k++)
			json_string(&j, NULL, argv[k]);
		json_array_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_array(&j, "cost");
	for (unsigned int i = 0; i < v->count; i++) {
		const struct node *n = &v->nodes[i];

		if (!n->resource->cost || n->surplus)
			continue;
		json_object(&j, NULL);
		json_string(&j, "resource", n->key);
		if (n->resource->cost(v->stack) < 0)
			json_null(&j, "cents_a_month");
		else
			json_number(&j, "cents_a_month", n->resource->cost(v->stack));
		json_string(&j, "usage", n->resource->usage);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
}
