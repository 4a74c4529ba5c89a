// SPDX-License-Identifier: MIT
#include "aws/hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/state.h"

/* One rule of a security group. peer is a range, or the id of a group. */
struct group_rule {
	bool egress;
	char protocol[8];
	long long from, to;
	char peer[64];
};

#define RULES_MAX 128
#define NO_PORT (-2)	/* -1 is "all" of ICMP's types and codes */

static struct group_rule rule(bool egress, const char *protocol, int port, const char *peer)
{
	struct group_rule r = { .egress = egress, .from = port, .to = port };

	snprintf(r.protocol, sizeof(r.protocol), "%s", protocol);
	snprintf(r.peer, sizeof(r.peer), "%s", peer);
	return r;
}

static size_t wanted_rules(struct stack_view *v, const struct node *n, struct group_rule *r)
{
	const struct stack *s = v->stack;
	const char *proxy = view_id(v, "group-proxy");
	bool everyone = *s->domain && s->acme;
	size_t i = 0;

	if (!strcmp(n->key, "group-endpoint")) {
		r[i++] = rule(true, "tcp", 22, s->public.text);
		r[i++] = rule(true, "tcp", 22, s->private.text);
	} else if (!strcmp(n->key, "group-proxy")) {
		if (s->endpoint)
			r[i++] = rule(false, "tcp", 22, view_id(v, "group-endpoint"));
		for (unsigned int o = 0; o < s->operator_count; o++) {
			if (!s->endpoint)
				r[i++] = rule(false, "tcp", 22, s->operators[o].text);
			if (!everyone)
				r[i++] = rule(false, "tcp", 80, s->operators[o].text);
			r[i++] = rule(false, "tcp", 443, s->operators[o].text);
		}
		/* Let's Encrypt comes from addresses that it keeps secret; nginx answers nothing else there. */
		if (everyone)
			r[i++] = rule(false, "tcp", 80, "0.0.0.0/0");
		if (!s->endpoint)
			r[i++] = rule(true, "tcp", 22, s->private.text);
		r[i++] = rule(true, "tcp", 3000, s->private.text);
		r[i++] = rule(true, "tcp", 443, "0.0.0.0/0");
	} else {
		r[i++] = rule(false, "tcp", 22, s->endpoint ? view_id(v, "group-endpoint") : proxy);
		r[i++] = rule(false, "tcp", 3000, proxy);
		r[i++] = rule(true, "tcp", 443, "0.0.0.0/0");
		r[i++] = rule(true, "udp", 53, s->vpc.text);
		r[i++] = rule(true, "udp", 123, "0.0.0.0/0");
	}
	return i;
}

static const struct {
	const char *list, *member, *format;
} peers[] = {
	{ "IpRanges", "CidrIp", "IpRanges=[{CidrIp=%s}]" },
	{ "Ipv6Ranges", "CidrIpv6", "Ipv6Ranges=[{CidrIpv6=%s}]" },
	{ "UserIdGroupPairs", "GroupId", "UserIdGroupPairs=[{GroupId=%s}]" },
	{ "PrefixListIds", "PrefixListId", "PrefixListIds=[{PrefixListId=%s}]" },
};

/* AWS joins rules that share protocol and ports into one "permission": taken apart here. */
static size_t found_rules(const doc *group, bool egress, struct group_rule *r, size_t i)
{
	const char *path = egress ? "IpPermissionsEgress" : "IpPermissions";

	for (size_t p = 0; p < doc_length(group, path); p++) {
		const doc *permission = doc_at(group, path, p);

		for (size_t k = 0; k < sizeof(peers) / sizeof(*peers); k++) {
			for (size_t m = 0; m < doc_length(permission, peers[k].list) && i < RULES_MAX; m++) {
				r[i] = rule(egress, doc_text(permission, "IpProtocol"), 0,
					    doc_text(doc_at(permission, peers[k].list, m), peers[k].member));
				r[i].from = doc_number(permission, "FromPort", NO_PORT);
				r[i++].to = doc_number(permission, "ToPort", NO_PORT);
			}
		}
	}
	return i;
}

static bool same_rule(const struct group_rule *a, const struct group_rule *b)
{
	return a->egress == b->egress && !strcmp(a->protocol, b->protocol) && a->from == b->from && a->to == b->to &&
	       !strcmp(a->peer, b->peer);
}

static bool in_rules(const struct group_rule *r, const struct group_rule *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (same_rule(r, &list[i]))
			return true;
	}
	return false;
}

static const char *peer_format(const char *peer)
{
	if (!strncmp(peer, "pl-", 3))
		return peers[3].format;
	if (strchr(peer, ':'))
		return peers[1].format;
	return strchr(peer, '/') ? peers[0].format : peers[2].format;
}

/* of: what group it is, in words, where the node is not that group. */
static void group_change(struct stack_view *v, const struct node *n, const char *group, const char *of,
			 const struct group_rule *r, bool add)
{
	bool all = !strcmp(r->protocol, "-1");
	char ports[64] = "", text[32], peer[128];
	struct args *a;

	if (r->from != NO_PORT)
		snprintf(ports, sizeof(ports), ",FromPort=%lld,ToPort=%lld", r->from, r->to);
	if (all)
		snprintf(text, sizeof(text), "everything");
	else if (r->from < 0)
		snprintf(text, sizeof(text), "all of protocol %s", r->protocol);
	else if (r->from == r->to)
		snprintf(text, sizeof(text), "%s %lld", r->protocol, r->from);
	else
		snprintf(text, sizeof(text), "%s %lld-%lld", r->protocol, r->from, r->to);
	a = change_add(v, n->key, add ? CHANGE_SET : CHANGE_REMOVE, "%s%s %s %s", of, text, r->egress ? "to" : "from",
		       r->peer);
	args_add(a, "ec2");
	args_add(a, "%s-security-group-%s", add ? "authorize" : "revoke", r->egress ? "egress" : "ingress");
	args_add(a, "--group-id");
	args_add(a, "%s", group);
	args_add(a, "--ip-permissions");
	/* The formats are the constants above. */
	snprintf(peer, sizeof(peer), peer_format(r->peer), r->peer);
	args_add(a, "IpProtocol=%s%s,%s", r->protocol, ports, peer);
}

void want_group(struct stack_view *v, struct node *n)
{
	/* What AWS puts into every new group. */
	const struct group_rule everything = { true, "-1", NO_PORT, NO_PORT, "0.0.0.0/0" };
	struct group_rule wanted[3 * OPERATORS_MAX + 8], found[RULES_MAX];
	size_t wanted_count = wanted_rules(v, n, wanted), count = 0;
	struct args *a;

	if (!n->found) {
		a = change_add(v, n->key, CHANGE_MAKE, "security group of the %s",
			       strcmp(n->key, "group-server") ? n->key + strlen("group-") : "servers");
		args_words(a, "ec2 create-security-group --vpc-id");
		args_add(a, "%s", view_id(v, "vpc"));
		args_add(a, "--group-name");
		args_add(a, "%s-%s", v->stack->name, n->key);
		args_add(a, "--description");
		args_add(a, "%s of ohguard stack %s", n->key, v->stack->name);
		change_tags(v, n, a, NULL);
		found[count++] = everything;
	}
	count = found_rules(n->found, false, found, count);
	count = found_rules(n->found, true, found, count);
	if (count == RULES_MAX)
		v->failed = error_set(&v->error, E2BIG, "%s: more than %d rules", n->key, RULES_MAX);
	/* Surplus rules go first. */
	for (size_t i = 0; i < count; i++) {
		if (!in_rules(&found[i], wanted, wanted_count))
			group_change(v, n, view_id(v, n->key), "", &found[i], false);
	}
	for (size_t i = 0; i < wanted_count; i++) {
		if (!in_rules(&wanted[i], found, count))
			group_change(v, n, view_id(v, n->key), "", &wanted[i], true);
	}
}

/* Every VPC has one, which nobody can remove: what is started in it by mistake must reach nothing. */
void want_default_group(struct stack_view *v, struct node *vpc)
{
	struct group_rule found[RULES_MAX];
	char filter[96];
	doc *d;

	snprintf(filter, sizeof(filter), "Name=vpc-id,Values=%.60s", node_id(vpc));
	d = view_read(v, "ec2 describe-security-groups --query SecurityGroups[?GroupName=='default'] --filters",
		      filter);
	for (size_t i = 0; i < doc_length(d, ""); i++) {
		const doc *group = doc_at(d, "", i);
		size_t count = found_rules(group, true, found, found_rules(group, false, found, 0));

		for (size_t k = 0; k < count; k++)
			group_change(v, vpc, doc_text(group, "GroupId"), "default group: ", &found[k], false);
	}
	doc_free(d);
}

/* In the public subnet: from there the ACLs let ssh through. What comes by it has its address. */
void want_endpoint(struct stack_view *v, struct node *n)
{
	const char *subnet = view_id(v, "subnet-public"), *group = view_id(v, "group-endpoint");
	struct args *a;

	if (!n->found) {
		a = change_add(v, n->key, CHANGE_MAKE, "EC2 Instance Connect Endpoint, for ssh");
		args_words(a, "ec2 create-instance-connect-endpoint --no-preserve-client-ip --subnet-id");
		args_add(a, "%s", subnet);
		args_add(a, "--security-group-ids");
		args_add(a, "%s", group);
		change_token(v, n, a);
		change_tags(v, n, a, NULL);
	} else if (strcmp(doc_text(n->found, "SubnetId"), subnet) || doc_length(n->found, "SecurityGroupIds") != 1 ||
		   strcmp(doc_item(doc_get(n->found, "SecurityGroupIds"), 0), group)) {
		/* AWS changes none: it is made anew in the next round. */
		kinds[K_ENDPOINT].remove(v, n->found, n->key);
	}
}

static bool any_instance(struct stack_view *v)
{
	for (unsigned int i = 0; i < v->count; i++) {
		if (v->nodes[i].resource->kind == K_INSTANCE && v->nodes[i].found)
			return true;
	}
	return false;
}

bool key_is_missing(struct stack_view *v)
{
	char path[300];

	key_path(v->stack, path, sizeof(path));
	return view_node(v, "key")->found && access(path, F_OK) && any_instance(v);
}

/* AWS shows the private key once, to the call that makes it. If we are killed before it is written, only a new pair
 * helps. That is harmless as long as no instance was started with the old one. */
void want_key(struct stack_view *v, struct node *n)
{
	bool here;
	char path[300];
	struct args *a;

	key_path(v->stack, path, sizeof(path));
	here = !access(path, F_OK);
	if (n->found && here)
		return;
	if (!n->found && here) {
		v->failed = error_set(&v->error, EEXIST, "%s: exists, but AWS has no key pair %s-key: it is never "
				      "overwritten, move it away", path, v->stack->name);
		return;
	}
	if (n->found && any_instance(v)) {
		change_add(v, n->key, CHANGE_NOTE, "%s is not here: copy it from where `apply` ran first; without it "
			   "nobody reaches the instances", path);
		return;
	}
	if (n->found) {
		kinds[K_KEY].remove(v, n->found, n->key);
		return;
	}
	a = change_add(v, n->key, CHANGE_MAKE, "RSA key pair, its private half in %s", path);
	args_words(a, "ec2 create-key-pair --key-type rsa --key-name");
	args_add(a, "%s-key", v->stack->name);
	change_tags(v, n, a, NULL);
}
