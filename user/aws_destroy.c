#include <errno.h>
#include <string.h>
#include <time.h>

#include "aws_apply.h"
#include "aws_state.h"
#include "proc.h"
#include "text.h"

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

struct destroy {
	struct stack_view *v;
	FILE *progress;
	long long start, end;
	unsigned int failures;
};

static void show(struct destroy *d, const char *key, const char *title, const char *text)
{
	long long t = now() - d->start;

	fprintf(d->progress, "[%2lld:%02lld] %-14s %s %s\n", t / 60, t % 60, key, title, text);
	fflush(d->progress);
}

unsigned int destroy_list(struct stack_view *v, FILE *out)
{
	unsigned int count = 0;

	for (int kind = KINDS - 1; kind >= 0; kind--) {
		for (size_t i = 0; i < doc_length(v->lists[kind], ""); i++) {
			const doc *item = doc_at(v->lists[kind], "", i);

			if (!item_lives(&kinds[kind], item))
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

/* Who is in a subnet or VPC that cannot be removed. */
static void name_holders(struct destroy *d, enum kind_id kind, const char *id)
{
	char filter[96];
	struct error e;
	doc *list = NULL;

	if (kind != K_SUBNET && kind != K_VPC && kind != K_GROUP)
		return;
	snprintf(filter, sizeof(filter), "Name=%s,Values=%.60s", kind == K_SUBNET ? "subnet-id" : kind == K_VPC ?
		 "vpc-id" : "group-id", id);
	if (aws_read(&d->v->aws, &list, &e, "ec2 describe-network-interfaces --query NetworkInterfaces[] --filters",
		     filter))
		return;
	for (size_t i = 0; i < doc_length(list, "") && i < 5; i++) {
		const doc *item = doc_at(list, "", i);
		char text[256];

		snprintf(text, sizeof(text), "%s (%s, %s)", doc_text(item, "NetworkInterfaceId"),
			 doc_text(item, "Description"), doc_text(item, "Status"));
		fputs("          held by interface ", d->progress);
		text_print(d->progress, text);
		fputc('\n', d->progress);
	}
	doc_free(list);
}

/* 1, 2, 4, 8 seconds, and so on. */
static bool pause_before(unsigned int try)
{
	return proc_sleep(try < 3 ? 1000u << try : 8000);
}

/* Runs the calls that remove one thing; waits while it is in use. -EINTR, or 0: what failed is counted and said. */
static int remove_item(struct destroy *d, enum kind_id kind, const doc *item, struct error *e)
{
	struct stack_view *v = d->v;
	char key[64], id[64];
	int r = 0;

	snprintf(key, sizeof(key), "%s", doc_tag(item, TAG_RESOURCE));
	snprintf(id, sizeof(id), "%s", doc_text(item, kinds[kind].id));
	view_forget_changes(v);
	kinds[kind].remove(v, item, *key ? key : "?");
	show(d, key, kinds[kind].title, id);
	for (unsigned int i = 0; i < v->change_count; i++) {
		for (unsigned int try = 0;; try++) {
			r = aws_call(&v->aws, &v->changes[i].args, NULL, NULL, e);
			if (!r || v->aws.trouble == AWS_ABSENT)
				break;
			if ((v->aws.trouble != AWS_IN_USE && v->aws.trouble != AWS_NOT_YET) || now() >= d->end) {
				d->failures++;
				show(d, key, "NOT removed:", e->text);
				if (v->aws.trouble == AWS_IN_USE)
					name_holders(d, kind, id);
				/* Without these nothing else will work either. */
				return v->aws.trouble == AWS_CREDENTIALS || v->aws.trouble == AWS_UNREACHABLE ? r : 0;
			}
			if (pause_before(try))
				return -EINTR;
		}
		if (proc_interrupted())
			return -EINTR;
	}
	return 0;
}

static bool any_leaving(const struct stack_view *v, enum kind_id kind)
{
	for (size_t i = 0; i < doc_length(v->lists[kind], ""); i++) {
		if (item_leaves(&kinds[kind], doc_at(v->lists[kind], "", i)))
			return true;
	}
	return false;
}

/* Instances and NAT gateways hold interfaces and addresses until they are really gone. */
static int wait_gone(struct destroy *d, enum kind_id kind, struct error *e)
{
	bool said = false;

	for (unsigned int try = 0;; try++) {
		/* Only the list: of two that carry one tag both go. */
		int r = view_list(d->v, kind, e);

		if (r)
			return r;
		if (!any_leaving(d->v, kind) || now() >= d->end)
			return 0;
		if (!said)
			show(d, "", kinds[kind].title, "on its way out");
		said = true;
		if (pause_before(try))
			return -EINTR;
	}
}

static int destroy_kind(struct destroy *d, enum kind_id kind, struct error *e)
{
	const doc *list = d->v->lists[kind];

	/* From the end: of two groups the later one names the earlier one in its rules. */
	for (size_t i = doc_length(list, ""); i > 0; i--) {
		const doc *item = doc_at(list, "", i - 1);
		int r;

		if (!item_lives(&kinds[kind], item))
			continue;
		r = remove_item(d, kind, item, e);
		if (r)
			return r;
	}
	return kinds[kind].leaving ? wait_gone(d, kind, e) : 0;
}

int stack_destroy(struct stack_view *v, unsigned int wait, FILE *progress, struct error *e)
{
	struct destroy d = { .v = v, .progress = progress, .start = now(), .end = now() + wait };
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
