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

/* libinih's reader (the contract of fgets): counts lines, and stops at what it would silently cut. */
static char *read_line(char *buffer, int size, void *stream)
{
	struct walk *w = stream;
	size_t len;

	if (w->result || !fgets(buffer, size, w->file))
		return NULL;
	w->line++;
	len = strlen(buffer);
	if (buffer[len ? len - 1 : 0] != '\n' && !feof(w->file)) {
		w->result = error_set(w->error, EINVAL, "%s:%u: line holds a NUL byte or is longer than %d bytes",
				      w->path, w->line, size - 2);
		return NULL;
	}
	return buffer;
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
		close(fd);
		return error_set(e, ENOMEM, "%s: out of memory", path);
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
