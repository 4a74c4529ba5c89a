#include "ini.h"

#include <fcntl.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
	FILE *file;
	const char *path;
	ini_visit visit;
	void *context;
	struct error *error;
	unsigned int line;
	int result;
};

/* libinih ignores what stands behind a section's bracket. */
static bool is_section_with_rest(const char *line)
{
	const char *close;

	line += strspn(line, " \t");
	close = *line == '[' ? strchr(line, ']') : NULL;
	if (!close)
		return false;
	close += 1 + strspn(close + 1, " \t\r\n");
	return *close && *close != ';' && *close != '#';
}

/* libinih's reader (the contract of fgets): counts lines, and stops at what it would silently cut. */
static char *read_line(char *buffer, int size, void *stream)
{
	struct walk *w = stream;
	int len = 0, c = 0;

	if (w->result)
		return NULL;
	while (len < size - 1 && c != '\n' && (c = getc_unlocked(w->file)) != EOF) {
		buffer[len++] = (char)c;
		if (c)
			continue;
		w->result = error_set(w->error, EINVAL, "%s:%u: line holds a NUL byte", w->path, w->line + 1);
		return NULL;
	}
	if (!len)
		return NULL;
	w->line++;
	buffer[len] = '\0';
	if (c != '\n' && c != EOF)
		w->result = error_set(w->error, EINVAL, "%s:%u: line is longer than %d bytes", w->path, w->line, size - 2);
	else if (is_section_with_rest(buffer))
		w->result = error_set(w->error, EINVAL, "%s:%u: nothing can stand behind [section]", w->path, w->line);
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

static int check_owner(FILE *file, const char *path, struct error *e)
{
	struct stat st;

	if (fstat(fileno(file), &st))
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(e, EINVAL, "%s: not a regular file", path);
	if (st.st_uid && st.st_uid != geteuid())
		return error_set(e, EPERM, "%s: belongs to uid %u, and whoever owns it sets the rules: chown root it",
				 path, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(e, EPERM, "%s: writable by group or others (mode %04o): chmod go-w it",
				 path, st.st_mode & 07777);
	return 0;
}

int ini_read(const char *path, ini_visit visit, void *context, struct error *e)
{
	struct walk w = { .path = path, .visit = visit, .context = context, .error = e };
	int fd, bad_line;

	/* O_NONBLOCK: opening a FIFO left in the way must not hang. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	w.file = fdopen(fd, "r");
	if (!w.file) {
		error_set(e, errno, "%s: %s", path, strerror(errno));
		close(fd);
		return -ENOMEM;
	}
	w.result = check_owner(w.file, path, e);
	if (!w.result) {
		ini_max_line = INI_LINE_MAX;
		ini_use_stack = 1;
		ini_allow_multiline = false;
		ini_allow_bom = false;
		ini_stop_on_first_error = true;
		bad_line = ini_parse_stream(read_line, &w, pair, &w);
		if (bad_line && !w.result)
			w.result = error_set(e, EINVAL, "%s:%u: neither [section], key = value nor a comment",
					     path, w.line);
		if (!w.result && ferror(w.file))
			w.result = error_set(e, EIO, "%s: read failed", path);
	}
	fclose(w.file);
	return w.result;
}
