// SPDX-License-Identifier: MIT
#include "aws/stack.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool state_in(const char *state, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n && list[i]; i++) {
		if (!strcmp(state, list[i]))
			return true;
	}
	return false;
}

bool item_leaves(const struct kind *kind, const doc *item)
{
	return kind->leaving && !strcmp(doc_text(item, kind->state), kind->leaving);
}

bool item_changes(const struct kind *kind, const doc *item)
{
	static const char *const between[] = { "pending", "stopping", "rebooting", "creating", "UPDATING",
						"create-in-progress" };

	return kind->state && state_in(doc_text(item, kind->state), between, 6);
}

bool item_lives(const struct kind *kind, const doc *item)
{
	if (!kind->state)
		return true;
	return !item_leaves(kind, item) && !state_in(doc_text(item, kind->state), kind->gone, 3);
}

bool item_is_state(enum kind_id kind, const doc *item)
{
	return kind == K_VOLUME && !strncmp(doc_tag(item, TAG_RESOURCE), "state-", 6);
}

struct node *view_node(struct stack_view *v, const char *key)
{
	for (unsigned int i = 0; i < v->count; i++) {
		if (!strcmp(v->nodes[i].key, key))
			return &v->nodes[i];
	}
	return NULL;
}

struct node *view_state(struct stack_view *v, const struct node *server)
{
	char key[20];

	snprintf(key, sizeof(key), "state-%u", server->server);
	return view_node(v, key);
}

const char *node_id(const struct node *n)
{
	return n && n->found ? doc_text(n->found, kinds[n->resource->kind].id) : "";
}

const char *node_state(const struct node *n)
{
	const char *path = kinds[n->resource->kind].state;

	return path && n->found ? doc_text(n->found, path) : "";
}

bool node_is_wanted(const struct node *n, const char *const *names, int count)
{
	if (n->resource->kind != K_INSTANCE || !n->found || n->surplus)
		return false;
	for (int i = 0; i < count; i++) {
		if (!strcmp(names[i], n->key))
			return true;
	}
	return !count;
}

bool server_is_wanted(const struct node *n, const char *const *names, int count)
{
	return n->server && node_is_wanted(n, names, count);
}

int view_check_names(struct stack_view *v, const char *const *names, int count, bool proxy, struct error *e)
{
	for (int i = 0; i < count; i++) {
		const struct node *n = view_node(v, names[i]);

		if (!n || !node_is_wanted(n, NULL, 0) || (!n->server && !proxy))
			return error_set(e, ENOENT, "%s: no such %s: `ohguard aws status` shows them", names[i],
					 proxy ? "machine" : "server");
	}
	return 0;
}

const char *view_id(struct stack_view *v, const char *key)
{
	/* One command of a plan may name several that do not exist yet. */
	static char unknown[8][24];
	static unsigned int next;
	const char *id = node_id(view_node(v, key));

	if (*id)
		return id;
	next = (next + 1) % 8;
	snprintf(unknown[next], sizeof(unknown[next]), "<%.15s>", key);
	return unknown[next];
}

/* What is no list must not pass for an empty one: a second stack would be made, or a key thrown away. An id becomes an
 * argument, and a line of ssh's configuration. */
static int check_list(const struct kind *k, const doc *list, struct error *e)
{
	if (!doc_is_list(list))
		return error_set(e, EBADMSG, "aws %s: printed no list: is the `aws` in PATH the AWS command line?",
				 k->list);
	for (size_t i = 0; i < doc_length(list, ""); i++) {
		const char *id = doc_text(doc_at(list, "", i), k->id);

		if (!*id || *id == '-' || id[strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-")])
			return error_set(e, EBADMSG, "aws %s: printed a %s without a proper id", k->list, k->title);
	}
	return 0;
}

static int list_tagged(struct stack_view *v, enum kind_id kind, doc **ret, struct error *e)
{
	struct args args = { 0 };
	int r;

	args_words(&args, kinds[kind].list);
	/* Two calls have their own word for it. */
	args_add(&args, kind == K_NAT || kind == K_FLOW_LOG ? "--filter" : "--filters");
	args_add(&args, "Name=tag:" TAG_STACK ",Values=%s", v->stack->name);
	args_add(&args, "--query");
	args_add(&args, "%s", kinds[kind].query);
	r = aws_call(&v->aws, &args, NULL, ret, e);
	args_free(&args);
	return r;
}

static bool any_tagged(const doc *list, const char *key, const char *value)
{
	for (size_t i = 0; i < doc_length(list, ""); i++) {
		if (!strcmp(doc_tag(doc_at(list, "", i), key), value))
			return true;
	}
	return false;
}

/* Who does not use these needs neither a permission for them nor an `aws` that knows them. A tag of the VPC and the
 * group of the endpoint, which goes after it, tell of what was asked for once. */
static bool may_have(const struct stack_view *v, enum kind_id kind)
{
	if (kind == K_ENDPOINT)
		return v->stack->endpoint || any_tagged(v->lists[K_GROUP], TAG_RESOURCE, "group-endpoint");
	if (kinds[kind].fetch)
		return v->stack->dns_firewall || any_tagged(v->lists[K_VPC], TAG_FIREWALL, "yes");
	return true;
}

int view_list(struct stack_view *v, enum kind_id kind, struct error *e)
{
	const struct kind *k = &kinds[kind];
	doc *d = NULL;
	int r;

	if (!may_have(v, kind))
		return 0;
	r = k->fetch ? k->fetch(v, kind, &d, e) : list_tagged(v, kind, &d, e);
	if (!r)
		r = check_list(k, d, e);
	if (r) {
		doc_free(d);
		return r;
	}
	/* Whatever is listed here may be removed: the tag is checked again after the filter. */
	doc_keep_tagged(d, TAG_STACK, v->stack->name);
	doc_free(v->lists[kind]);
	v->lists[kind] = d;
	return 0;
}

static struct node *add_node(struct stack_view *v, const struct resource *r, unsigned int server)
{
	struct node *n;

	if (v->count == NODES_MAX)
		return NULL;
	n = &v->nodes[v->count++];
	*n = (struct node){ .resource = r, .server = server, .surplus = r->is_wanted && !r->is_wanted(v->stack) };
	if (server)
		snprintf(n->key, sizeof(n->key), "%s-%u", r->key, server);
	else
		snprintf(n->key, sizeof(n->key), "%s", r->key);
	return n;
}

static int find_node(struct stack_view *v, struct node *n, struct error *e)
{
	const struct kind *k = &kinds[n->resource->kind];
	const doc *list = v->lists[n->resource->kind];

	n->found = NULL;
	n->dead = 0;
	n->leaving = false;
	for (size_t i = 0; i < doc_length(list, ""); i++) {
		const doc *item = doc_at(list, "", i);

		if (strcmp(doc_tag(item, TAG_RESOURCE), n->key))
			continue;
		if (!item_lives(k, item)) {
			n->dead++;
			n->leaving |= item_leaves(k, item);
			continue;
		}
		if (n->found)
			return error_set(e, EEXIST, "%s: two resources carry its tag, %s and %s: remove the one that "
					 "is not in use", n->key, node_id(n), doc_text(item, k->id));
		n->found = item;
	}
	return 0;
}

/* Surplus servers that AWS has become nodes too, to be removed. */
static void find_surplus(struct stack_view *v, const struct resource *server)
{
	const doc *list = v->lists[K_INSTANCE];
	unsigned int number;

	for (size_t i = 0; i < doc_length(list, ""); i++) {
		const doc *item = doc_at(list, "", i);
		struct node *n;

		if (sscanf(doc_tag(item, TAG_RESOURCE), "server-%u", &number) != 1 ||
		    number <= v->stack->servers || number > STACK_SERVERS_MAX || !item_lives(&kinds[K_INSTANCE], item))
			continue;
		n = view_node(v, doc_tag(item, TAG_RESOURCE));
		if (!n)
			n = add_node(v, server, number);
		if (n)
			n->surplus = true;
	}
}

static int find_nodes(struct stack_view *v, struct error *e)
{
	v->count = 0;
	for (unsigned int i = 0; i < resources_count; i++) {
		bool server = !strcmp(resources[i].key, "server"), each = server || resources[i].kind == K_VOLUME;

		for (unsigned int s = 1; s <= (each ? v->stack->servers : 1); s++)
			add_node(v, &resources[i], each ? s : 0);
		if (server)
			find_surplus(v, &resources[i]);
	}
	for (unsigned int i = 0; i < v->count; i++) {
		int r = find_node(v, &v->nodes[i], e);

		if (r)
			return r;
	}
	return 0;
}

int view_refresh(struct stack_view *v, enum kind_id kind, struct error *e)
{
	int r = view_list(v, kind, e);

	return r ? r : find_nodes(v, e);
}

int view_refresh_all(struct stack_view *v, struct error *e)
{
	for (int kind = 0; kind < KINDS; kind++) {
		int r = view_list(v, kind, e);

		if (r)
			return r;
	}
	return find_nodes(v, e);
}

int view_open(struct stack_view *v, const struct stack *stack, unsigned int timeout, struct error *e)
{
	int r;

	*v = (struct stack_view){ .stack = stack, .aws = { .region = stack->region, .timeout = timeout } };
	v->changes = calloc(CHANGES_MAX, sizeof(*v->changes));
	if (!v->changes)
		return error_set(e, ENOMEM, "out of memory");
	r = aws_check(&v->aws, stack->endpoint, e);
	return r ? r : view_refresh_all(v, e);
}

int view_open_offline(struct stack_view *v, const struct stack *stack, struct error *e)
{
	*v = (struct stack_view){ .stack = stack, .aws = { .region = stack->region },
		.offline = true, .zone_checked = true };
	v->changes = calloc(CHANGES_MAX, sizeof(*v->changes));
	return v->changes ? find_nodes(v, e) : error_set(e, ENOMEM, "out of memory");
}

void view_forget_changes(struct stack_view *v)
{
	for (unsigned int i = 0; i < v->change_count; i++) {
		args_free(&v->changes[i].args);
		free(v->changes[i].input);
		v->changes[i].input = NULL;
	}
	v->change_count = 0;
}

void view_close(struct stack_view *v)
{
	if (v->changes)
		view_forget_changes(v);
	free(v->changes);
	for (int kind = 0; kind < KINDS; kind++)
		doc_free(v->lists[kind]);
}

struct args *change_add(struct stack_view *v, const char *key, enum change_kind kind, const char *format, ...)
{
	static struct args nowhere;
	struct change *c;
	va_list args;

	if (v->change_count == CHANGES_MAX) {
		args_free(&nowhere);
		v->failed = error_set(&v->error, E2BIG, "%s: more than %d changes", key, CHANGES_MAX);
		return &nowhere;
	}
	c = &v->changes[v->change_count++];
	*c = (struct change){ .kind = kind };
	snprintf(c->key, sizeof(c->key), "%s", key);
	va_start(args, format);
	vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
	return &c->args;
}

bool stack_tag(const struct stack *stack, const char *key, unsigned int i, struct tag *ret)
{
	static const char *const own[] = { TAG_STACK, TAG_RESOURCE, "Name" };

	if (i >= 3 + stack->tag_count)
		return false;
	if (i >= 3) {
		*ret = stack->tags[i - 3];
		return true;
	}
	snprintf(ret->key, sizeof(ret->key), "%s", own[i]);
	snprintf(ret->value, sizeof(ret->value), "%s%s%s", i != 1 ? stack->name : "", i == 2 ? "-" : "",
		 i ? key : "");
	return true;
}

void stack_tag_words(const struct stack *stack, const char *key, char ret[TAG_WORDS_MAX])
{
	struct tag tag;
	int used = 0;

	for (unsigned int i = 0; stack_tag(stack, key, i, &tag); i++)
		used += snprintf(ret + used, (size_t)(TAG_WORDS_MAX - used), "%s{Key='%s',Value='%s'}", i ? "," : "",
				 tag.key, tag.value);
}

/* From number i on, each a word. */
static void add_tags(const struct stack *stack, const char *key, unsigned int i, struct args *a)
{
	struct tag tag;

	for (; stack_tag(stack, key, i, &tag); i++)
		args_add(a, "Key='%s',Value='%s'", tag.key, tag.value);
}

/* In the creating call itself: if we are killed right after it, nothing is without a tag. */
void change_tags(struct stack_view *v, const struct node *n, struct args *a, const char *more_tags)
{
	const char *types[] = { kinds[n->resource->kind].tag_type, "volume", "network-interface" };
	size_t count = n->resource->kind == K_INSTANCE ? 3 : 1;
	char tags[TAG_WORDS_MAX];

	if (!*types) {
		args_add(a, "--tags");
		add_tags(v->stack, n->key, 0, a);
		return;
	}
	stack_tag_words(v->stack, n->key, tags);
	args_add(a, "--tag-specifications");
	for (size_t i = 0; i < count; i++)
		args_add(a, "ResourceType=%s,Tags=[%s%s]", types[i], tags, more_tags && !i ? more_tags : "");
}

/* The same call made again within a day returns what the first one made, even if no list shows it yet. The token must
 * differ for the successor of a removed resource: by the VPC, and by how many have died in it. */
void change_token(struct stack_view *v, const struct node *n, struct args *a)
{
	args_add(a, "--client-token");
	args_add(a, "%s-%s-%s-%u", v->stack->name, n->key, view_id(v, "vpc"), n->dead + v->attempt);
}

doc *view_read(struct stack_view *v, const char *words, const char *last)
{
	doc *d = NULL;
	int r = aws_read(&v->aws, &d, &v->error, words, last);

	if (r)
		v->failed = r;
	return r ? NULL : d;
}

static void remove_node(struct stack_view *v, struct node *n)
{
	kinds[n->resource->kind].remove(v, n->found, n->key);
}

/* The first of its tags that an item has not, in *ret. */
static bool lacks_tag(const struct stack *stack, const char *key, const doc *item, struct tag *ret)
{
	/* By the first two it was found. */
	for (unsigned int i = 2; stack_tag(stack, key, i, ret); i++) {
		if (strcmp(doc_tag(item, ret->key), ret->value))
			return true;
	}
	return false;
}

/* The name that the console shows and people look for, and the operator's own tags. What else is there may be somebody
 * else's, and stays. An instance's disk and interface have the tags that it has. */
static void want_tags(struct stack_view *v, const struct node *n)
{
	const doc *volumes = n->resource->kind == K_INSTANCE ? v->lists[K_VOLUME] : NULL;
	struct args *a, also = { 0 };
	struct tag first;
	bool right = !n->found || !lacks_tag(v->stack, n->key, n->found, &first);

	for (size_t i = 0; i < doc_length(volumes, ""); i++) {
		const doc *disk = doc_at(volumes, "", i);

		if (strcmp(doc_tag(disk, TAG_RESOURCE), n->key))
			continue;
		args_add(&also, "%s", doc_text(disk, "VolumeId"));
		right = right && !lacks_tag(v->stack, n->key, disk, &first);
	}
	if (!right) {
		a = change_add(v, n->key, CHANGE_SET, "its tag %s back to %s", first.key, first.value);
		args_words(a, kinds[n->resource->kind].tag_type ? "ec2 create-tags --resources" :
			   "route53resolver tag-resource --resource-arn");
		args_add(a, "%s", kinds[n->resource->kind].tag_type ? node_id(n) : doc_text(n->found, "Arn"));
		for (unsigned int i = 0; i < also.count; i++)
			args_add(a, "%s", also.words[i]);
		for (size_t i = 0; i < doc_length(n->found, "NetworkInterfaces"); i++)
			args_add(a, "%s", doc_text(doc_at(n->found, "NetworkInterfaces", i), "NetworkInterfaceId"));
		args_add(a, "--tags");
		add_tags(v->stack, n->key, 2, a);
	}
	args_free(&also);
}

/* Notes what has the stack's tag but was not made by this program: destroy would remove it. */
static void note_strangers(struct stack_view *v, enum kind_id kind)
{
	for (size_t i = 0; i < doc_length(v->lists[kind], ""); i++) {
		const doc *item = doc_at(v->lists[kind], "", i);
		/* The disks that instances boot from have the tag of their instance. */
		bool known = !item_lives(&kinds[kind], item) || item_is_state((enum kind_id)kind, item) ||
			     (kind == K_VOLUME && view_node(v, doc_tag(item, TAG_RESOURCE)));

		for (unsigned int k = 0; k < v->count; k++)
			known |= v->nodes[k].found == item;
		if (!known)
			change_add(v, "?", CHANGE_NOTE, "%s %s carries the stack's tag, but is none of its parts: "
				   "remove the tag, or destroy removes it", kinds[kind].title,
				   doc_text(item, kinds[kind].id));
	}
}

int view_want(struct stack_view *v, struct node *n, struct error *e)
{
	v->failed = 0;
	if (n->surplus) {
		if (n->found)
			remove_node(v, n);
	} else if (v->replace && n->found && !strcmp(v->replace, n->key)) {
		remove_node(v, n);
		n->found = NULL;
		n->resource->want(v, n);
		find_node(v, n, &v->error);
	} else {
		n->resource->want(v, n);
		want_tags(v, n);
	}
	if (v->failed)
		*e = v->error;
	return v->failed;
}

unsigned int view_count(const struct stack_view *v, enum change_kind kind)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < v->change_count; i++)
		count += v->changes[i].kind == kind;
	return count;
}

int view_plan(struct stack_view *v, struct error *e)
{
	view_forget_changes(v);
	for (unsigned int i = 0; i < v->count; i++) {
		struct node *n = &v->nodes[i];
		int r = n->surplus ? 0 : view_want(v, n, e);

		if (!r && n->resource->want_besides && !n->surplus) {
			n->resource->want_besides(v, n);
			r = v->failed;
			if (r)
				*e = v->error;
		}
		if (r)
			return r;
	}
	for (unsigned int i = v->count; i; i--) {
		int r = v->nodes[i - 1].surplus ? view_want(v, &v->nodes[i - 1], e) : 0;

		if (r)
			return r;
	}
	for (int kind = 0; kind < KINDS; kind++)
		note_strangers(v, (enum kind_id)kind);
	return 0;
}
