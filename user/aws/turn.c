// SPDX-License-Identifier: MIT
/* AWS has no compare-and-set for tags. So each run has a tag of its own, `ohguard:lock:NUMBER`, and does: look, write,
 * look again. Who then sees another one takes his own away: of two that overlap, at least one sees the other, whatever
 * their clocks say. If both did, both wait for a random time. Locks lapse by the time in them, in case of a crash. */
#include "aws/turn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fingerprint.h"
#include "base/proc.h"
#include "base/text.h"

#define TAG_LOCK "ohguard:lock:"
#define UNTIL " until "
#define TRIES 5
#define LOOKS 5		/* until a list shows what was just written */

/* The same for each run on one state folder of one machine, and for no copy of it. */
static void name_turn(struct stack_view *v, int fd)
{
	char host[64] = "";
	struct stat st = { 0 };
	uint64_t print;

	gethostname(host, sizeof(host) - 1);
	fstat(fd, &st);
	print = fingerprint_add(FINGERPRINT_START, host, strlen(host));
	print = fingerprint_add(print, &st.st_dev, sizeof(st.st_dev));
	print = fingerprint_add(print, &st.st_ino, sizeof(st.st_ino));
	snprintf(v->turn_tag, sizeof(v->turn_tag), TAG_LOCK "%016llx", (unsigned long long)print);
}

/* USER@HOST until TIME, of characters that a tag and the command line take. */
static void turn_text(int64_t end, char ret[128])
{
	const char *user = getenv("USER");
	char host[64] = "", time_text[TEXT_TIME_MAX];

	gethostname(host, sizeof(host) - 1);
	snprintf(ret, 128, "%.31s@%.40s", user ? user : "?", host);
	for (char *c = ret; *c; c++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-", *c))
			*c = '-';
	}
	snprintf(ret + strlen(ret), 128 - strlen(ret), UNTIL "%s", text_time(end, time_text));
}

void turn_words(struct stack_view *v, char ret[192])
{
	char text[128];

	*ret = '\0';
	if (!*v->turn_tag)
		return;
	turn_text(time(NULL) + TURN_SECONDS, text);
	snprintf(ret, 192, ",{Key='%s',Value='%s'}", v->turn_tag, text);
}

/* One that cannot be read never lapses. */
static int64_t end_of(const char *text)
{
	const char *until = strstr(text, UNTIL);
	int64_t end;

	return until && !text_parse_time(until + strlen(UNTIL), &end) ? end : INT64_MAX;
}

static bool lapsed(const char *text)
{
	return end_of(text) < time(NULL);
}

/* The VPCs of this stack, fresh: those that the view has stay, since its nodes point there. */
static int look(struct stack_view *v, doc **ret, struct error *e)
{
	char filter[96];
	int r;

	snprintf(filter, sizeof(filter), "Name=tag:" TAG_STACK ",Values=%s", v->stack->name);
	r = aws_read(&v->aws, ret, e, "ec2 describe-vpcs --query Vpcs --filters", filter);
	if (r)
		return r;
	doc_keep_tagged(*ret, TAG_STACK, v->stack->name);
	doc_keep_tagged(*ret, TAG_RESOURCE, "vpc");
	return 0;
}

/* The next lock on one of these from *at on: its tag. */
static const doc *next_lock(const doc *vpcs, size_t *at)
{
	size_t number = 0;

	for (size_t i = 0; i < doc_length(vpcs, ""); i++) {
		const doc *vpc = doc_at(vpcs, "", i);

		for (size_t k = 0; k < doc_length(vpc, "Tags"); k++, number++) {
			const doc *tag = doc_at(vpc, "Tags", k);

			if (number < *at || strncmp(doc_text(tag, "Key"), TAG_LOCK, strlen(TAG_LOCK)))
				continue;
			*at = number + 1;
			return tag;
		}
	}
	return NULL;
}

/* Somebody else's that holds, "" if there is none. */
static const char *held_by_other(const struct stack_view *v, const doc *vpcs)
{
	const doc *tag;

	for (size_t at = 0; (tag = next_lock(vpcs, &at));) {
		if (strcmp(doc_text(tag, "Key"), v->turn_tag) && !lapsed(doc_text(tag, "Value")))
			return doc_text(tag, "Value");
	}
	return "";
}

static bool is_ours(const struct stack_view *v, const doc *vpc)
{
	return *doc_tag(vpc, v->turn_tag);
}

static int change_lock(struct stack_view *v, const doc *vpcs, const char *call, const char *key, const char *text,
		       struct error *e)
{
	struct args args = { 0 };
	int r;

	args_add(&args, "ec2");
	args_add(&args, "%s", call);
	args_add(&args, "--resources");
	for (size_t i = 0; i < doc_length(vpcs, ""); i++)
		args_add(&args, "%s", doc_text(doc_at(vpcs, "", i), "VpcId"));
	args_add(&args, "--tags");
	if (text)
		args_add(&args, "Key='%s',Value='%s'", key, text);
	else
		args_add(&args, "Key='%s'", key);
	r = aws_call(&v->aws, &args, NULL, NULL, e);
	args_free(&args);
	return r;
}

static int write_ours(struct stack_view *v, const doc *vpcs, unsigned int seconds, struct error *e)
{
	int64_t end = time(NULL) + seconds;
	char text[128];
	int r;

	turn_text(end, text);
	r = change_lock(v, vpcs, "create-tags", v->turn_tag, text, e);
	if (!r)
		v->turn_until = end;
	return r;
}

/* Those that lapsed; with force, all but ours. */
static int clear_others(struct stack_view *v, const doc *vpcs, bool force, struct error *e)
{
	const doc *tag;
	int r = 0;

	for (size_t at = 0; !r && (tag = next_lock(vpcs, &at));) {
		const char *key = doc_text(tag, "Key");

		/* The rest of it is a word of the command line. */
		if (strcmp(key, v->turn_tag) && (force || lapsed(doc_text(tag, "Value"))) &&
		    !key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789:")])
			r = change_lock(v, vpcs, "delete-tags", key, NULL, e);
	}
	return r;
}

static bool random_pause(void)
{
	unsigned short random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (unsigned short)getpid();
	return proc_sleep(500 + random % 4000);
}

static int busy(struct stack_view *v, const char *holder, struct error *e)
{
	return error_set(e, EBUSY, "%.120s: changes stack %s just now: wait for the end of it, or, if that run is "
			 "dead, --force", holder, v->stack->name);
}

/* One round. 1: somebody else began at the same moment. */
static int try_to_take(struct stack_view *v, bool force, struct error *e)
{
	doc *vpcs = NULL;
	int r = look(v, &vpcs, e);

	if (!r && !force && *held_by_other(v, vpcs))
		r = busy(v, held_by_other(v, vpcs), e);
	if (!r && doc_length(vpcs, "")) {
		r = clear_others(v, vpcs, force, e);
		if (!r)
			r = write_ours(v, vpcs, TURN_SECONDS, e);
		for (unsigned int i = 0; !r && i < LOOKS; i++) {
			doc_free(vpcs);
			vpcs = NULL;
			r = look(v, &vpcs, e);
			if (r || is_ours(v, doc_at(vpcs, "", 0)) || proc_back_off(i))
				break;
		}
		if (!r && *held_by_other(v, vpcs)) {
			r = change_lock(v, vpcs, "delete-tags", v->turn_tag, NULL, e);
			v->turn_until = 0;
			r = r ? r : 1;
		}
	}
	doc_free(vpcs);
	return r;
}

static int take(struct stack_view *v, bool force, struct error *e)
{
	int r = 1;

	for (unsigned int i = 0; r == 1 && i < TRIES; i++) {
		if (i && random_pause())
			return error_set(e, EINTR, "interrupted: nothing was done");
		r = try_to_take(v, force, e);
	}
	return r == 1 ? error_set(e, EBUSY, "stack %s: others begin to change it at the same moment: try again",
				  v->stack->name) : r;
}

int turn_take(struct stack_view *v, int fd, bool force, struct error *e)
{
	name_turn(v, fd);
	return take(v, force, e);
}

int turn_hold(struct stack_view *v, unsigned int seconds, struct error *e)
{
	doc *vpcs = NULL;
	int r;

	if (!*v->turn_tag || v->turn_until - time(NULL) >= seconds)
		return 0;
	if (!v->turn_until) {
		/* A VPC that was not there when this run began, perhaps with all the rest. */
		if (!view_node(v, "vpc")->found)
			return 0;
		r = take(v, false, e);
		return r ? r : view_refresh_all(v, e);
	}
	r = look(v, &vpcs, e);
	/* None: it is not made yet, or destroyed. */
	if (!r && doc_length(vpcs, "")) {
		if (!is_ours(v, doc_at(vpcs, "", 0)))
			r = error_set(e, ECANCELED, "%.120s has taken the stack from this run by --force, so it ends",
				      *held_by_other(v, vpcs) ? held_by_other(v, vpcs) : "somebody");
		else
			r = write_ours(v, vpcs, seconds + TURN_SECONDS, e);
	}
	doc_free(vpcs);
	return r;
}

/* Ours holds nothing yet but its default parts. */
static int withdraw(struct stack_view *v, const doc *ours, struct error *e)
{
	struct args args = { 0 };
	int r;

	args_words(&args, "ec2 delete-vpc --vpc-id");
	args_add(&args, "%s", doc_text(ours, "VpcId"));
	r = aws_call(&v->aws, &args, NULL, NULL, e);
	args_free(&args);
	return r;
}

int turn_alone(struct stack_view *v, FILE *progress, struct error *e)
{
	const doc *ours = NULL;
	doc *vpcs = NULL;
	int r = 0;

	for (unsigned int i = 0; *v->turn_tag && !r && !ours && i < LOOKS && (!i || !proc_back_off(i)); i++) {
		doc_free(vpcs);
		vpcs = NULL;
		r = look(v, &vpcs, e);
		for (size_t k = 0; k < doc_length(vpcs, ""); k++)
			ours = is_ours(v, doc_at(vpcs, "", k)) ? doc_at(vpcs, "", k) : ours;
	}
	if (!r && ours && doc_length(vpcs, "") == 1)
		v->turn_until = end_of(doc_tag(ours, v->turn_tag));
	if (!r && ours && doc_length(vpcs, "") > 1) {
		fprintf(progress, "somebody else makes this stack at the same moment: ours goes\n");
		r = withdraw(v, ours, e);
		if (!r && random_pause())
			r = error_set(e, EINTR, "interrupted: nothing was done");
		if (!r)
			r = view_refresh(v, K_VPC, e);
		r = r ? r : 1;
	}
	doc_free(vpcs);
	return r;
}

void turn_release(struct stack_view *v)
{
	struct error ignored;
	doc *vpcs = NULL;

	if (v->turn_until && !look(v, &vpcs, &ignored) && doc_length(vpcs, ""))
		change_lock(v, vpcs, "delete-tags", v->turn_tag, NULL, &ignored);
	v->turn_until = 0;
	doc_free(vpcs);
}

void turn_holder(const doc *vpc, char ret[128])
{
	const doc *tag;

	*ret = '\0';
	for (size_t i = 0; i < doc_length(vpc, "Tags"); i++) {
		tag = doc_at(vpc, "Tags", i);
		if (!strncmp(doc_text(tag, "Key"), TAG_LOCK, strlen(TAG_LOCK)) && !lapsed(doc_text(tag, "Value")))
			snprintf(ret, 128, "%s", doc_text(tag, "Value"));
	}
}
