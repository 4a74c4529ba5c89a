/* SPDX-License-Identifier: MIT */
/* What `aws` printed, as a tree. Every reader takes a path like "State.Name", accepts NULL for "nothing there", and
 * returns an empty value if the document has something else, since the output of a program is not trusted. */
#ifndef OHGUARD_AWS_DOC_H
#define OHGUARD_AWS_DOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct json_t;	/* libjansson's */
typedef struct json_t doc;

int doc_parse(const char *text, size_t size, doc **ret, struct error *e);
void doc_free(doc *d);

const doc *doc_get(const doc *d, const char *path);	/* NULL if there is nothing; path "" is d itself */
const char *doc_text(const doc *d, const char *path);	/* "" if there is no string */
long long doc_number(const doc *d, const char *path, long long otherwise);
bool doc_true(const doc *d, const char *path);
bool doc_false(const doc *d, const char *path);		/* both are false if there is nothing */
bool doc_is_list(const doc *d);
bool doc_is_object(const doc *d);
size_t doc_members(const doc *d);	/* of an object, else 0 */
size_t doc_length(const doc *d, const char *path);	/* of an array, else 0 */
const char *doc_item(const doc *d, size_t i);	/* of an array of texts; "" if there is none */
const doc *doc_at(const doc *d, const char *path, size_t i);

/* The value of an AWS tag ([{"Key":..., "Value":...}] under Tags), or "". */
const char *doc_tag(const doc *d, const char *key);

/* Puts a member into the i-th item of the array d, which owns it from then on. */
void doc_put(doc *d, size_t i, const char *name, doc *value);

/* Drops the items of the array d that do not carry the tag with that value. */
void doc_keep_tagged(doc *d, const char *key, const char *value);

#endif
