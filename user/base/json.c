// SPDX-License-Identifier: MIT
#include "base/json.h"

#include <assert.h>

#include "base/text.h"

void json_start(struct json *j, FILE *out)
{
	*j = (struct json){ .out = out };
}

void json_end(struct json *j)
{
	assert(!j->depth);
	fputc('\n', j->out);
}

static void quoted(struct json *j, const char *s)
{
	fputc('"', j->out);
	text_print_json(j->out, s);
	fputc('"', j->out);
}

static void before_value(struct json *j, const char *key)
{
	if (j->filled[j->depth])
		fputs(", ", j->out);
	j->filled[j->depth] = true;
	if (key) {
		quoted(j, key);
		fputs(": ", j->out);
	}
}

static void open_level(struct json *j, const char *key, char bracket)
{
	before_value(j, key);
	fputc(bracket, j->out);
	assert(j->depth < JSON_DEPTH_MAX);
	j->filled[++j->depth] = false;
}

static void close_level(struct json *j, char bracket)
{
	assert(j->depth);
	j->depth--;
	fputc(bracket, j->out);
}

void json_object(struct json *j, const char *key)
{
	open_level(j, key, '{');
}

void json_object_end(struct json *j)
{
	close_level(j, '}');
}

void json_array(struct json *j, const char *key)
{
	open_level(j, key, '[');
}

void json_array_end(struct json *j)
{
	close_level(j, ']');
}

void json_string(struct json *j, const char *key, const char *value)
{
	if (!value) {
		json_null(j, key);
		return;
	}
	before_value(j, key);
	quoted(j, value);
}

void json_number(struct json *j, const char *key, int64_t value)
{
	before_value(j, key);
	fprintf(j->out, "%lld", (long long)value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	before_value(j, key);
	fputs(value ? "true" : "false", j->out);
}

void json_null(struct json *j, const char *key)
{
	before_value(j, key);
	fputs("null", j->out);
}
