// SPDX-License-Identifier: MIT
#include "base/cells.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

size_t cells_terminal(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return 0;
	return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

/* The bytes of the first `columns` characters; *ret_columns: how many there are. */
static size_t bytes_of(const char *text, size_t columns, size_t *ret_columns)
{
	size_t n = 0;

	*ret_columns = 0;
	while (text[n] && *ret_columns < columns) {
		do
			n++;
		while ((text[n] & 0xc0) == 0x80);
		++*ret_columns;
	}
	return n;
}

void cells_print(FILE *out, const char *text, size_t width)
{
	size_t columns, bytes = bytes_of(text, width, &columns);

	if (text[bytes] && width) {
		bytes = bytes_of(text, width - 1, &columns);
		fprintf(out, "%.*s…", (int)bytes, text);
		return;
	}
	fprintf(out, "%s%*s", text, (int)(width - columns), "");
}

static const char *colour(const char *code)
{
	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") ? code : "";
}

const char *cells_red(void)
{
	return colour("\x1b[31m");
}

const char *cells_yellow(void)
{
	return colour("\x1b[33m");
}

const char *cells_plain(void)
{
	return colour("\x1b[0m");
}
