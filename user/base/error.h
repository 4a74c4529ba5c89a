/* SPDX-License-Identifier: MIT */
/* An error: described where it is found, printed once where the command ends. */
#ifndef OHGUARD_ERROR_H
#define OHGUARD_ERROR_H

#include <errno.h>

/* What, why, and what to do, in one line of text without a newline. */
struct error {
	char text[512];
};

/* Fills *e and returns -code (a positive errno), so that a function can end with
 * `return error_set(e, EINVAL, ...)`. A later call replaces the earlier text. */
int error_set(struct error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text that is there, and returns -code. */
int error_prefix(struct error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Analysers read one file at a time, so they do not see that such a return is never 0. */
#ifdef OHGUARD_ANALYSED
static inline int error_code(int code)
{
	int r = -code;

	if (!r)
		__builtin_abort();
	return r;
}
#define error_set(e, code, ...) ((void)error_set(e, code, __VA_ARGS__), error_code(code))
#define error_prefix(e, code, ...) ((void)error_prefix(e, code, __VA_ARGS__), error_code(code))
#endif

/* Each prints one line, "ohguard: text", on standard error, with control characters escaped. */
void error_print(const struct error *e);
void error_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
