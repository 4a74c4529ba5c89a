/* SPDX-License-Identifier: MIT */
/* The stack as a table of resources, what AWS has of it, and the changes that lead from one to the other. Nothing is
 * remembered between runs: every resource is found by the tags that its creating call gave it. */
#ifndef OHGUARD_AWS_STACK_H
#define OHGUARD_AWS_STACK_H

#include <stdbool.h>

#include "aws/cli.h"
#include "aws/config.h"

#define TAG_STACK "ohguard:stack"
#define TAG_RESOURCE "ohguard:resource"
#define TAG_USER_DATA "ohguard:user-data"
#define TAG_UBUNTU "ohguard:ubuntu"
#define TAG_DELIVERED "ohguard:delivered"
#define TAG_FIREWALL "ohguard:dns-firewall"	/* of a VPC that has one, or had */

/* In the order in which they can be made; they are removed in the reverse order. */
enum kind_id { K_VPC, K_FLOW_LOG, K_DNS_LIST, K_DNS_RULES, K_DNS_FIREWALL, K_GATEWAY, K_ACL, K_SUBNET, K_ADDRESS, K_NAT,
	       K_TABLE, K_GROUP, K_KEY, K_ENDPOINT, K_VOLUME, K_INSTANCE, KINDS };

struct stack_view;
struct node;

/* What all resources of one AWS type have in common. */
struct kind {
	const char *title;	/* for people */
	const char *list;	/* the call that lists them ... */
	const char *query;	/* ... and where in its answer they are */
	const char *id;		/* member that identifies one */
	const char *tag_type;	/* its name in --tag-specifications; NULL: none of EC2, but of Route 53 Resolver */
	const char *state;	/* member with its state, or NULL */
	const char *leaving;	/* the state on its way out ... */
	const char *gone[3];	/* ... and those after its end, in which AWS lists it for a while */
	/* The calls that remove one. */
	void (*remove)(struct stack_view *v, const doc *item, const char *key);
	/* Lists them where no filter of the call's own takes tags, or NULL. */
	int (*fetch)(struct stack_view *v, enum kind_id kind, doc **ret, struct error *e);
};
extern const struct kind kinds[KINDS];

/* One entry per resource (servers: one per server). The order of the table is the order of their dependencies. */
struct resource {
	const char *key;	/* the value of its TAG_RESOURCE; servers: "server-N" */
	enum kind_id kind;
	/* Adds the changes that make it what it should be. If n->found is NULL, its creation comes first. */
	void (*want)(struct stack_view *v, struct node *n);
	/* Adds what a plan shows and other steps than these do, or NULL. */
	void (*want_besides)(struct stack_view *v, struct node *n);
	/* Whether the configuration asks for it; NULL: always. */
	bool (*is_wanted)(const struct stack *stack);
	const char *usage;	/* what its use costs besides, or NULL */
	/* US cents a month in us-east-1, or -1 if the price is not known. */
	long (*cost)(const struct stack *stack);
};
extern const struct resource resources[];
extern const unsigned int resources_count;

struct node {
	const struct resource *resource;
	char key[20];
	unsigned int server;	/* 1.., or 0 */
	const doc *found;	/* NULL if AWS has none that lives */
	unsigned int dead;	/* how many with this tag are gone but still listed */
	bool leaving;		/* one of these is still being removed, and may hold its address */
	bool surplus;		/* AWS has it, but the configuration does not ask for it */
};

enum change_kind {
	CHANGE_MAKE, CHANGE_SET, CHANGE_REMOVE,
	CHANGE_DELIVER,		/* over ssh, after all of these: see deliver.h */
	CHANGE_NOTE,		/* cannot be changed in place */
	CHANGE_KINDS
};

struct change {
	enum change_kind kind;
	char key[20];
	char text[192];
	struct args args;
	char *input;	/* for the call's standard input, or NULL */
};

#define NODES_MAX 64
#define CHANGES_MAX 512

struct stack_view {
	const struct stack *stack;
	struct aws aws;
	doc *lists[KINDS];
	struct node nodes[NODES_MAX];
	unsigned int count;
	struct change *changes;
	unsigned int change_count;
	char images[ARCHS][32];	/* of new instances; looked up when one is to be made */
	bool zone_checked;	/* the region has it: asked before the first thing is made there */
	unsigned int attempt;	/* goes into client tokens: see change_token() */
	unsigned long long made;	/* a bit for each node that this run has made */
	char turn_tag[32];	/* see turn.h; "" if this run changes nothing */
	int64_t turn_until;	/* 0: it holds none */
	const char *replace;	/* key of an instance that is to be replaced, or NULL */
	bool changed;		/* this run did something to the stack */
	bool offline;		/* asks AWS nothing: as if it had nothing */
	bool keep_state;	/* destroy leaves the volumes with the agents' state */
	int failed;		/* an error inside a want(): the plan cannot be trusted */
	struct error error;
};

int view_open(struct stack_view *v, const struct stack *stack, unsigned int timeout, struct error *e);
int view_open_offline(struct stack_view *v, const struct stack *stack, struct error *e);
void view_close(struct stack_view *v);

/* Lists one kind again, or all, and finds the nodes again. */
int view_list(struct stack_view *v, enum kind_id kind, struct error *e);	/* only the first half */
int view_refresh(struct stack_view *v, enum kind_id kind, struct error *e);
int view_refresh_all(struct stack_view *v, struct error *e);

struct node *view_node(struct stack_view *v, const char *key);
struct node *view_state(struct stack_view *v, const struct node *server);	/* the volume of a server */
const char *node_id(const struct node *n);	/* "" where there is none */
const char *node_state(const struct node *n);
/* A living instance of these (count 0: any), or a server of these. */
bool node_is_wanted(const struct node *n, const char *const *names, int count);
bool server_is_wanted(const struct node *n, const char *const *names, int count);
/* Refuses a name that is no living machine, or no server unless proxy. */
int view_check_names(struct stack_view *v, const char *const *names, int count, bool proxy, struct error *e);
const char *view_id(struct stack_view *v, const char *key);	/* or "<key>" while there is none */

/* Fills v->changes for one node, or for the whole stack. */
int view_want(struct stack_view *v, struct node *n, struct error *e);
int view_plan(struct stack_view *v, struct error *e);
unsigned int view_count(const struct stack_view *v, enum change_kind kind);	/* of its changes */
void view_forget_changes(struct stack_view *v);

/* For want() functions: begins a change and returns where its words go. */
struct args *change_add(struct stack_view *v, const char *key, enum change_kind kind, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The tags of a part, one after the other: those by which it is found, its name, the operator's. False: no more. */
bool stack_tag(const struct stack *stack, const char *key, unsigned int i, struct tag *ret);
/* All of them, as --tag-specifications takes them. */
#define TAG_WORDS_MAX ((TAGS_MAX + 3) * (sizeof(struct tag) + sizeof(",{Key='',Value=''}")))
void stack_tag_words(const struct stack *stack, const char *key, char ret[TAG_WORDS_MAX]);
void change_tags(struct stack_view *v, const struct node *n, struct args *a, const char *more_tags);
void change_token(struct stack_view *v, const struct node *n, struct args *a);
/* A read that a want() function needs; NULL (and v->failed) on failure. To be freed. */
doc *view_read(struct stack_view *v, const char *words, const char *last);

/* True if an item of a list lives, and is neither leaving nor gone. */
/* A volume with an agent's state. */
bool item_is_state(enum kind_id kind, const doc *item);
bool item_lives(const struct kind *kind, const doc *item);
bool item_leaves(const struct kind *kind, const doc *item);
bool item_changes(const struct kind *kind, const doc *item);	/* between two states: wait */

#endif
