// SPDX-License-Identifier: MIT
#include "engine/questions.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "policy/address.h"

#define SECOND 1000000000ULL

static bool is_query(const struct question *q)
{
	return q->key.reason == OH_DNS_NAME_NOT_ALLOWED;
}

/* The kernel holds names last letter first. */
static void read_name(const struct oh_event *what, char ret[TARGET_NAME_MAX + 1])
{
	size_t n = strnlen(what->name, sizeof(what->name));

	if (n > TARGET_NAME_MAX)
		n = TARGET_NAME_MAX;
	for (size_t i = 0; i < n; i++)
		ret[i] = what->name[n - 1 - i];
	ret[n] = '\0';
}

static void fill(struct question *q, uint64_t now)
{
	struct target *t = &q->target;

	q->kernel.what.command[OH_COMMAND_MAX - 1] = '\0';
	q->waits = !q->kernel.denied && now < q->kernel.until;
	*t = (struct target){ .service = OH_SERVICE_TCP, .port = is_query(q) ? TARGET_PORT_DEFAULT : q->key.port };
	if (q->key.reason == OH_ADDRESS_NOT_ALLOWED) {
		t->kind = TARGET_ADDRESS;
		t->range = (struct oh_range){ .prefix = 128, .address = q->key.address };
	} else {
		t->kind = TARGET_NAME;
		read_name(&q->kernel.what, t->name);
	}
}

/* By time, and the same next to each other. */
static int by_time(const void *a, const void *b)
{
	const struct question *x = a, *y = b;

	if (x->kernel.what.time != y->kernel.what.time)
		return x->kernel.what.time < y->kernel.what.time ? -1 : 1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* Sorts them, each once: a walk over a hash that changes meets some twice. */
static size_t put_in_order(struct question *list, size_t count)
{
	size_t kept = 0;

	qsort(list, count, sizeof(*list), by_time);
	for (size_t i = 0; i < count; i++) {
		if (!kept || memcmp(&list[i].key, &list[kept - 1].key, sizeof(list[i].key)))
			list[kept++] = list[i];
	}
	return kept;
}

int questions_read(const struct engine *engine, struct questions *ret, struct error *e)
{
	struct question *list = calloc(OH_QUESTIONS_MAX, sizeof(*list));
	int fd = engine->map[ENGINE_QUESTIONS];
	uint64_t now = (uint64_t)clock_boot_ns();
	struct oh_question_key key, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &key);
	size_t count = 0;

	*ret = (struct questions){ 0 };
	if (!list)
		return error_set(e, ENOMEM, "out of memory");
	while (more && count < OH_QUESTIONS_MAX) {
		struct question *q = &list[count];

		more = !bpf_map_get_next_key(fd, &key, &next);	/* before it goes */
		q->key = key;
		if (bpf_map_lookup_elem(fd, &key, &q->kernel)) {
			if (errno != ENOENT) {
				int code = errno;

				free(list);
				return error_set(e, code, "%s: %s", engine_map_names[ENGINE_QUESTIONS],
						 strerror(code));
			}
		} else if (now < q->kernel.over) {	/* 0: a hook is just writing it */
			fill(q, now);
			count++;
		}
		key = next;
	}
	*ret = (struct questions){ .list = list, .count = put_in_order(list, count) };
	return 0;
}

void questions_free(struct questions *q)
{
	free(q->list);
	*q = (struct questions){ 0 };
}

bool question_is_about(const struct question *q, const struct target *t)
{
	if (t->service != OH_SERVICE_TCP)
		return false;
	if (!is_query(q) && (uint32_t)q->target.port - t->port > t->more)
		return false;
	if (t->kind == TARGET_NAME || t->kind == TARGET_SUFFIX)
		return q->target.kind == TARGET_NAME && target_covers(t, &q->target);
	return q->target.kind == TARGET_ADDRESS && range_contains(&t->range, &q->target.range.address);
}

int question_deny(const struct engine *engine, const struct question *q, uint64_t seconds, bool *ret_changed,
		  struct error *e)
{
	struct oh_question denied = q->kernel;

	denied.denied = 1;
	denied.over = (uint64_t)clock_boot_ns() + seconds * SECOND;
	if (bpf_map_update_elem(engine->map[ENGINE_QUESTIONS], &q->key, &denied, BPF_EXIST) && errno != ENOENT)
		return error_set(e, errno, "%s: %s", engine_map_names[ENGINE_QUESTIONS], strerror(errno));
	*ret_changed = !q->kernel.denied;
	return 0;
}

int questions_settle(const struct engine *engine, const struct target *targets, size_t count, struct error *e)
{
	struct questions questions;
	int r = questions_read(engine, &questions, e);

	for (size_t i = 0; !r && i < questions.count; i++) {
		for (size_t k = 0; !r && k < count; k++) {
			if (question_is_about(&questions.list[i], &targets[k]) &&
			    bpf_map_delete_elem(engine->map[ENGINE_QUESTIONS], &questions.list[i].key) &&
			    errno != ENOENT)
				r = error_set(e, errno, "%s: %s", engine_map_names[ENGINE_QUESTIONS],
					      strerror(errno));
		}
	}
	questions_free(&questions);
	return r;
}

/* It may be put again. */
static bool is_over(const void *key, const void *context)
{
	struct oh_question q;

	return !bpf_map_lookup_elem(*(const int *)context, key, &q) && q.over && (uint64_t)clock_boot_ns() >= q.over;
}

int questions_sweep(const struct engine *engine, struct error *e)
{
	return engine_remove_keys(engine, ENGINE_QUESTIONS, is_over, &engine->map[ENGINE_QUESTIONS], e);
}

const char *question_target(const struct question *q, char buffer[OH_TARGET_TEXT_MAX])
{
	if (q->target.port != TARGET_PORT_DEFAULT)
		return target_identity(&q->target, buffer);
	target_format(&q->target, buffer);
	return *buffer ? buffer : strcpy(buffer, ".");
}
