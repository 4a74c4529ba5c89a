/* SPDX-License-Identifier: MIT */
/* A streaming JSON writer without a tree or allocation. It escapes keys and strings. */
#ifndef OHGUARD_JSON_H
#define OHGUARD_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* libjansson, which reads what `aws` prints, exports these four names too. */
#define json_object oh_json_object
#define json_array oh_json_array
#define json_string oh_json_string
#define json_null oh_json_null

#define JSON_DEPTH_MAX 16

struct json {
	FILE *out;
	unsigned int depth;
	bool filled[JSON_DEPTH_MAX + 1];	/* there is a value at this depth already: a comma is due */
};

void json_start(struct json *j, FILE *out);
void json_end(struct json *j);	/* ends the line */

/* key is NULL inside an array and at the top. Every start needs its end. */
void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);

void json_string(struct json *j, const char *key, const char *value);	/* NULL is written as null */
void json_number(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif
