// SPDX-License-Identifier: MIT
#include "base/ini.h"

#include <fcntl.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (64 << 20)	/* bytes: four times what the most targets take */

struct walk {
	const char *at, *end;	/* what is still to be read */
	const char *path;
	ini_visit visit;
	void *context;
	struct error *error;
	unsigned int line, *ret_line;
	int result;
};

/* libinih ignores what follows a section's bracket, and tells nobody of a section without a key. */
static int check_section(struct walk *w, const char *line)
{
	const char *close;
	char section[INI_LINE_MAX];

	line += strspn(line, " \t");
	close = *line == '[' ? strchr(line, ']') : NULL;
	if (!close)
		return 0;
	snprintf(section, sizeof(section), "%.*s", (int)(close - line - 1), line + 1);
	close += 1 + strspn(close + 1, " \t\r\n");
	if (*close && *close != ';' && *close != '#')
		return error_set(w->error, EINVAL, "%s:%u: nothing may follow [section]", w->path, w->line);
	if (!w->visit(w->context, section, NULL, NULL, w->error))
		return 0;
	return error_prefix(w->error, EINVAL, "%s:%u", w->path, w->line);
}

/* libinih's reader (the contract of fgets): counts lines, and stops at what libinih would silently cut. */
static char *read_line(char *buffer, int size, void *stream)
{
	struct walk *w = stream;
	int len = 0, c = 0;

	if (w->result)
		return NULL;
	while (len < size - 1 && c != '\n' && w->at < w->end) {
		c = *w->at++;
		buffer[len++] = (char)c;
		if (c)
			continue;
		w->result = error_set(w->error, EINVAL, "%s:%u: line holds a NUL byte", w->path, w->line + 1);
		return NULL;
	}
	if (!len)
		return NULL;
	w->line++;
	if (w->ret_line)
		*w->ret_line = w->line;
	buffer[len] = '\0';
	if (c != '\n' && len == size - 1)
		w->result = error_set(w->error, EINVAL, "%s:%u: line is longer than %d bytes", w->path, w->line,
				      size - 2);
	else
		w->result = check_section(w, buffer);
	return w->result ? NULL : buffer;
}

static int pair(void *user, const char *section, const char *key, const char *value)
{
	struct walk *w = user;

	if (w->result)
		return 0;
	if (!key || !value)
		return 0;
	w->result = w->visit(w->context, section, key, value, w->error);
	if (w->result)
		error_prefix(w->error, 0, "%s:%u", w->path, w->line);
	return !w->result;
}

static int check_file(int fd, const char *path, bool anyones, struct error *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(e, EINVAL, "%s: not a regular file", path);
	if (anyones)
		return 0;
	if (st.st_uid && st.st_uid != geteuid())
		return error_set(e, EPERM, "%s: belongs to uid %u, who could change the rules: chown root it",
				 path, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(e, EPERM, "%s: writable by group or others (mode %04o): chmod go-w it",
				 path, st.st_mode & 07777);
	return 0;
}

/* Reads all of it into new memory. */
static int read_all(int fd, const char *path, char **ret, size_t *ret_size, struct error *e)
{
	size_t size = 0, room = 0;
	char *text = NULL, *grown;
	ssize_t n;
	int r = 0;

	do {
		if (size == room) {
			room = room ? room * 2 : 65536;
			grown = realloc(text, room);
			if (!grown) {
				r = error_set(e, ENOMEM, "%s: out of memory", path);
				break;
			}
			text = grown;
			if (room > FILE_MAX) {
				r = error_set(e, EFBIG, "%s: larger than %d MB", path, FILE_MAX >> 20);
				break;
			}
		}
		n = read(fd, text + size, room - size);
		if (n > 0)
			size += (size_t)n;
		else if (n < 0 && errno != EINTR)
			r = error_set(e, errno, "%s: %s", path, strerror(errno));
	} while (!r && n);
	if (r) {
		free(text);
		return r;
	}
	*ret = text;
	*ret_size = size;
	return 0;
}

int ini_walk(const char *path, const char *text, size_t size, unsigned int *ret_line, ini_visit visit, void *context,
	     struct error *e)
{
	struct walk w = { .at = text, .end = text + size, .path = path, .visit = visit, .context = context,
			  .error = e, .ret_line = ret_line };
	int bad_line;

	ini_max_line = INI_LINE_MAX;
	ini_use_stack = 1;
	ini_allow_multiline = false;
	ini_allow_bom = false;
	ini_stop_on_first_error = true;
	bad_line = ini_parse_stream(read_line, &w, pair, &w);
	if (bad_line && !w.result)
		w.result = error_set(e, EINVAL, "%s:%u: expected [section], key = value or a comment", path, w.line);
	return w.result;
}

int ini_load(const char *path, bool anyones, char **ret_text, size_t *ret_size, struct error *e)
{
	int fd, r;

	/* O_NONBLOCK: opening a FIFO in its place must not hang. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	r = check_file(fd, path, anyones, e);
	if (!r)
		r = read_all(fd, path, ret_text, ret_size, e);
	close(fd);
	return r;
}

int ini_read(const char *path, ini_visit visit, void *context, struct error *e)
{
	char *text;
	size_t size;
	int r = ini_load(path, false, &text, &size, e);

	if (r)
		return r;
	r = ini_walk(path, text, size, NULL, visit, context, e);
	free(text);
	return r;
}
