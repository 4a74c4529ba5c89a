// SPDX-License-Identifier: MIT
#include "history/reader.h"

#include "base/list.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define NUMBER_DIGITS 12	/* NAME.000000000001.jsonl: a file that was rotated away, by its first line */

/* ---- which files ---- */

const char *history_split(const char *path, char folder[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (!slash) {
		strcpy(folder, ".");
		return path;
	}
	snprintf(folder, PATH_MAX, "%.*s", (int)(slash - path) + (slash == path), path);
	return slash + 1;
}

static bool is_rotated(const char *name, const char *instance)
{
	size_t length = strlen(instance);
	const char *rest;

	if (strncmp(name, instance, length) || name[length] != '.')
		return false;
	rest = name + length + 1;
	return strspn(rest, "0123456789") == NUMBER_DIGITS &&
	       (!strcmp(rest + NUMBER_DIGITS, ".jsonl") || !strcmp(rest + NUMBER_DIGITS, ".jsonl.gz"));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_path(struct history_files *files, const char *folder, const char *name)
{
	char **grown = list_grow(files->path, files->count, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	files->path = grown;
	if (asprintf(&files->path[files->count], "%s/%s", folder, name) < 0)
		return -ENOMEM;
	files->count++;
	return 0;
}

/* While a file is compressed, both are there: one is enough. */
static void drop_twins(struct history_files *files)
{
	size_t kept = 0;

	for (size_t i = 0; i < files->count; i++) {
		size_t length = kept ? strlen(files->path[kept - 1]) : 0;

		if (kept && !strncmp(files->path[i], files->path[kept - 1], length) &&
		    !strcmp(files->path[i] + length, ".gz"))
			free(files->path[i]);
		else
			files->path[kept++] = files->path[i];
	}
	files->count = kept;
}

int history_list(const char *path, struct history_files *ret, struct error *e)
{
	char folder[PATH_MAX];
	const char *instance = history_split(path, folder);
	struct history_files files = { 0 };
	struct dirent *entry;
	DIR *dir = opendir(folder);
	int r = 0;

	*ret = files;
	if (!dir)
		return errno == ENOENT ? 0 : error_set(e, errno, "%s: %s", folder, strerror(errno));
	while (!r && (entry = readdir(dir))) {
		if (is_rotated(entry->d_name, instance))
			r = add_path(&files, folder, entry->d_name);
	}
	closedir(dir);
	if (!r && files.count)
		qsort(files.path, files.count, sizeof(*files.path), by_name);
	if (r) {
		history_list_free(&files);
		return error_set(e, ENOMEM, "out of memory");
	}
	drop_twins(&files);
	*ret = files;
	return 0;
}

void history_list_free(struct history_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->path[i]);
	free(files->path);
	*files = (struct history_files){ 0 };
}

/* ---- their lines ---- */

/* The name with or without ".gz", since compressing may end at any time. */
static gzFile open_file(const char *path)
{
	char other[PATH_MAX + 4];
	size_t length = strlen(path);
	gzFile file = gzopen(path, "rbe");

	if (file || length + 4 > sizeof(other))
		return file;
	if (length > 3 && !strcmp(path + length - 3, ".gz"))
		snprintf(other, sizeof(other), "%.*s", (int)length - 3, path);
	else
		snprintf(other, sizeof(other), "%s.gz", path);
	return gzopen(other, "rbe");
}

int history_lines(const char *path, history_line each, void *context, struct error *e)
{
	size_t have = 0, room = HISTORY_LINE_MAX * 8;
	char *buffer = malloc(room);
	gzFile file = open_file(path);
	bool skipping = false;	/* the rest of a line that is too long */
	int r = 0, n = 0;

	if (!buffer || !file) {
		r = !buffer ? error_set(e, ENOMEM, "out of memory") :
		    errno == ENOENT ? 0 : error_set(e, errno, "%s: %s", path, strerror(errno));
		goto cleanup;
	}
	gzbuffer(file, 1 << 14);	/* what is not compressed goes past it */
	while (!r && (n = gzread(file, buffer + have, (unsigned int)(room - have))) > 0) {
		char *line = buffer, *end = buffer + have + n, *newline;

		while (!r && (newline = memchr(line, '\n', (size_t)(end - line)))) {
			*newline = '\0';
			r = each(context, skipping ? NULL : line, (size_t)(newline - line), e);
			skipping = false;
			line = newline + 1;
		}
		have = (size_t)(end - line);
		memmove(buffer, line, have);
		if (have == room) {
			skipping = true;
			have = 0;
		}
	}
	if (!r && n < 0)	/* what it held before is handed out already */
		r = each(context, NULL, 0, e);
	else if (!r && have)
		r = each(context, NULL, have, e);	/* cut off, or still being written */
cleanup:
	if (file)
		gzclose(file);
	free(buffer);
	return r;
}

/* ---- their records ---- */

/* What the repeats of a line add to it. */
struct repeat {
	uint64_t of;		/* 0: a free place */
	uint64_t count;
	int64_t last;
};

struct walk {
	const struct history_filter *filter;
	history_visit visit;
	void *context;
	uint64_t line;		/* the last one that was read: after a rotation some come again */
	bool gather;		/* only the repeats, into the table */
	bool merge;		/* the table's repeats into their lines */
	struct repeat *repeat;
	size_t count, room;	/* a power of two */
};

static struct repeat *find_repeat(struct repeat *table, size_t room, uint64_t of)
{
	size_t at = (of * 0x9e3779b97f4a7c15) & (room - 1);

	while (table[at].of && table[at].of != of)
		at = (at + 1) & (room - 1);
	return &table[at];
}

static int gather(struct walk *w, const struct history_record *record, struct error *e)
{
	struct repeat *t;

	if (!record->of)
		return 0;
	if (2 * w->count >= w->room) {
		size_t room = w->room ? 2 * w->room : 1024;

		t = calloc(room, sizeof(*t));
		if (!t)
			return error_set(e, ENOMEM, "out of memory");
		for (size_t i = 0; i < w->room; i++) {
			if (w->repeat[i].of)
				*find_repeat(t, room, w->repeat[i].of) = w->repeat[i];
		}
		free(w->repeat);
		w->repeat = t;
		w->room = room;
	}
	t = find_repeat(w->repeat, w->room, record->of);
	w->count += !t->of;
	t->of = record->of;
	t->count += record->count;
	if (record->last > t->last)
		t->last = record->last;
	return 0;
}

/* False: it is part of a record that was handed out. A repeat whose first line is gone stands for it. */
static bool merge(struct walk *w, struct history_record *record)
{
	struct repeat *t = w->room ? find_repeat(w->repeat, w->room, record->of ? record->of : record->line) : NULL;

	if (!t || !t->of)
		return true;	/* without repeats, or one that came after gathering */
	if (record->of && !t->count)
		return false;
	record->count = record->of ? t->count : record->count + t->count;
	if (t->last > record->last)
		record->last = t->last;
	t->count = 0;
	return true;
}

static int take_line(void *context, char *text, size_t length, struct error *e)
{
	struct walk *w = context;
	struct history_record record;
	const char *before;

	(void)length;
	if (!text || history_parse(text, &record, &before) || record.line <= w->line)
		return 0;	/* damaged: `events --verify` says so */
	w->line = record.line;
	if (w->gather)
		return gather(w, &record, e);
	if (w->merge && !merge(w, &record))
		return 0;
	return history_takes(w->filter, &record) ? w->visit(w->context, &record) : 0;
}

/* The file that is written now: another after each rotation. */
static ino_t now_written(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_ino;
}

static int walk_files(const char *path, struct walk *w, struct error *e)
{
	struct history_files files;
	char now[PATH_MAX + 8];
	ino_t before;
	int r;

	w->line = 0;
	snprintf(now, sizeof(now), "%s.jsonl", path);
	do {
		before = now_written(now);
		r = history_list(path, &files, e);
		for (size_t i = 0; !r && i < files.count; i++)
			r = history_lines(files.path[i], take_line, w, e);
		if (!r)
			r = history_lines(now, take_line, w, e);
		history_list_free(&files);
	} while (!r && before != now_written(now));
	return r;
}

int history_scan(const char *path, const struct history_filter *filter, history_visit visit, void *context,
		 struct error *e)
{
	struct walk w = { .filter = filter, .visit = visit, .context = context };

	return walk_files(path, &w, e);
}

int history_read(const char *path, const struct history_filter *filter, history_visit visit, void *context,
		 struct error *e)
{
	struct walk w = { .filter = filter, .visit = visit, .context = context, .gather = true };
	int r = walk_files(path, &w, e);

	w.gather = false;
	w.merge = true;
	if (!r)
		r = walk_files(path, &w, e);
	free(w.repeat);
	return r;
}
