// SPDX-License-Identifier: MIT
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#undef error_set
#undef error_prefix

int error_set(struct error *e, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	return -code;
}

int error_prefix(struct error *e, int code, const char *format, ...)
{
	char rest[sizeof(e->text)];
	size_t used;
	va_list args;

	memcpy(rest, e->text, sizeof(rest));
	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	used = strlen(e->text);
	snprintf(e->text + used, sizeof(e->text) - used, ": %s", rest);
	return -code;
}

void error_warn(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fputs("ohguard: ", stderr);
	text_print(stderr, line);
	fputc('\n', stderr);
}

void error_print(const struct error *e)
{
	error_warn("%s", e->text);
}
