// SPDX-License-Identifier: MIT
/* Proxy and servers, and the volumes on which the servers keep what the agent made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/deliver.h"
#include "aws/hosts.h"
#include "aws/render.h"

/* Finds the newest official Ubuntu: by Canonical's public parameter, else the newest image of Canonical's account. */
static void find_image(struct stack_view *v, enum arch arch)
{
	const struct ubuntu *u = stack_ubuntu(v->stack);
	char parameter[160], *image = v->images[arch];
	struct error e;
	doc *d = NULL;

	if (*image || v->failed || v->offline)
		return;
	snprintf(parameter, sizeof(parameter), "/aws/service/canonical/ubuntu/server/%s/stable/current/%s/hvm/%s/"
		 "ami-id", u->version, archs[arch].ubuntu, u->storage);
	if (!aws_read(&v->aws, &d, &e, "ssm get-parameter --name", parameter)) {
		snprintf(image, sizeof(v->images[arch]), "%s", doc_text(d, "Parameter.Value"));
	} else if (v->aws.trouble == AWS_ABSENT || v->aws.trouble == AWS_DENIED) {
		snprintf(parameter, sizeof(parameter), "Name=name,Values=ubuntu/images/%s/ubuntu-%s-%s-%s-"
			 "server-*", u->folder, u->codename, u->version, archs[arch].ubuntu);
		d = view_read(v, "ec2 describe-images --owners 099720109477 --query sort_by(Images,&CreationDate)[-1:] "
			      "--filters", parameter);
		snprintf(image, sizeof(v->images[arch]), "%s", doc_text(doc_at(d, "", 0), "ImageId"));
	} else {
		v->failed = error_set(&v->error, EIO, "%s", e.text);
	}
	doc_free(d);
	if (!v->failed && strncmp(image, "ami-", 4))
		v->failed = error_set(&v->error, ENOENT, "no image of Ubuntu %s for %s in %s, neither by Canonical's "
				      "parameter nor by owner 099720109477", u->version, archs[arch].people,
				      v->stack->region);
}

static void run_instance(struct stack_view *v, struct node *n, char *user_data, const char *hash)
{
	const struct stack *s = v->stack;
	bool proxy = !n->server;
	const char *type = proxy ? s->proxy_type : s->server_type, *image = v->images[stack_arch(type)];
	char address[20], more[128];
	struct args *a;

	cidr_host(proxy ? &s->public : &s->private, proxy ? PROXY_HOST : SERVER_HOST(n->server), address);
	find_image(v, stack_arch(type));
	a = change_add(v, n->key, CHANGE_MAKE, "%s instance at %s, Ubuntu %s", type, address, s->ubuntu);
	args_words(a, "ec2 run-instances --count 1 --image-id");
	args_add(a, "%s", *image ? image : "<image>");
	args_add(a, "--instance-type");
	args_add(a, "%s", type);
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
	snprintf(more, sizeof(more), ",{Key=" TAG_USER_DATA ",Value=%s},{Key=" TAG_UBUNTU ",Value=%s}", hash,
		 s->ubuntu);
	change_tags(v, n, a, more);
	v->changes[v->change_count - 1].input = user_data;
}

/* Notes what only a new instance can have. */
static void must_be(struct stack_view *v, const struct node *n, const char *what, const char *is, const char *wanted)
{
	if (strcmp(is, wanted))
		change_add(v, n->key, CHANGE_NOTE, "%s is %s, not %s: `ohguard aws apply --replace %s` makes a new "
			   "one%s", what, *is ? is : "not known", wanted, n->key,
			   n->server ? ", which gets the agent's state" : "");
}

/* A call on the instance itself. */
static struct args *on_instance(struct stack_view *v, const struct node *n, const char *text, const char *words)
{
	struct args *a = change_add(v, n->key, CHANGE_SET, "%s", text);

	args_words(a, words);
	args_add(a, "%s", view_id(v, n->key));
	return a;
}

/* The type that it can be given: of another architecture only a new one can be. */
static const char *type_in_place(struct stack_view *v, struct node *n)
{
	const char *type = n->server ? v->stack->server_type : v->stack->proxy_type;
	const char *is = doc_text(n->found, "InstanceType");

	return stack_arch(is) == stack_arch(type) ? type : is;
}

/* AWS takes it while the instance is stopped; check_running() starts it again. */
static void check_type(struct stack_view *v, struct node *n)
{
	const char *type = type_in_place(v, n), *is = doc_text(n->found, "InstanceType");
	char text[128];
	struct args *a;

	must_be(v, n, "its type", type, n->server ? v->stack->server_type : v->stack->proxy_type);
	if (!strcmp(is, type))
		return;
	if (strcmp(node_state(n), "stopped"))
		on_instance(v, n, "stop it for a while", "ec2 stop-instances --instance-ids");
	snprintf(text, sizeof(text), "%s, not %s", type, is);
	a = on_instance(v, n, text, "ec2 modify-instance-attribute --instance-id");
	args_add(a, "--instance-type");
	args_add(a, "Value=%s", type);
}

static void check_running(struct stack_view *v, struct node *n)
{
	if (!strcmp(node_state(n), "stopped") || strcmp(doc_text(n->found, "InstanceType"), type_in_place(v, n)))
		on_instance(v, n, "start it", "ec2 start-instances --instance-ids");
}

static void check_profile(struct stack_view *v, struct node *n)
{
	const char *arn = strrchr(doc_text(n->found, "IamInstanceProfile.Arn"), '/');
	const char *is = arn ? arn + 1 : "", *wanted = n->server ? v->stack->profile : "";
	char filter[96], text[160];
	struct args *a;
	doc *d = NULL;

	if (!strcmp(is, wanted))
		return;
	snprintf(text, sizeof(text), "instance profile %s, not %s", *wanted ? wanted : "none", *is ? is : "none");
	if (!*is) {
		a = on_instance(v, n, text, "ec2 associate-iam-instance-profile --instance-id");
	} else {
		snprintf(filter, sizeof(filter), "Name=instance-id,Values=%.60s", node_id(n));
		d = view_read(v, "ec2 describe-iam-instance-profile-associations --query "
			      "IamInstanceProfileAssociations[?State=='associated'] --filters", filter);
		a = change_add(v, n->key, *wanted ? CHANGE_SET : CHANGE_REMOVE, "%s", text);
		args_words(a, *wanted ? "ec2 replace-iam-instance-profile-association --association-id" :
			   "ec2 disassociate-iam-instance-profile --association-id");
		args_add(a, "%s", doc_text(doc_at(d, "", 0), "AssociationId"));
		doc_free(d);
	}
	if (*wanted) {
		args_add(a, "--iam-instance-profile");
		args_add(a, "Name=%s", wanted);
	}
}

/* A disk grows in place, and ohguard-grow makes the file system follow; nothing shrinks one. */
static void check_size(struct stack_view *v, const char *key, const doc *volume, unsigned int wanted)
{
	long long is = doc_number(volume, "Size", wanted);
	struct args *a;

	if (is > wanted)
		change_add(v, key, CHANGE_NOTE, "its disk has %lld GB, not %u: a disk cannot shrink", is, wanted);
	if (is >= wanted)
		return;
	a = change_add(v, key, CHANGE_SET, "%u GB of disk, not %lld", wanted, is);
	args_words(a, "ec2 modify-volume --volume-id");
	args_add(a, "%s", doc_text(volume, "VolumeId"));
	args_add(a, "--size");
	args_add(a, "%u", wanted);
}

static bool is_attached(const doc *volume, const char *instance)
{
	for (size_t i = 0; i < doc_length(volume, "Attachments"); i++) {
		if (!strcmp(doc_text(doc_at(volume, "Attachments", i), "InstanceId"), instance))
			return true;
	}
	return false;
}

/* The disk that it boots from was tagged by the call that made the instance. */
static void check_disk(struct stack_view *v, struct node *n)
{
	for (size_t i = 0; i < doc_length(v->lists[K_VOLUME], ""); i++) {
		const doc *volume = doc_at(v->lists[K_VOLUME], "", i);

		if (!strcmp(doc_tag(volume, TAG_RESOURCE), n->key) && is_attached(volume, node_id(n)))
			check_size(v, n->key, volume, n->server ? v->stack->server_disk : v->stack->proxy_disk);
	}
}

static void want_attached(struct stack_view *v, struct node *n)
{
	const struct node *state = view_state(v, n);
	struct args *a;

	if (!state || (n->found && state->found && is_attached(state->found, node_id(n))))
		return;
	a = on_instance(v, n, "give it the volume with the agent's state",
			"ec2 attach-volume --device /dev/sdf --instance-id");
	args_add(a, "--volume-id");
	args_add(a, "%s", view_id(v, state->key));
}

void want_state(struct stack_view *v, struct node *n)
{
	const struct stack *s = v->stack;
	struct args *a;

	if (n->found) {
		check_size(v, n->key, n->found, s->state_disk);
		if (strcmp(doc_text(n->found, "AvailabilityZone"), s->zone))
			change_add(v, n->key, CHANGE_NOTE, "is in %s, not %s: make one there of a snapshot of it",
				   doc_text(n->found, "AvailabilityZone"), s->zone);
		return;
	}
	a = change_add(v, n->key, CHANGE_MAKE, "volume of %u GB for what the agent of server-%u makes", s->state_disk,
		       n->server);
	args_words(a, "ec2 create-volume --volume-type gp3 --encrypted --availability-zone");
	args_add(a, "%s", s->zone);
	args_add(a, "--size");
	args_add(a, "%u", s->state_disk);
	change_token(v, n, a);
	change_tags(v, n, a, NULL);
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
	char address[20], key[sizeof(s->name) + sizeof("-key")];

	cidr_host(n->server ? &s->private : &s->public, n->server ? SERVER_HOST(n->server) : PROXY_HOST, address);
	snprintf(key, sizeof(key), "%s-key", s->name);
	must_be(v, n, "its private address", doc_text(n->found, "PrivateIpAddress"), address);
	must_be(v, n, "its key pair", doc_text(n->found, "KeyName"), key);
	must_be(v, n, "its first-boot configuration", doc_tag(n->found, TAG_USER_DATA), hash);
	must_be(v, n, "its Ubuntu", doc_tag(n->found, TAG_UBUNTU), s->ubuntu);
	if (n->server)
		check_no_public_address(v, n);
	check_interface(v, n);
	check_metadata(v, n);
	check_groups(v, n);
	check_profile(v, n);
	check_disk(v, n);
	check_type(v, n);
	check_running(v, n);
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

void want_delivery(struct stack_view *v, struct node *n)
{
	bool anew = v->replace && !strcmp(v->replace, n->key);
	const char *had = anew ? "" : doc_tag(n->found, TAG_DELIVERED);
	char id[20];

	v->failed = deliver_id(v->stack, n, id, &v->error);
	if (!v->failed && strcmp(had, id))
		change_add(v, n->key, CHANGE_DELIVER, "%s: %s",
			   n->server ? "program, policy, OpenHands and its settings" :
			   "program, policy, web site and scripts",
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
	if (n->server)
		want_attached(v, n);
	else
		want_proxy_address(v, n);
}
