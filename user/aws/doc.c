// SPDX-License-Identifier: MIT
#include "aws/doc.h"

#include <jansson.h>
#include <string.h>

int doc_parse(const char *text, size_t size, doc **ret, struct error *e)
{
	json_error_t problem;
	/* json_loadb refuses what follows the document, a NUL in a key, and more than 2048 levels. */
	json_t *d = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);

	if (!d)
		return error_set(e, EBADMSG, "not JSON at line %d: %.100s", problem.line, problem.text);
	*ret = d;
	return 0;
}

void doc_free(doc *d)
{
	json_decref(d);
}

const doc *doc_get(const doc *d, const char *path)
{
	while (d && *path) {
		size_t len = strcspn(path, ".");
		char name[64];

		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		d = json_object_get(d, name);
		path += len + (path[len] == '.');
	}
	return d;
}

const char *doc_text(const doc *d, const char *path)
{
	const char *s = json_string_value(doc_get(d, path));

	return s ? s : "";
}

long long doc_number(const doc *d, const char *path, long long otherwise)
{
	const doc *n = doc_get(d, path);

	return json_is_integer(n) ? json_integer_value(n) : otherwise;
}

bool doc_true(const doc *d, const char *path)
{
	return json_is_true(doc_get(d, path));
}

bool doc_false(const doc *d, const char *path)
{
	return json_is_false(doc_get(d, path));
}

bool doc_is_list(const doc *d)
{
	return json_is_array(d);
}

bool doc_is_object(const doc *d)
{
	return json_is_object(d);
}

size_t doc_members(const doc *d)
{
	return json_object_size(d);
}

size_t doc_length(const doc *d, const char *path)
{
	return json_array_size(doc_get(d, path));
}

const char *doc_item(const doc *d, size_t i)
{
	const char *s = json_string_value(json_array_get(d, i));

	return s ? s : "";
}

const doc *doc_at(const doc *d, const char *path, size_t i)
{
	return json_array_get(doc_get(d, path), i);
}

const char *doc_tag(const doc *d, const char *key)
{
	for (size_t i = 0; i < doc_length(d, "Tags"); i++) {
		const doc *tag = doc_at(d, "Tags", i);

		if (!strcmp(doc_text(tag, "Key"), key))
			return doc_text(tag, "Value");
	}
	return "";
}

void doc_put(doc *d, size_t i, const char *name, doc *value)
{
	json_object_set_new(json_array_get(d, i), name, value);
}

void doc_keep_tagged(doc *d, const char *key, const char *value)
{
	for (size_t i = json_array_size(d); i > 0; i--) {
		if (strcmp(doc_tag(json_array_get(d, i - 1), key), value))
			json_array_remove(d, i - 1);
	}
}
