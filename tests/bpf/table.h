/* SPDX-License-Identifier: MIT */
/* Tables of packets: each row says what must come of it, and every trace that a verdict leaves is compared. */
#ifndef OHGUARD_TEST_TABLE_H
#define OHGUARD_TEST_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "lab.h"
#include "base/reason.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"	/* a row leaves out what is zero */

/* How much of a refused packet its event can tell. */
enum seen { SEEN_ALL, SEEN_ADDRESSES, SEEN_NOTHING };

struct row {
	const char *name;
	struct packet packet;
	unsigned int host;		/* which of the hosts it goes to, over IPv4 and IPv6 alike; 0: packet.to */
	enum oh_reason reason;
	__u32 target;			/* whose counter rises, 0: none's */
	enum seen seen;
	unsigned int told;		/* the protocol that the event tells; 0: the packet's, ANY: another row asks */
};

#define ANY 256

struct hosts {
	const char *address[2];		/* IPv4, IPv6 */
	const char *from[2];		/* NULL: the usual */
};

/* Under what a table is run. */
enum mode { MODE_ENFORCE, MODE_OBSERVE, MODE_LOCKDOWN, MODE_LOOPBACK };

static const __u32 watched_targets[] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, OH_TARGETS_MAX - 1
};
#define WATCHED (sizeof(watched_targets) / sizeof(*watched_targets))

static unsigned int packets_judged;

static inline bool table_fail(const char *name, const struct frame *f, const char *what, long long got, long long want)
{
	fprintf(stderr, "%s (IPv%d): %s: %lld, not %lld\n", name, f->byte[ETHERNET] >> 4, what, got, want);
	return false;
}

/* What the row's reason becomes in another mode: rules 1 to 3 and the parser need no policy. */
static inline enum oh_reason reason_in(enum mode mode, enum oh_reason reason)
{
	if (mode == MODE_LOOPBACK)
		return OH_LOOPBACK;
	if (mode != MODE_LOCKDOWN || reason <= OH_INBOUND_REPLY || reason == OH_PACKET_MALFORMED ||
	    reason == OH_FRAGMENT || reason == OH_SOURCE_ROUTE)
		return reason;
	return OH_LOCKDOWN;
}

static inline bool check_counters(const char *name, const struct frame *f, const struct outcome *o,
	unsigned int counter)
{
	for (unsigned int i = 0; i < OH_COUNTS; i++) {
		unsigned long long packets = i == counter, bytes = packets * (f->length - ETHERNET);
		char what[96];

		snprintf(what, sizeof(what), "counter %s", reason_name(i) ? reason_name(i) : "without a name");
		if (o->counted[i].packets != packets)
			return table_fail(name, f, what, (long long)o->counted[i].packets, (long long)packets);
		if (o->counted[i].bytes != bytes)
			return table_fail(name, f, what, (long long)o->counted[i].bytes, (long long)bytes);
	}
	return true;
}

static inline bool check_use(const char *name, const struct frame *f, const struct oh_use *before,
			     const struct oh_use *after, __u32 target)
{
	for (size_t i = 0; i < WATCHED; i++) {
		bool its = watched_targets[i] == target;

		if (after[i].packets - before[i].packets != its)
			return table_fail(name, f, "packets of a target", watched_targets[i], target);
		if (after[i].bytes - before[i].bytes != (its ? f->length - ETHERNET : 0))
			return table_fail(name, f, "bytes of a target", watched_targets[i], target);
		if (after[i].hits - before[i].hits != its)
			return table_fail(name, f, "hits of a target", watched_targets[i], target);
	}
	return true;
}

static inline bool check_event(const struct lab *lab, const struct row *row, const struct frame *f,
			       enum oh_reason reason, bool observe, __u64 not_before)
{
	struct oh_event want = { .hook = OH_HOOK_EGRESS, .reason = (__u8)reason, .observed = observe };
	struct timespec now;

	if (row->seen != SEEN_NOTHING) {
		want.source = f->source;
		want.destination = f->destination;
		want.protocol = (__u8)(row->told ? row->told : f->protocol);
	}
	if (row->seen == SEEN_ALL) {
		want.source_port = f->source_port;
		want.destination_port = f->destination_port;
	}
	if (row->told == ANY)
		want.protocol = lab->event.protocol;
	clock_gettime(CLOCK_BOOTTIME, &now);
	if (lab->event.time < not_before || lab->event.time > (__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec)
		return table_fail(row->name, f, "time of the event", (long long)lab->event.time, (long long)not_before);
	want.time = want.fold = lab->event.time;
	want.count = 1;
	want.reply = lab->event.reply;	/* a test of its own */
	for (size_t i = 0; i < sizeof(want); i++) {
		if (((const __u8 *)&want)[i] != ((const __u8 *)&lab->event)[i]) {
			char what[64];

			snprintf(what, sizeof(what), "byte %zu of the event", i);
			return table_fail(row->name, f, what, ((const __u8 *)&lab->event)[i], ((const __u8 *)&want)[i]);
		}
	}
	return true;
}

static inline void read_uses(const struct lab *lab, struct oh_use uses[WATCHED])
{
	struct error e;

	for (size_t i = 0; i < WATCHED; i++) {
		if (engine_read_use(&lab->engine, watched_targets[i], &uses[i], &e))
			abort();
	}
}

/* Some kernels' test run makes no packet that is shorter than its IP header. */
static inline bool may_be_unmade(const struct frame *f)
{
	size_t least = f->byte[12] == 0x86 ? 40 : 20;

	return f->length < ETHERNET + least;
}

/* Runs the frame and compares all that came of it with the row. */
static inline bool check_frame(struct lab *lab, const struct row *row, const struct frame *f, enum mode mode)
{
	enum oh_reason reason = reason_in(mode, row->reason);
	bool refused = reason >= OH_REASON_FIRST_REFUSAL, passes = !refused || mode == MODE_OBSERVE;
	struct oh_use before[WATCHED], after[WATCHED];
	struct timespec start;
	struct outcome o;
	int r;

	clock_gettime(CLOCK_BOOTTIME, &start);
	read_uses(lab, before);
	r = lab_run_on(lab, mode == MODE_LOOPBACK ? 1 : lab->device, f, &o);
	if (r == -EINVAL && may_be_unmade(f)) {
		lab->unmade++;
		return true;
	}
	if (r)
		return table_fail(row->name, f, "the test run", r, 0);
	packets_judged++;
	read_uses(lab, after);
	if (o.verdict != passes)
		return table_fail(row->name, f, "verdict", o.verdict, passes);
	if (!check_counters(row->name, f, &o, reason + (refused && mode == MODE_OBSERVE ? OH_COUNT_OBSERVED : 0)) ||
	    !check_use(row->name, f, before, after, reason == row->reason ? row->target : 0))
		return false;
	if (lab->events != refused)
		return table_fail(row->name, f, "events", lab->events, refused);
	return !refused || check_event(lab, row, f, reason, mode == MODE_OBSERVE,
				       (__u64)start.tv_sec * 1000000000 + (__u64)start.tv_nsec);
}

static inline bool check_packet(struct lab *lab, const struct row *row, const struct packet *p, enum mode mode)
{
	struct frame f;

	packet_build(p, &f);
	return check_frame(lab, row, &f, mode);
}

/* Runs each row, and fails after the last if one was wrong. A row with a host runs over IPv4 and over IPv6. */
static inline void run_table(struct lab *lab, const struct row *rows, size_t count, const struct hosts *hosts,
			     enum mode mode)
{
	unsigned int wrong = 0;

	for (size_t i = 0; i < count; i++) {
		for (int six = 0; six < (rows[i].host ? 2 : 1); six++) {
			struct packet p = rows[i].packet;

			if (rows[i].host) {
				p.to = hosts[rows[i].host].address[six];
				p.from = hosts[rows[i].host].from[six];
			}
			wrong += !check_packet(lab, &rows[i], &p, mode);
		}
	}
	assert_int_equal(wrong, 0);
}

#define RUN_TABLE(lab, rows, hosts, mode) run_table(lab, rows, sizeof(rows) / sizeof(*(rows)), hosts, mode)

/* Starts a lab or ends the program: nothing could be tested without. A kernel or user that cannot is no success. */
static inline void table_lab(struct lab *lab, const struct config *c, bool observe)
{
	struct error e;

	if (lab_start(lab, c, observe, NULL, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
}

static inline int table_end(int failed, const struct lab *lab)
{
	fprintf(stderr, "%u packets judged\n", packets_judged);
	if (lab->unmade)
		fprintf(stderr, "%u packets shorter than an IP header skipped: this kernel's test run makes none\n",
			lab->unmade);
	return failed;
}

#endif
