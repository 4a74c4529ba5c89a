// SPDX-License-Identifier: MIT
#include "history/follow.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void history_follow_start(struct history_follow *f, const char *path, uint64_t after)
{
	*f = (struct history_follow){ .file = -1, .line = after };
	snprintf(f->now, sizeof(f->now), "%s.jsonl", path);
}

void history_follow_end(struct history_follow *f)
{
	if (f->file >= 0)
		close(f->file);
	f->file = -1;
}

static int hand_out(struct history_follow *f, char *line, const struct history_filter *filter, history_visit visit,
		    void *context)
{
	struct history_record record;
	const char *before;

	if (history_parse(line, &record, &before) || record.line <= f->line)
		return 0;
	f->line = record.line;
	return history_takes(filter, &record) ? visit(context, &record) : 0;
}

/* What is left of the open file. */
static int read_rest(struct history_follow *f, const struct history_filter *filter, history_visit visit, void *context)
{
	ssize_t n;
	int r = 0;

	while (!r && (n = read(f->file, f->buffer + f->have, sizeof(f->buffer) - f->have)) > 0) {
		char *line = f->buffer, *end = f->buffer + f->have + n, *newline;

		while (!r && (newline = memchr(line, '\n', (size_t)(end - line)))) {
			*newline = '\0';
			r = hand_out(f, line, filter, visit, context);
			line = newline + 1;
		}
		f->have = (size_t)(end - line);
		memmove(f->buffer, line, f->have);
		if (f->have == sizeof(f->buffer))	/* no line is that long */
			f->have = 0;
	}
	return r;
}

/* True if another file has its name now. */
static bool is_rotated_away(const struct history_follow *f)
{
	struct stat own, named;

	return f->file < 0 || (!stat(f->now, &named) && (fstat(f->file, &own) || own.st_ino != named.st_ino));
}

int history_follow(struct history_follow *f, const struct history_filter *filter, history_visit visit, void *context)
{
	bool other = is_rotated_away(f);	/* asked before the rest is read: then nothing is added to it */
	int r = f->file < 0 ? 0 : read_rest(f, filter, visit, context);

	if (r || !other)
		return r;
	history_follow_end(f);
	f->have = 0;
	f->file = open(f->now, O_RDONLY | O_CLOEXEC);
	return f->file < 0 ? 0 : read_rest(f, filter, visit, context);
}
