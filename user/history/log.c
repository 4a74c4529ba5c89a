// SPDX-License-Identifier: MIT
#include "history/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "history/reader.h"

#define MARK_SIZE (20 + 1 + 64 + 1)	/* "00000000000000001234 HASH\n" */

static void hash_line(const char *line, size_t length, char ret[HISTORY_HASH_MAX])
{
	uint8_t hash[32];

	sha256(line, length, hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(ret + 2 * i, 3, "%02x", hash[i]);
}

/* ---- the end ---- */

struct end {
	uint64_t line, first_line;
	int64_t first_time;
	char text[HISTORY_LINE_MAX];	/* of the last whole line, */
	size_t length;			/* which alone is hashed: looking for changes is `events --verify` */
};

static int see_line(void *context, char *text, size_t length, struct error *e)
{
	struct end *end = context;
	char copy[HISTORY_LINE_MAX];	/* parsing changes it */
	struct history_record record;
	const char *before;

	(void)e;
	if (!text || length >= sizeof(copy))
		return 0;
	memcpy(copy, text, length + 1);
	if (history_parse(copy, &record, &before))
		return 0;
	end->line = record.line;
	end->length = length;
	memcpy(end->text, text, length);
	if (!end->first_line) {
		end->first_line = record.line;
		end->first_time = record.first;
	}
	return 0;
}

/* The last whole line: of the file that is written now, or else of the newest of the others. */
static int find_end(struct history_log *log, struct error *e)
{
	struct end now = { 0 }, older = { 0 }, *last;
	struct history_files files;
	int r = history_lines(log->now, see_line, &now, e);

	if (!r && !now.line) {
		r = history_list(log->base, &files, e);
		for (size_t i = files.count; !r && i > 0 && !older.line; i--)
			r = history_lines(files.path[i - 1], see_line, &older, e);
		history_list_free(&files);
	}
	last = now.line ? &now : &older;
	log->line = last->line;
	log->first_line = now.first_line;
	log->first_time = now.first_time;
	if (last->line)
		hash_line(last->text, last->length, log->hash);
	return r;
}

static void parse_mark(const char text[MARK_SIZE + 1], uint64_t *ret_line, char ret_hash[HISTORY_HASH_MAX])
{
	if (sscanf(text, "%" SCNu64 " %64[0-9a-f]", ret_line, ret_hash) != 2)
		*ret_line = 0;
}

/* So that nobody can cut the end off and have the rest pass for the whole. */
static int open_mark(struct history_log *log, const char *path, struct error *e)
{
	char text[MARK_SIZE + 1] = "", hash[HISTORY_HASH_MAX] = "";
	uint64_t line = 0;

	log->mark = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log->mark < 0)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	if (pread(log->mark, text, MARK_SIZE, 0) == MARK_SIZE)
		parse_mark(text, &line, hash);
	if (line > log->line) {
		log->line = line;
		strcpy(log->hash, hash);
		log->cut = true;
	}
	return 0;
}

/* A part of a line gets its newline, so that the next one is whole. */
static int end_torn_line(struct history_log *log, struct error *e)
{
	char last;

	log->size = lseek(log->file, 0, SEEK_END);
	if (log->size <= 0 || pread(log->file, &last, 1, log->size - 1) != 1 || last == '\n')
		return 0;
	if (write(log->file, "\n", 1) != 1)
		return error_set(e, errno, "%s: %s", log->now, strerror(errno));
	log->size++;
	return 0;
}

static int open_now(struct history_log *log, struct error *e)
{
	log->file = open(log->now, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (log->file < 0)
		return error_set(e, errno, "%s: %s", log->now, strerror(errno));
	log->size = lseek(log->file, 0, SEEK_END);
	return 0;
}

int history_log_open(struct history_log *log, const char *path, const char *mark, const struct config_history *limits,
		     struct error *e)
{
	char folder[PATH_MAX];
	int r;

	*log = (struct history_log){ .file = -1, .mark = -1, .limits = *limits };
	snprintf(log->base, sizeof(log->base), "%s", path);
	snprintf(log->now, sizeof(log->now), "%s.jsonl", path);
	history_split(path, folder);
	r = file_make_folder(folder, 0750, e);
	if (!r)
		r = open_now(log, e);
	if (!r)
		r = end_torn_line(log, e);
	if (!r)
		r = find_end(log, e);
	if (!r)
		r = open_mark(log, mark, e);
	if (r)
		history_log_close(log);
	return r;
}

void history_log_close(struct history_log *log)
{
	if (log->file >= 0)
		close(log->file);
	if (log->mark >= 0)
		close(log->mark);
	log->file = log->mark = -1;
}

/* ---- rotation ---- */

static bool compress_file(const char *path)
{
	char to[PATH_MAX + 128], temporary[PATH_MAX + 128], buffer[65536];
	int from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), fd;
	gzFile out;
	ssize_t n;
	bool good;

	snprintf(to, sizeof(to), "%s.gz", path);
	snprintf(temporary, sizeof(temporary), "%s.gz.new", path);
	fd = from < 0 ? -1 : open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	out = fd < 0 ? NULL : gzdopen(dup(fd), "wb1");
	good = out != NULL;
	while (good && (n = read(from, buffer, sizeof(buffer))) != 0)
		good = n > 0 && gzwrite(out, buffer, (unsigned int)n) == n;
	good = out && gzclose(out) == Z_OK && good && !fsync(fd) && !rename(temporary, to) && !unlink(path);
	if (!good && fd >= 0)
		unlink(temporary);
	if (fd >= 0)
		close(fd);
	if (from >= 0)
		close(from);
	return good;
}

/* Compresses what is not, also what a crash has left, and removes what is too old or too much. */
static void tidy(const struct history_log *log)
{
	struct history_files files;
	struct error e;
	struct stat st;

	if (history_list(log->base, &files, &e))
		return;
	for (size_t i = 0; i < files.count; i++) {
		size_t length = strlen(files.path[i]);

		if (i + log->limits.files < files.count ||
		    (!stat(files.path[i], &st) && st.st_mtime < time(NULL) - (time_t)log->limits.keep))
			unlink(files.path[i]);
		else if (strcmp(files.path[i] + length - 3, ".gz"))
			compress_file(files.path[i]);
	}
	history_list_free(&files);
}

/* In a child of its own: the refused names' askers do not wait for it. */
static void tidy_aside(const struct history_log *log)
{
	pid_t child = fork();

	if (child)
		return;
	if (nice(19) < 0)
		errno = 0;
	fdatasync(log->file);
	tidy(log);
	_exit(0);
}

/* On failure what is written now goes on to grow. */
static void rotate(struct history_log *log, int64_t now)
{
	char old[PATH_MAX + 128];
	struct error e;
	int file = log->file;

	while (waitpid(-1, NULL, WNOHANG) > 0)	/* the last rotation's child */
		;
	snprintf(old, sizeof(old), "%s.%012" PRIu64 ".jsonl", log->base, log->first_line);
	if (rename(log->now, old) || open_now(log, &e)) {
		log->file = file;
		log->not_before = now + 60;
		return;
	}
	close(file);
	log->first_line = 0;
	tidy_aside(log);
}

/* ---- writing ---- */

static int write_whole(struct history_log *log, const char *text, size_t length, struct error *e)
{
	ssize_t n = write(log->file, text, length);

	if (n == (ssize_t)length) {
		log->size += n;
		return 0;
	}
	if (n >= 0)
		errno = ENOSPC;
	n = errno;
	if (ftruncate(log->file, log->size))	/* a torn line: the next one begins behind it */
		end_torn_line(log, e);
	return error_set(e, (int)n, "%s: %s", log->now, strerror((int)n));
}

int history_log_append(struct history_log *log, struct history_record *record, const char *fields, struct error *e)
{
	char first[TEXT_TIME_MAX], last[TEXT_TIME_MAX], line[HISTORY_LINE_MAX], of[40] = "", mark[MARK_SIZE + 1];
	int length, r;

	if (log->first_line && record->last >= log->not_before &&
	    (log->size >= log->limits.file_size || record->last - log->first_time >= log->limits.file_age))
		rotate(log, record->last);
	if (record->of)
		snprintf(of, sizeof(of), "\"of\": %" PRIu64 ", ", record->of);
	record->line = log->line + 1;
	length = snprintf(line, sizeof(line), "{\"line\": %" PRIu64 ", %s\"first\": \"%s\", \"last\": \"%s\", "
			  "\"count\": %" PRIu64 ", %s, \"before\": \"%s\"}\n", record->line, of,
			  text_time(record->first, first), text_time(record->last, last), record->count, fields,
			  log->hash);
	if (length < 0 || (size_t)length >= sizeof(line))
		return error_set(e, EMSGSIZE, "a line of the history is too long");
	r = write_whole(log, line, (size_t)length, e);
	if (r)
		return r;
	log->line = record->line;
	hash_line(line, (size_t)length - 1, log->hash);
	if (!log->first_line) {
		log->first_line = record->line;
		log->first_time = record->first;
	}
	snprintf(mark, sizeof(mark), "%020" PRIu64 " %s\n", log->line, log->hash);
	if (pwrite(log->mark, mark, MARK_SIZE, 0) != MARK_SIZE)
		errno = 0;	/* the next one will say how far it is */
	return 0;
}

/* ---- looking for what was changed ---- */

struct chain {
	struct history_verdict *verdict;
	const char *path;
	uint64_t number;		/* of lines in this file */
	uint64_t line;			/* of the last whole one */
	char hash[HISTORY_HASH_MAX];
	uint64_t mark;			/* the end as it is kept elsewhere */
	char mark_hash[HISTORY_HASH_MAX];
	bool marked;			/* the mark's line was seen as it says */
};

static int broken(struct chain *c, struct error *e, const char *what)
{
	c->verdict->broken = true;
	return error_set(e, EBADMSG, "%s: line %" PRIu64 ": %s", c->path, c->number, what);
}

static int check_line(void *context, char *text, size_t length, struct error *e)
{
	struct chain *c = context;
	struct history_record record;
	char hash[HISTORY_HASH_MAX];
	const char *before;

	c->number++;
	if (text)
		hash_line(text, length, hash);
	if (!text || history_parse(text, &record, &before) || !before) {
		c->verdict->torn++;
		return 0;
	}
	if (!c->line && c->verdict->torn && record.line != 1)
		return broken(c, e, "what is before it was changed");
	if (!c->line)
		c->verdict->first = record.line;
	else if (record.line != c->line + 1)
		return broken(c, e, "lines are missing before it, or were put there");
	else if (strcmp(before, c->hash))
		return broken(c, e, "what is before it was changed");
	if (record.line == 1 && *before)
		return broken(c, e, "it is the first one, and names one before it");
	c->line = record.line;
	c->verdict->lines++;
	strcpy(c->hash, hash);
	if (c->line == c->mark) {
		c->marked = true;
		if (strcmp(hash, c->mark_hash))
			return broken(c, e, "it was changed");
	}
	return 0;
}

int history_verify(const char *path, const char *mark, struct history_verdict *ret, struct error *e)
{
	char now[PATH_MAX + 8], text[MARK_SIZE + 1] = "";
	struct chain c = { .verdict = ret, .path = now };
	struct history_files files;
	FILE *f = fopen(mark, "re");
	int r;

	*ret = (struct history_verdict){ 0 };
	if (f) {
		if (fread(text, 1, MARK_SIZE, f) == MARK_SIZE)
			parse_mark(text, &c.mark, c.mark_hash);
		fclose(f);
	}
	snprintf(now, sizeof(now), "%s.jsonl", path);
	r = history_list(path, &files, e);
	for (size_t i = 0; !r && i <= files.count; i++) {
		c.path = i < files.count ? files.path[i] : now;
		c.number = 0;
		r = history_lines(c.path, check_line, &c, e);
	}
	if (!r && c.mark && !c.marked) {
		c.path = now;
		r = broken(&c, e, "the lines that followed it were cut off");
	}
	history_list_free(&files);
	return ret->broken ? 0 : r;
}
