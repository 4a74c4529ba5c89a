// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/apply.h"
#include "aws/state.h"
#include "aws/turn.h"
#include "base/clock.h"
#include "base/proc.h"
#include "base/text.h"

struct destroy {
	struct stack_view *v;
	FILE *progress;
	long long start, end;
	unsigned int failures;
};

/* A line after a clock, or after as wide a blank. Its text comes from AWS, where others write tags too. */
static void line(FILE *out, const char *key, const char *what, const char *text)
{
	text_print(out, key);
	fprintf(out, "%*s %s ", (int)(strlen(key) < 14 ? 14 - strlen(key) : 0), "", what);
	text_print(out, text);
	fputc('\n', out);
}

static void show(struct destroy *d, const char *key, const char *title, const char *text)
{
	long long t = clock_monotonic() - d->start;

	fprintf(d->progress, "[%2lld:%02lld] ", t / 60, t % 60);
	line(d->progress, key, title, text);
	fflush(d->progress);
}

unsigned int destroy_list(struct stack_view *v, FILE *out)
{
	unsigned int count = 0;

	for (int kind = KINDS - 1; kind >= 0; kind--) {
		for (size_t i = 0; i < doc_length(v->lists[kind], ""); i++) {
			const doc *item = doc_at(v->lists[kind], "", i);

			if (!item_lives(&kinds[kind], item) ||
			    (v->keep_state && item_is_state((enum kind_id)kind, item)))
				continue;
			count++;
			if (!out)
				continue;
			fprintf(out, "- %-17s ", kinds[kind].title);
			text_print(out, doc_text(item, kinds[kind].id));
			fputs("  ", out);
			text_print(out, doc_tag(item, TAG_RESOURCE));
			fputc('\n', out);
		}
	}
	return count;
}

static void not_removed(FILE *out, const char *key, const char *why)
{
	fputs("        ", out);
	line(out, key, "NOT removed:", why);
}

#define GROUPS "ec2 describe-security-groups --query SecurityGroups[?GroupName!='default'] --filters"

/* What can hold a subnet, VPC or group that is to be removed, and how it is found by that one's id. */
static const struct {
	const char *title, *words, *id, *what, *state, *of_subnet, *of_vpc, *of_group;
} holders[] = {
	{ "interface", "ec2 describe-network-interfaces --query NetworkInterfaces[] --filters", "NetworkInterfaceId",
	  "Description", "Status", "subnet-id", "vpc-id", "group-id" },
	{ "endpoint", "ec2 describe-vpc-endpoints --query VpcEndpoints[] --filters", "VpcEndpointId", "ServiceName",
	  "State", NULL, "vpc-id", NULL },
	{ "security group", GROUPS, "GroupId", "GroupName", "Description", NULL, "vpc-id", "ip-permission.group-id" },
	{ "security group", GROUPS, "GroupId", "GroupName", "Description", NULL, NULL,
	  "egress.ip-permission.group-id" },
};

static void name_holders(struct stack_view *v, enum kind_id kind, const char *id, FILE *out)
{
	char filter[96], text[256];
	struct error e;

	for (size_t h = 0; h < sizeof(holders) / sizeof(*holders); h++) {
		const char *by = kind == K_SUBNET ? holders[h].of_subnet : kind == K_VPC ? holders[h].of_vpc :
			kind == K_GROUP ? holders[h].of_group : NULL;
		doc *list = NULL;

		snprintf(filter, sizeof(filter), "Name=%s,Values=%.48s", by ? by : "", id);
		if (!by || aws_read(&v->aws, &list, &e, holders[h].words, filter))
			continue;
		for (size_t i = 0; i < doc_length(list, "") && i < 5; i++) {
			const doc *item = doc_at(list, "", i);

			snprintf(text, sizeof(text), "%s %s (%s, %s)", holders[h].title, doc_text(item, holders[h].id),
				 doc_text(item, holders[h].what), doc_text(item, holders[h].state));
			fputs("        ", out);
			line(out, "", "held by", text);
		}
		doc_free(list);
	}
}

/* Runs the calls that remove one resource; any of them may find it gone. */
static int remove_item(struct stack_view *v, enum kind_id kind, const doc *item, struct error *e)
{
	const char *key = doc_tag(item, TAG_RESOURCE);

	view_forget_changes(v);
	kinds[kind].remove(v, item, *key ? key : "?");
	for (unsigned int i = 0; i < v->change_count; i++) {
		int r = aws_call(&v->aws, &v->changes[i].args, NULL, NULL, e);

		if (r && v->aws.trouble != AWS_ABSENT)
			return r;
		v->changed |= !r;
		if (proc_interrupted())
			return -EINTR;
	}
	return 0;
}

/* What one look at a kind found, and what came of it. */
struct tally {
	unsigned int left;	/* still listed, alive or being removed */
	unsigned int removed;	/* of these, now */
	unsigned int refused;	/* of these: waiting does not help */
	unsigned int leaving;
	FILE *why;		/* a line for each that is left */
};

/* Tries each once. */
static int try_kind(struct destroy *d, enum kind_id kind, bool first, bool last, struct tally *t, struct error *e)
{
	struct stack_view *v = d->v;
	int r = view_list(v, kind, e);	/* only the list: if two carry one tag, both go */

	for (size_t i = doc_length(v->lists[kind], ""); !r && i > 0; i--) {
		const doc *item = doc_at(v->lists[kind], "", i - 1);
		const char *id = doc_text(item, kinds[kind].id), *key = doc_tag(item, TAG_RESOURCE);
		bool waits;

		if (v->keep_state && item_is_state(kind, item))
			continue;
		if (item_leaves(&kinds[kind], item)) {
			t->left++;
			t->leaving++;
			not_removed(t->why, key, "still on its way out");
			continue;
		}
		if (!item_lives(&kinds[kind], item))
			continue;
		t->left++;
		if (first)
			show(d, key, kinds[kind].title, id);
		r = remove_item(v, kind, item, e);
		if (!r) {
			t->removed++;
			not_removed(t->why, key, "it is still listed");
			continue;
		}
		/* Without these nothing else will work either. */
		if (r == -EINTR || v->aws.trouble == AWS_CREDENTIALS || v->aws.trouble == AWS_UNREACHABLE)
			return r;
		waits = v->aws.trouble == AWS_IN_USE || v->aws.trouble == AWS_NOT_YET;
		t->refused += !waits;
		not_removed(t->why, key, e->text);
		/* At once: what others made does not go away by waiting. */
		if (waits && (first || last))
			name_holders(v, kind, id, last ? t->why : d->progress);
		r = 0;
	}
	return r;
}

/* Until none is listed any more. AWS confirms a deletion before it is visible everywhere, and refuses one that
 * something else still refers to: instances and NAT gateways hold interfaces and addresses until they are gone. */
static int destroy_kind(struct destroy *d, enum kind_id kind, struct error *e)
{
	bool said = false;

	for (unsigned int try = 0;; try++) {
		bool last = try && clock_monotonic() >= d->end, done;
		struct tally t = { 0 };
		char *why = NULL;
		size_t size;
		int r;

		t.why = open_memstream(&why, &size);
		if (!t.why)
			return error_set(e, ENOMEM, "out of memory");
		r = turn_hold(d->v, TURN_SECONDS * 3 / 4, e);
		if (!r)
			r = try_kind(d, kind, !try, last, &t, e);
		done = r || last || t.left == t.refused;
		if (!fclose(t.why) && !r && done)
			fputs(why, d->progress);
		free(why);
		if (done) {
			d->failures += t.left;
			return r;
		}
		if (t.leaving && !said)
			show(d, "", kinds[kind].title, "on its way out");
		said |= t.leaving;
		if ((try || t.left > t.removed) && proc_back_off(try))
			return -EINTR;
	}
}

int stack_destroy(struct stack_view *v, unsigned int wait, FILE *progress, struct error *e)
{
	struct destroy d = { .v = v, .progress = progress, .start = clock_monotonic(),
			     .end = clock_monotonic() + wait };
	int r = 0;

	for (int kind = KINDS - 1; !r && kind >= 0; kind--)
		r = destroy_kind(&d, (enum kind_id)kind, e);
	view_forget_changes(v);
	if (r == -EINTR)
		return error_set(e, EINTR, "interrupted: the same command goes on from there");
	if (r)
		return r;
	if (d.failures)
		return error_set(e, EBUSY, "%u could not be removed: see above, then run it again", d.failures);
	return state_remove(v->stack, e);
}
