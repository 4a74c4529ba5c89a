// SPDX-License-Identifier: MIT
#include "aws/apply.h"

#include <errno.h>
#include <string.h>

#include "aws/state.h"
#include "aws/turn.h"
#include "base/clock.h"
#include "base/proc.h"

#define PASSES 24		/* of one resource, until nothing is left to change */
#define SETTLE_SECONDS 600	/* a NAT gateway takes two or three minutes */

static int interrupted(struct error *e)
{
	return error_set(e, EINTR, "interrupted: what was made stays; the same command goes on from there");
}

/* What AWS says about the newest dead one with this tag, or where to look. */
static const char *last_words(const struct stack_view *v, const char *key, enum kind_id kind)
{
	const char *newest = "", *words = "";

	for (size_t i = 0; i < doc_length(v->lists[kind], ""); i++) {
		const doc *item = doc_at(v->lists[kind], "", i);
		const char *born = doc_text(item, kind == K_NAT ? "CreateTime" : "LaunchTime");

		if (strcmp(doc_tag(item, TAG_RESOURCE), key) || item_lives(&kinds[kind], item) ||
		    strcmp(born, newest) < 0)
			continue;
		newest = born;
		words = doc_text(item, kind == K_NAT ? "FailureMessage" : "StateReason.Message");
	}
	return *words ? words : "look at it in the AWS console";
}

/* AWS lists a new resource only after a moment, and works on some of them for minutes. */
static int wait_settled(struct stack_view *v, const char *key, enum kind_id kind, bool wanted, struct error *e)
{
	long long end = clock_monotonic() + SETTLE_SECONDS;

	for (unsigned int try = 0;; try++) {
		const struct node *n;
		int r = view_refresh(v, kind, e);

		if (r)
			return r;
		n = view_node(v, key);
		if (wanted ? n && n->found && !item_changes(&kinds[kind], n->found) : !n || (!n->found && !n->leaving))
			return 0;
		if (proc_interrupted())
			return interrupted(e);
		if (clock_monotonic() >= end)
			return error_set(e, ETIMEDOUT, "%s: %s after %d seconds: look at it in the AWS console", key,
					 wanted ? "not ready" : "not gone", SETTLE_SECONDS);
		/* A NAT gateway that failed is listed as dead: no waiting brings another. */
		if (wanted && n && !n->found && try > 6)
			return error_set(e, EIO, "%s: was made, but is gone again: %.200s", key,
					 last_words(v, key, kind));
		proc_back_off(try);
	}
}

static void show(FILE *progress, long long start, enum change_kind kind, const char *key, const char *text)
{
	long long t = clock_monotonic() - start;

	fprintf(progress, "[%2lld:%02lld] %s %-14s %s\n", t / 60, t % 60, change_mark(kind), key, text);
	fflush(progress);
}

/* Whether another look and another try can help. */
static bool worth_another(const struct aws *aws)
{
	return aws->trouble == AWS_NOT_YET || aws->trouble == AWS_IN_USE || aws->trouble == AWS_ABSENT ||
	       aws->trouble == AWS_FAULT || aws->trouble == AWS_THERE_ALREADY || aws->trouble == AWS_TOKEN_USED;
}

/* Lists show a new resource late: its id is missing in a plan, or it was made already. */
static bool ahead_of_lists(const struct change *c, bool made)
{
	for (unsigned int i = 0; i < c->args.count; i++) {
		if (strchr(c->args.words[i], '<'))
			return true;
	}
	return made && c->kind == CHANGE_MAKE;
}

static int run_change(struct stack_view *v, const struct change *c, enum kind_id kind, struct error *e)
{
	doc *answer = NULL;
	int r = aws_call(&v->aws, &c->args, c->input, &answer, e);

	if (!r && kind == K_KEY && c->kind == CHANGE_MAKE)
		r = key_save(v->stack, answer, e);
	/* As of a bucket that may not be written. */
	if (!r && doc_length(answer, "Unsuccessful"))
		r = error_set(e, EIO, "aws ec2 %s: %.300s", c->args.words[1],
			      doc_text(doc_at(answer, "Unsuccessful", 0), "Error.Message"));
	doc_free(answer);
	v->changed |= !r;
	if (r && v->aws.trouble == AWS_TOKEN_USED)
		v->attempt++;
	return r;
}

/* The list of the other kind shows what ties two resources together. */
static int refresh_after(struct stack_view *v, enum kind_id kind, struct error *e)
{
	int r = view_refresh(v, kind, e);

	if (!r && kind == K_VPC)
		r = view_refresh(v, K_SUBNET, e);
	if (!r && kind == K_SUBNET)
		r = view_refresh(v, K_ACL, e);
	if (!r && kind == K_INSTANCE)
		r = view_refresh(v, K_ADDRESS, e);
	if (!r && kind == K_INSTANCE)
		r = view_refresh(v, K_VOLUME, e);
	return r;
}

/* One look at one resource. 0: nothing (more) to do; 1: something was changed; or an error. */
static int apply_pass(struct stack_view *v, unsigned int index, FILE *progress, long long start, struct error *e)
{
	enum kind_id kind = v->nodes[index].resource->kind;
	char key[sizeof(v->nodes[index].key)];
	bool gone = false;
	int r, done = 0;

	memcpy(key, v->nodes[index].key, sizeof(key));
	view_forget_changes(v);
	v->aws.trouble = AWS_FINE;
	r = view_want(v, &v->nodes[index], e);
	for (unsigned int i = 0; !r && i < v->change_count; i++) {
		const struct change *c = &v->changes[i];
		bool made = c->kind == CHANGE_MAKE, last;

		if (!c->args.count)	/* nothing to call: a note */
			continue;
		last = made || !strcmp(c->args.words[1], "stop-instances");
		if (proc_interrupted())
			return interrupted(e);
		if (ahead_of_lists(c, v->made >> index & 1)) {
			v->aws.trouble = AWS_NOT_YET;
			return error_set(e, EAGAIN, "%s: AWS does not show all of it yet: try again in a minute", key);
		}
		show(progress, start, c->kind, key, c->text);
		r = run_change(v, c, kind, e);
		done = 1;
		gone |= c->kind == CHANGE_REMOVE;
		/* The changes after a creation were planned without its id, and those after a stop for what has
		 * stopped: look again first. */
		if (!r && made && kind == K_VPC)
			r = turn_alone(v, progress, e);
		if (!r && last) {
			r = wait_settled(v, key, kind, true, e);
			v->made |= r || !made ? 0 : 1ull << index;
			return r ? r : 1;
		}
		if (r > 0)
			return 1;
	}
	/* AWS takes its time with these, and they hold others meanwhile. */
	if (!r && gone && (kind == K_DNS_FIREWALL || kind == K_ENDPOINT))
		r = wait_settled(v, key, kind, false, e);
	else if (!r && done)
		r = refresh_after(v, kind, e);
	return r ? r : done;
}

/* Terminates the instance that --replace names, before its successor takes the address. */
static int apply_replace(struct stack_view *v, FILE *progress, long long start, struct error *e)
{
	struct node *n = v->replace ? view_node(v, v->replace) : NULL;
	char key[sizeof(n->key)];
	int r = 0;

	if (!n || !n->found)
		return 0;
	memcpy(key, n->key, sizeof(key));
	view_forget_changes(v);
	kinds[n->resource->kind].remove(v, n->found, n->key);
	v->replace = NULL;
	for (unsigned int i = 0; !r && i < v->change_count; i++) {
		show(progress, start, CHANGE_REMOVE, key, "terminate, to be made anew");
		r = run_change(v, &v->changes[i], K_INSTANCE, e);
	}
	/* Even if the list still says that it runs. */
	return r ? r : wait_settled(v, key, K_INSTANCE, false, e);
}

/* An interrupted run may have left it half done, and its predecessor may still hold the address. */
static int wait_before(struct stack_view *v, const struct node *n, FILE *progress, long long start, struct error *e)
{
	char key[sizeof(n->key)];

	memcpy(key, n->key, sizeof(key));
	if (n->found && item_changes(&kinds[n->resource->kind], n->found))
		return wait_settled(v, key, n->resource->kind, true, e);
	if (n->found || !n->leaving)
		return 0;
	show(progress, start, CHANGE_REMOVE, key, "the one before is on its way out");
	return wait_settled(v, key, n->resource->kind, false, e);
}

static int apply_node(struct stack_view *v, unsigned int index, FILE *progress, long long start, struct error *e)
{
	const struct node *n = &v->nodes[index];
	unsigned int failures = 0;
	int r;

	r = wait_before(v, n, progress, start, e);
	if (r)
		return r;
	for (unsigned int pass = 0; pass < PASSES; pass++) {
		enum kind_id kind = v->nodes[index].resource->kind;

		r = turn_hold(v, TURN_SECONDS * 3 / 4, e);
		if (r)
			return r;
		r = apply_pass(v, index, progress, start, e);
		if (!r)
			return 0;
		if (r > 0) {
			if (index >= v->count)	/* it was a surplus server and is gone */
				return 0;
			continue;
		}
		if (r == -EINTR || !worth_another(&v->aws) || ++failures > 6)
			return r;
		if (proc_back_off(failures))
			return interrupted(e);
		r = refresh_after(v, kind, e);
		if (r)
			return r;
	}
	return error_set(e, EIO, "%s: still differs after %d rounds: does something else change it?",
			 v->nodes[index].key, PASSES);
}

int stack_apply(struct stack_view *v, FILE *progress, struct error *e)
{
	long long start = clock_monotonic();
	int r = apply_replace(v, progress, start, e);

	for (unsigned int i = 0; !r && i < v->count; i++)
		r = v->nodes[i].surplus ? 0 : apply_node(v, i, progress, start, e);
	/* Then what is not wanted any more, backwards, as what needs others stands behind them. Servers are at the end
	 * of the table: no other index changes when they go. */
	for (unsigned int i = v->count; !r && i; i--)
		r = v->nodes[i - 1].surplus ? apply_node(v, i - 1, progress, start, e) : 0;
	return r;
}
