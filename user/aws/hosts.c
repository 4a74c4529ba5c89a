// SPDX-License-Identifier: MIT
#include "aws/hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/deliver.h"
#include "aws/render.h"
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
	size_t i = 0;

	if (!strcmp(n->key, "group-proxy")) {
		r[i++] = rule(false, "tcp", 22, s->operator.text);
		/* Let's Encrypt comes from addresses that it keeps secret; nginx answers nothing else there. */
		r[i++] = rule(false, "tcp", 80, *s->domain && s->acme ? "0.0.0.0/0" : s->operator.text);
		r[i++] = rule(false, "tcp", 443, s->operator.text);
		r[i++] = rule(true, "tcp", 22, s->private.text);
		r[i++] = rule(true, "tcp", 3000, s->private.text);
		r[i++] = rule(true, "tcp", 443, "0.0.0.0/0");
	} else {
		r[i++] = rule(false, "tcp", 22, proxy);
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

static void group_change(struct stack_view *v, const struct node *n, const struct group_rule *r, bool add)
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
	a = change_add(v, n->key, add ? CHANGE_SET : CHANGE_REMOVE, "%s %s %s", text, r->egress ? "to" : "from",
		       r->peer);
	args_add(a, "ec2");
	args_add(a, "%s-security-group-%s", add ? "authorize" : "revoke", r->egress ? "egress" : "ingress");
	args_add(a, "--group-id");
	args_add(a, "%s", view_id(v, n->key));
	args_add(a, "--ip-permissions");
	/* The formats are the constants above. */
	snprintf(peer, sizeof(peer), peer_format(r->peer), r->peer);
	args_add(a, "IpProtocol=%s%s,%s", r->protocol, ports, peer);
}

void want_group(struct stack_view *v, struct node *n)
{
	/* What AWS puts into every new group. */
	const struct group_rule everything = { true, "-1", NO_PORT, NO_PORT, "0.0.0.0/0" };
	struct group_rule wanted[8], found[RULES_MAX];
	size_t wanted_count = wanted_rules(v, n, wanted), count = 0;
	struct args *a;

	if (!n->found) {
		a = change_add(v, n->key, CHANGE_MAKE, "security group of the %s",
			       strstr(n->key, "proxy") ? "proxy" : "servers");
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
			group_change(v, n, &found[i], false);
	}
	for (size_t i = 0; i < wanted_count; i++) {
		if (!in_rules(&wanted[i], found, count))
			group_change(v, n, &wanted[i], true);
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

/* Finds the newest official Ubuntu: by Canonical's public parameter, else the newest image of Canonical's account. */
static void find_image(struct stack_view *v)
{
	const char *release = v->stack->ubuntu;
	const char *name = strcmp(release, "24.04") ? "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*" :
		"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*";
	char parameter[160];
	struct error e;
	doc *d = NULL;

	if (*v->image || v->failed)
		return;
	snprintf(parameter, sizeof(parameter), "/aws/service/canonical/ubuntu/server/%s/stable/current/amd64/hvm/%s/"
		 "ami-id", release, strcmp(release, "24.04") ? "ebs-gp2" : "ebs-gp3");
	if (!aws_read(&v->aws, &d, &e, "ssm get-parameter --name", parameter)) {
		snprintf(v->image, sizeof(v->image), "%s", doc_text(d, "Parameter.Value"));
	} else if (v->aws.trouble == AWS_ABSENT || v->aws.trouble == AWS_DENIED) {
		snprintf(parameter, sizeof(parameter), "Name=name,Values=%s", name);
		d = view_read(v, "ec2 describe-images --owners 099720109477 --query sort_by(Images,&CreationDate)[-1:] "
			      "--filters", parameter);
		snprintf(v->image, sizeof(v->image), "%s", doc_text(doc_at(d, "", 0), "ImageId"));
	} else {
		v->failed = error_set(&v->error, EIO, "%s", e.text);
	}
	doc_free(d);
	if (!v->failed && strncmp(v->image, "ami-", 4))
		v->failed = error_set(&v->error, ENOENT, "no image of Ubuntu %s in %s, neither by Canonical's "
				      "parameter nor by owner 099720109477", release, v->stack->region);
}

static void run_instance(struct stack_view *v, struct node *n, char *user_data, const char *hash)
{
	const struct stack *s = v->stack;
	bool proxy = !n->server;
	char address[20], more[64];
	struct args *a;

	cidr_host(proxy ? &s->public : &s->private, proxy ? PROXY_HOST : SERVER_HOST(n->server), address);
	find_image(v);
	a = change_add(v, n->key, CHANGE_MAKE, "%s instance at %s, Ubuntu %s", proxy ? s->proxy_type : s->server_type,
		       address, s->ubuntu);
	args_words(a, "ec2 run-instances --count 1 --image-id");
	args_add(a, "%s", *v->image ? v->image : "<image>");
	args_add(a, "--instance-type");
	args_add(a, "%s", proxy ? s->proxy_type : s->server_type);
	args_add(a, "--key-name");
	args_add(a, "%s-key", s->name);
	args_add(a, "--subnet-id");
	args_add(a, "%s", view_id(v, proxy ? "subnet-public" : "subnet-private"));
	args_add(a, "--private-ip-address");
	args_add(a, "%s", address);
	args_add(a, "--security-group-ids");
	args_add(a, "%s", view_id(v, proxy ? "group-proxy" : "group-server"));
	args_add(a, "--no-associate-public-ip-address");
	args_add(a, "--metadata-options");
	args_add(a, "HttpEndpoint=enabled,HttpTokens=required,HttpPutResponseHopLimit=1");
	args_add(a, "--block-device-mappings");
	args_add(a, "DeviceName=/dev/sda1,Ebs={VolumeSize=%u,VolumeType=gp3,Encrypted=true,DeleteOnTermination=true}",
		 proxy ? s->proxy_disk : s->server_disk);
	if (!proxy && *s->profile) {
		args_add(a, "--iam-instance-profile");
		args_add(a, "Name=%s", s->profile);
	}
	args_add(a, "--user-data");
	args_add(a, "file:///dev/stdin");
	change_token(v, n, a);
	snprintf(more, sizeof(more), ",{Key=" TAG_USER_DATA ",Value=%s}", hash);
	change_tags(v, n, a, more);
	v->changes[v->change_count - 1].input = user_data;
}

/* Notes what only a new instance can have. */
static void must_be(struct stack_view *v, const struct node *n, const char *what, const char *is, const char *wanted)
{
	if (strcmp(is, wanted))
		change_add(v, n->key, CHANGE_NOTE, "%s is %s, not %s: `ohguard aws apply --replace %s` makes a new "
			   "one, and what is on it is lost", what, is, wanted, n->key);
}

static void check_metadata(struct stack_view *v, struct node *n)
{
	struct args *a;

	if (!strcmp(doc_text(n->found, "MetadataOptions.HttpTokens"), "required") &&
	    !strcmp(doc_text(n->found, "MetadataOptions.HttpEndpoint"), "enabled") &&
	    doc_number(n->found, "MetadataOptions.HttpPutResponseHopLimit", 0) == 1)
		return;
	a = change_add(v, n->key, CHANGE_SET, "metadata service version 2 only, one hop");
	args_words(a, "ec2 modify-instance-metadata-options --http-endpoint enabled --http-tokens required "
		   "--http-put-response-hop-limit 1 --instance-id");
	args_add(a, "%s", node_id(n));
}

static void check_groups(struct stack_view *v, struct node *n)
{
	const char *group = view_id(v, n->server ? "group-server" : "group-proxy");
	struct args *a;

	if (doc_length(n->found, "SecurityGroups") == 1 &&
	    !strcmp(doc_text(doc_at(n->found, "SecurityGroups", 0), "GroupId"), group))
		return;
	a = change_add(v, n->key, CHANGE_SET, "in the one security group %s", group);
	args_words(a, "ec2 modify-instance-attribute --instance-id");
	args_add(a, "%s", node_id(n));
	args_add(a, "--groups");
	args_add(a, "%s", group);
}

/* An elastic IP can be removed; an address that AWS gave at the start stays as long as the instance. */
static void check_no_public_address(struct stack_view *v, struct node *n)
{
	const char *public = doc_text(n->found, "PublicIpAddress");
	char filter[96];
	size_t count;
	doc *d;

	if (!*public)
		return;
	snprintf(filter, sizeof(filter), "Name=instance-id,Values=%.60s", node_id(n));
	d = view_read(v, "ec2 describe-addresses --query Addresses[] --filters", filter);
	count = doc_length(d, "");
	for (size_t i = 0; i < count; i++) {
		struct args *a = change_add(v, n->key, CHANGE_REMOVE, "public address %s, given by someone", public);

		args_words(a, "ec2 disassociate-address --association-id");
		args_add(a, "%s", doc_text(doc_at(d, "", i), "AssociationId"));
	}
	if (!count)
		must_be(v, n, "its public address", public, "none");
	doc_free(d);
}

/* One interface, on which AWS drops whatever is not addressed to it or from it. */
static void check_interface(struct stack_view *v, struct node *n)
{
	struct args *a;

	if (doc_length(n->found, "NetworkInterfaces") > 1)
		change_add(v, n->key, CHANGE_NOTE, "has %zu network interfaces, but this stack made one: detach "
			   "the others", doc_length(n->found, "NetworkInterfaces"));
	if (!doc_false(n->found, "SourceDestCheck"))
		return;
	a = change_add(v, n->key, CHANGE_SET, "drop packets of others");
	args_words(a, "ec2 modify-instance-attribute --source-dest-check --instance-id");
	args_add(a, "%s", node_id(n));
}

static void check_instance(struct stack_view *v, struct node *n, const char *hash)
{
	const struct stack *s = v->stack;
	const char *profile = strrchr(doc_text(n->found, "IamInstanceProfile.Arn"), '/');
	char address[20], key[sizeof(s->name) + sizeof("-key")];
	struct args *a;

	cidr_host(n->server ? &s->private : &s->public, n->server ? SERVER_HOST(n->server) : PROXY_HOST, address);
	snprintf(key, sizeof(key), "%s-key", s->name);
	must_be(v, n, "its type", doc_text(n->found, "InstanceType"), n->server ? s->server_type : s->proxy_type);
	must_be(v, n, "its private address", doc_text(n->found, "PrivateIpAddress"), address);
	must_be(v, n, "its key pair", doc_text(n->found, "KeyName"), key);
	must_be(v, n, "its instance profile", profile ? profile + 1 : "none",
		n->server && *s->profile ? s->profile : "none");
	must_be(v, n, "its first-boot configuration", doc_tag(n->found, TAG_USER_DATA), hash);
	if (n->server)
		check_no_public_address(v, n);
	check_interface(v, n);
	check_metadata(v, n);
	check_groups(v, n);
	if (!strcmp(node_state(n), "stopped")) {
		a = change_add(v, n->key, CHANGE_SET, "start it");
		args_words(a, "ec2 start-instances --instance-ids");
		args_add(a, "%s", node_id(n));
	}
}

static void want_proxy_address(struct stack_view *v, struct node *n)
{
	const struct node *ip = view_node(v, "proxy-ip");
	struct args *a;

	if (n->found && ip->found && !strcmp(doc_text(ip->found, "InstanceId"), node_id(n)))
		return;
	a = change_add(v, n->key, CHANGE_SET, "give it its public address");
	args_words(a, "ec2 associate-address --allow-reassociation --allocation-id");
	args_add(a, "%s", view_id(v, "proxy-ip"));
	args_add(a, "--instance-id");
	args_add(a, "%s", view_id(v, n->key));
}

static void want_delivery(struct stack_view *v, struct node *n)
{
	const char *had = n->found ? doc_tag(n->found, TAG_DELIVERED) : "";
	char id[20];

	v->failed = deliver_id(v->stack, n, id, &v->error);
	if (!v->failed && strcmp(had, id))
		change_add(v, n->key, CHANGE_DELIVER, "%s: %s",
			   n->server ? "program, policy, OpenHands and its settings" : "web site and scripts",
			   *had ? "not as delivered" : "not there yet");
}

void want_instance(struct stack_view *v, struct node *n)
{
	char *user_data = NULL;
	char hash[20];

	v->failed = render(v->stack, n->server ? "server" : "proxy", n->server, &user_data, &v->error);
	if (v->failed)
		return;
	render_hash(user_data, hash);
	if (n->found) {
		check_instance(v, n, hash);
		free(user_data);
	} else {
		run_instance(v, n, user_data, hash);	/* owns it now */
	}
	if (!n->server)
		want_proxy_address(v, n);
	if (!v->failed)
		want_delivery(v, n);
}
