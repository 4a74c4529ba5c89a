/* SPDX-License-Identifier: MIT */
/* Leaf parsers and printers of text, shared by command line, configuration and state files.
 * A parser takes the whole string or nothing: "443abc" is refused. Outputs are untouched on failure. */
#ifndef OHGUARD_TEXT_H
#define OHGUARD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* 0, or -EINVAL if text is not a plain decimal number from min to max. */
int text_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* Writes a number without a NUL where there is room for 20 digits, and returns the place behind it. A refresh writes
 * tens of thousands of them: printf() would take half of its time in user space. */
char *text_put_number(char *at, uint64_t number);

/* A time like 30s, 5m, 2h, 1d, or plain seconds. 0, or -EINVAL (not a time, or over max seconds). */
int text_parse_seconds(const char *text, uint64_t max, uint64_t *ret);

/* A size like 16M, 512k, 1G, or plain bytes: units of 1024. 0, or -EINVAL (not a size, or over max bytes). */
int text_parse_size(const char *text, uint64_t max, uint64_t *ret);

/* Writes seconds as 59s, 4m, 3h or 2d: the largest unit that leaves a whole number of at least 1. */
const char *text_seconds(uint64_t seconds, char *buffer, size_t size);

/* The s of "3 queries". */
#define TEXT_PLURAL(count) ((count) == 1 ? "" : "s")

/* Writes a time as 2026-11-23T21:14:16Z (RFC 3339). */
#define TEXT_TIME_MAX 32
const char *text_time(int64_t seconds, char buffer[TEXT_TIME_MAX]);
/* Reads a time as it is written by that. 0 or -EINVAL. */
int text_parse_time(const char *text, int64_t *ret);

/* True if text can name an instance. The name becomes part of paths. */
bool text_is_instance(const char *text);

/* The word that was meant where another one was typed: at most two letters are wrong, too many or missing, or two
 * neighbours changed places. NULL: none is near, or two are as near. */
const char *text_nearest(const char *typed, const char *const *words, size_t count);

/* Prints text from outside: control characters and bytes that are not UTF-8 become \xNN ... */
void text_print(FILE *out, const char *text);
/* ... or \u00NN, and quotes and backslashes are escaped, for the inside of a JSON string. */
void text_print_json(FILE *out, const char *text);

#endif
