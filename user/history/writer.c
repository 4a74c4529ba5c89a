// SPDX-License-Identifier: MIT
#include "history/writer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fingerprint.h"
#include "engine/told.h"
#include "history/journal.h"
#include "history/log.h"
#include "history/origin.h"
#include "history/summary.h"

#define OPEN_MAX 2048		/* records that repeats are added to; a power of two */
#define QUIET 300		/* seconds without a repeat, after which a record is over, */
#define LONGEST 3600		/* or from its beginning on */
#define FIRST_WAIT 10		/* seconds until repeats are written, and then twice as many each time, */
#define LAST_WAIT 600		/* at most */
#define BUDGETS 64		/* programs whose new records are counted at once; a power of two */
#define BURST 400		/* new records of one program, */
#define RATE 5			/* and how many more each second */

/* A record that may go on. */
struct open_record {
	struct history_record *record;	/* its texts and first; NULL: free */
	uint64_t hash;
	char *fields;			/* as every line of it has them */
	uint64_t line;			/* of its first occurrence, 0: not written yet */
	uint64_t fold, taken;		/* the kernel's, and how much of its count is in here */
	uint64_t count;			/* occurrences that are not written yet, */
	int64_t first, last;		/* and when these were */
	int64_t due, wait;
};

/* New records of a program, so that one that goes through names does not fill the disk. */
struct budget {
	uint64_t who;
	int64_t at;
	uint32_t spent;
};

struct history_writer {
	const char *instance;
	char path[PATH_MAX + 64], mark[PATH_MAX + 128];
	struct config_history limits;
	const struct engine *engine;
	struct history_log log;
	struct history_origin origin;
	struct error problem;
	bool failing, open;
	int journal;
	int64_t boot_at, now, try_again, picked_up;
	struct open_record records[OPEN_MAX];
	struct budget budgets[BUDGETS];
	struct oh_folded folds[OH_FOLDS_MAX];
	uint16_t by_fold[2 * OPEN_MAX];	/* a hash table of records + 1 */
};

static void open_log(struct history_writer *w)
{
	struct error e;

	w->try_again = w->now + 10;
	w->open = !history_log_open(&w->log, w->path, w->mark, &w->limits, &e);
	if (!w->open)
		w->problem = e;
	else if (w->log.cut)
		error_warn("%s.jsonl: lines are missing at its end since it was written: see `ohguard events --verify`",
			   w->path);
	w->failing = !w->open;
	if (w->journal < 0)
		w->journal = history_journal_open();
}

int history_writer_open(const char *instance, const char *path, const char *mark, const struct config_history *limits,
			const struct engine *engine, struct history_writer **ret, struct error *e)
{
	struct history_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return error_set(e, ENOMEM, "out of memory");
	w->instance = instance;
	snprintf(w->path, sizeof(w->path), "%s", path);
	snprintf(w->mark, sizeof(w->mark), "%s", mark);
	w->limits = *limits;
	w->engine = w->origin.engine = engine;
	w->journal = -1;
	w->now = (int64_t)time(NULL);
	w->boot_at = clock_boot_at();
	open_log(w);
	*ret = w;
	return 0;
}

const char *history_writer_problem(const struct history_writer *w)
{
	return w->failing ? w->problem.text : NULL;
}

/* ---- one record ---- */

static char *fields_of(const struct history_record *record)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	history_print_fields(f, record);
	fclose(f);
	return text;
}

/* What is not written stays in the record, and is tried again when that is due. */
static void write_record(struct history_writer *w, struct open_record *o)
{
	struct history_record line = *o->record;
	struct error e;

	if (!o->count)
		return;
	line.first = o->first;
	line.last = o->last;
	line.count = o->count;
	line.of = o->line;
	o->due = w->now + o->wait;
	o->wait = 2 * o->wait < LAST_WAIT ? 2 * o->wait : LAST_WAIT;
	if (!w->open)
		return;
	w->failing = history_log_append(&w->log, &line, o->fields, &e) != 0;
	if (w->failing) {
		w->problem = e;
		return;
	}
	if (!o->line)
		o->line = line.line;
	o->count = 0;
	history_journal_send(w->journal, w->instance, &line, w->log.hash);
}

static void end_record(struct history_writer *w, struct open_record *o)
{
	write_record(w, o);
	free(o->record);
	free(o->fields);
	*o = (struct open_record){ 0 };
}

static void add(struct history_writer *w, struct open_record *o, uint64_t count, int64_t last)
{
	if (!count)
		return;
	if (!o->count)
		o->first = last;
	o->count += count;
	o->last = last > o->last ? last : o->last;
	if (!o->line && !o->due)
		write_record(w, o);
}

/* ---- which record ---- */

static bool is_of(const struct open_record *o, const struct history_record *record, uint64_t hash)
{
	return o->record && o->hash == hash && history_is_same(o->record, record);
}

/* The record's place, or one that may be taken for it: a free one, or the least recent of those that it could be at. */
static struct open_record *find_place(struct history_writer *w, const struct history_record *record, uint64_t hash)
{
	struct open_record *best = NULL;

	for (uint64_t i = 0; i < 8; i++) {
		struct open_record *o = &w->records[(hash + i) & (OPEN_MAX - 1)];

		if (is_of(o, record, hash))
			return o;
		if (!best || (best->record && (!o->record || o->last < best->last)))
			best = o;
	}
	return best;
}

static bool may_begin(struct history_writer *w, const struct history_record *r)
{
	const char *command = r->command ? r->command : "";
	const char *where = r->container ? r->container : r->cgroup ? r->cgroup : r->interface ? r->interface : "";
	uint64_t who = fingerprint_add(FINGERPRINT_START, command, strlen(command) + 1);
	struct budget *b;
	int64_t past;

	if (r->others)
		return true;
	who = fingerprint_add(who, where, strlen(where));
	b = &w->budgets[who & (BUDGETS - 1)];
	if (b->who != who)
		*b = (struct budget){ .who = who, .at = w->now };
	past = w->now - b->at;
	if (past > 0) {
		b->spent = past * RATE >= b->spent ? 0 : b->spent - (uint32_t)(past * RATE);
		b->at = w->now;
	}
	if (b->spent >= BURST)
		return false;
	b->spent++;
	return true;
}

static struct open_record *begin(struct history_writer *w, struct open_record *o, const struct history_record *record,
				 uint64_t hash)
{
	if (o->record)
		end_record(w, o);
	*o = (struct open_record){ .record = history_copy(record), .fields = fields_of(record), .hash = hash,
				   .wait = FIRST_WAIT };
	if (o->record && o->fields)
		return o;
	free(o->record);
	free(o->fields);
	*o = (struct open_record){ 0 };
	return NULL;
}

/* What is too much for one program is told as others of its place. */
static struct history_record others_of(const struct history_record *r)
{
	return (struct history_record){
		.first = r->first, .last = r->last, .count = r->count, .reason = r->reason, .hook = r->hook,
		.observed = r->observed, .others = true, .cgroup = r->cgroup, .container = r->container,
		.container_name = r->container_name, .container_by = r->container_by, .interface = r->interface,
	};
}

void history_writer_take(struct history_writer *w, const struct oh_event *event)
{
	struct history_record record;
	struct open_record *o;
	uint64_t hash, more = 1;

	history_of_event(&w->origin, event, w->boot_at, &record);
	hash = history_hash(&record);
	o = find_place(w, &record, hash);
	if (is_of(o, &record, hash)) {
		if (o->fold == event->fold && event->fold)
			more = event->count > o->taken ? event->count - o->taken : 0;
	} else {
		if (!may_begin(w, &record)) {
			record = others_of(&record);
			hash = history_hash(&record);
			o = find_place(w, &record, hash);
			event = NULL;	/* its fold is one of many */
		}
		if (!is_of(o, &record, hash))
			o = begin(w, o, &record, hash);
		if (!o)
			return;
	}
	if (event) {
		o->fold = event->fold;
		o->taken = event->count;
	}
	add(w, o, more, record.last);
}

/* ---- what the kernel counts ---- */

static void index_folds(struct history_writer *w)
{
	memset(w->by_fold, 0, sizeof(w->by_fold));
	for (size_t i = 0; i < OPEN_MAX; i++) {
		uint64_t at = w->records[i].fold * 0x9e3779b97f4a7c15 >> 32;

		if (!w->records[i].record || !w->records[i].fold)
			continue;
		while (w->by_fold[at & (2 * OPEN_MAX - 1)])
			at++;
		w->by_fold[at & (2 * OPEN_MAX - 1)] = (uint16_t)(i + 1);
	}
}

static struct open_record *find_fold(struct history_writer *w, uint64_t id)
{
	uint64_t at = id * 0x9e3779b97f4a7c15 >> 32;
	uint16_t i;

	while ((i = w->by_fold[at++ & (2 * OPEN_MAX - 1)])) {
		if (w->records[i - 1].fold == id)
			return &w->records[i - 1];
	}
	return NULL;
}

static void pick_up(struct history_writer *w)
{
	struct error e;
	int64_t since = w->picked_up;
	int count = told_read_folds(w->engine, w->folds, OH_FOLDS_MAX, &e);

	w->picked_up = clock_boot();
	if (count <= 0)
		return;
	index_folds(w);
	for (int i = 0; i < count; i++) {
		const struct oh_folded *f = &w->folds[i];
		struct open_record *o = f->last + 1 < since ? NULL : find_fold(w, f->id);

		if (!o || f->count <= o->taken)
			continue;
		add(w, o, f->count - o->taken, w->boot_at + f->last);
		o->taken = f->count;
	}
}

void history_writer_tick(struct history_writer *w, int64_t now)
{
	w->now = now;
	w->boot_at = clock_boot_at();
	if (!w->open && now >= w->try_again)
		open_log(w);
	pick_up(w);
	for (size_t i = 0; i < OPEN_MAX; i++) {
		struct open_record *o = &w->records[i];

		if (!o->record)
			continue;
		if (o->count && now >= o->due)
			write_record(w, o);
		if (!o->count && (now - o->last >= QUIET || now - o->record->first >= LONGEST))
			end_record(w, o);
	}
}

void history_writer_close(struct history_writer *w)
{
	if (!w)
		return;
	pick_up(w);
	for (size_t i = 0; i < OPEN_MAX; i++) {
		if (w->records[i].record)
			end_record(w, &w->records[i]);
	}
	if (w->journal >= 0)
		close(w->journal);
	if (w->open)
		history_log_close(&w->log);
	free(w);
}
