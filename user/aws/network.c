// SPDX-License-Identifier: MIT
#include "aws/network.h"

#include <stdio.h>
#include <string.h>

#include "aws/hosts.h"
#include "aws/turn.h"

static bool is_public(const struct node *n)
{
	return strstr(n->key, "public") != NULL;
}

/* Notes what AWS cannot change in place. */
static void note(struct stack_view *v, const struct node *n, const char *what, const char *is, const char *wanted)
{
	change_add(v, n->key, CHANGE_NOTE, "%s is %s, not %s, and AWS cannot change that: `ohguard aws destroy`, then "
		   "`apply`", what, is, wanted);
}

/* Where a VPC or subnet lists its other ranges. */
struct ranges {
	const char *set, *state, *range, *call;
};
static const struct ranges ranges_four = { "CidrBlockAssociationSet", "CidrBlockState.State", "CidrBlock",
	"ec2 disassociate-vpc-cidr-block --association-id" };
static const struct ranges ranges_six = { "Ipv6CidrBlockAssociationSet", "Ipv6CidrBlockState.State", "Ipv6CidrBlock",
	"ec2 disassociate-vpc-cidr-block --association-id" };
static const struct ranges ranges_of_subnet = {
	"Ipv6CidrBlockAssociationSet", "Ipv6CidrBlockState.State", "Ipv6CidrBlock",
	"ec2 disassociate-subnet-cidr-block --association-id" };

/* The stack's rules cover only its own range, and no IPv6. */
static void remove_ranges(struct stack_view *v, const struct node *n, const doc *item, const struct ranges *r,
			  const char *own)
{
	for (size_t i = 0; i < doc_length(item, r->set); i++) {
		const doc *one = doc_at(item, r->set, i);
		struct args *a;

		if (strcmp(doc_text(one, r->state), "associated") || !strcmp(doc_text(one, r->range), own))
			continue;
		a = change_add(v, n->key, CHANGE_REMOVE, "range %s, added by someone", doc_text(one, r->range));
		args_words(a, r->call);
		args_add(a, "%s", doc_text(one, "AssociationId"));
	}
}

void want_vpc(struct stack_view *v, struct node *n)
{
	const char *range = v->stack->vpc.text;
	char lock[192];
	struct args *a;
	doc *d;

	if (!n->found) {
		a = change_add(v, n->key, CHANGE_MAKE, "VPC %s", range);
		args_words(a, "ec2 create-vpc --instance-tenancy default --cidr-block");
		args_add(a, "%s", range);
		turn_words(v, lock);
		change_tags(v, n, a, lock);
		return;
	}
	if (v->stack->dns_firewall && !*doc_tag(n->found, TAG_FIREWALL)) {
		a = change_add(v, n->key, CHANGE_SET, "note that it has a DNS firewall");
		args_words(a, "ec2 create-tags --resources");
		args_add(a, "%s", node_id(n));
		args_words(a, "--tags Key=" TAG_FIREWALL ",Value=yes");
	}
	if (strcmp(doc_text(n->found, "CidrBlock"), range))
		note(v, n, "its range", doc_text(n->found, "CidrBlock"), range);
	if (strcmp(doc_text(n->found, "InstanceTenancy"), "default"))
		note(v, n, "its tenancy", doc_text(n->found, "InstanceTenancy"), "default");
	/* The subnets' first: the VPC's cannot go before. */
	remove_ranges(v, n, view_node(v, "subnet-public")->found, &ranges_of_subnet, "");
	remove_ranges(v, n, view_node(v, "subnet-private")->found, &ranges_of_subnet, "");
	remove_ranges(v, n, n->found, &ranges_six, "");
	remove_ranges(v, n, n->found, &ranges_four, doc_text(n->found, "CidrBlock"));
	d = view_read(v, "ec2 describe-vpc-attribute --attribute enableDnsSupport --vpc-id", node_id(n));
	if (d && !doc_true(d, "EnableDnsSupport.Value")) {
		a = change_add(v, n->key, CHANGE_SET, "answer DNS in the VPC");
		args_words(a, "ec2 modify-vpc-attribute --enable-dns-support {\"Value\":true} --vpc-id");
		args_add(a, "%s", node_id(n));
	}
	doc_free(d);
	want_default_group(v, n);
}

void want_gateway(struct stack_view *v, struct node *n)
{
	bool attached = false;
	struct args *a;

	if (!n->found) {
		a = change_add(v, n->key, CHANGE_MAKE, "internet gateway");
		args_words(a, "ec2 create-internet-gateway");
		change_tags(v, n, a, NULL);
	}
	for (size_t i = 0; i < doc_length(n->found, "Attachments"); i++)
		attached |= !strcmp(doc_text(doc_at(n->found, "Attachments", i), "VpcId"), view_id(v, "vpc"));
	if (!attached) {
		a = change_add(v, n->key, CHANGE_SET, "attach it to the VPC");
		args_words(a, "ec2 attach-internet-gateway --internet-gateway-id");
		args_add(a, "%s", view_id(v, n->key));
		args_words(a, "--vpc-id");
		args_add(a, "%s", view_id(v, "vpc"));
	}
}

/* Network ACLs are stateless: the answers need rules of their own. ACLs do not see DNS to the VPC's resolver, the
 * time service or DHCP. The private subnet takes answers only on the ports that Linux picks for its own connections
 * (so not on 3000 or 22); the public one on all that the NAT gateway may pick. */
struct acl_rule {
	unsigned int number;
	bool egress;
	int protocol;	/* 6 TCP, 17 UDP, 1 ICMP "fragmentation needed" */
	int from, to;
	const char *range;
};

#define ANYWHERE "0.0.0.0/0"
#define ACL_MAX (16 + 3 * OPERATORS_MAX)

static size_t acl_rules(const struct stack *s, bool public, struct acl_rule rules[ACL_MAX])
{
	const bool everyone = *s->domain && s->acme;
	size_t count = 0;
	const struct acl_rule of_public[] = {
		{ 130, false, 6, 443, 443, s->private.text },	/* to the NAT gateway, like NTP */
		{ 140, false, 17, 123, 123, s->private.text },
		{ 150, false, 6, 1024, 65535, ANYWHERE },
		{ 160, false, 17, 1024, 65535, ANYWHERE },
		{ 170, false, 1, 3, 4, ANYWHERE },
		{ 100, true, 6, 22, 22, s->private.text },
		{ 110, true, 6, 443, 443, ANYWHERE },
		{ 120, true, 17, 123, 123, ANYWHERE },
		{ 130, true, 6, 1024, 65535, ANYWHERE },	/* answers, and 3000 to the servers */
		{ 140, true, 17, 1024, 65535, s->private.text },
		{ 150, true, 1, 3, 4, ANYWHERE },
	};
	const struct acl_rule of_private[] = {
		{ 100, false, 6, 22, 22, s->public.text },
		{ 110, false, 6, 3000, 3000, s->public.text },
		{ 120, false, 6, 32768, 65535, ANYWHERE },
		{ 130, false, 17, 32768, 65535, ANYWHERE },
		{ 140, false, 1, 3, 4, ANYWHERE },
		{ 100, true, 6, 443, 443, ANYWHERE },
		{ 110, true, 17, 123, 123, ANYWHERE },
		{ 120, true, 17, 53, 53, s->vpc.text },
		{ 130, true, 6, 1024, 65535, s->public.text },
		{ 140, true, 1, 3, 4, ANYWHERE },
	};

	if (!public) {
		memcpy(rules, of_private, sizeof(of_private));
		return sizeof(of_private) / sizeof(*of_private);
	}
	for (unsigned int i = 0; i < s->operator_count; i++) {
		const char *from = s->operators[i].text;

		if (!s->endpoint)
			rules[count++] = (struct acl_rule){ 100 + (int)i, false, 6, 22, 22, from };
		if (!everyone)
			rules[count++] = (struct acl_rule){ 110 + (int)i, false, 6, 80, 80, from };
		rules[count++] = (struct acl_rule){ 120 + (int)i, false, 6, 443, 443, from };
	}
	if (everyone)
		rules[count++] = (struct acl_rule){ 110, false, 6, 80, 80, ANYWHERE };
	memcpy(rules + count, of_public, sizeof(of_public));
	return count + sizeof(of_public) / sizeof(*of_public);
}

static const doc *acl_entry(const doc *acl, const struct acl_rule *r)
{
	for (size_t i = 0; i < doc_length(acl, "Entries"); i++) {
		const doc *entry = doc_at(acl, "Entries", i);

		if (doc_number(entry, "RuleNumber", -1) == r->number && doc_true(entry, "Egress") == r->egress)
			return entry;
	}
	return NULL;
}

static bool acl_entry_is(const doc *entry, const struct acl_rule *r)
{
	const char *low = r->protocol == 1 ? "IcmpTypeCode.Type" : "PortRange.From";
	const char *high = r->protocol == 1 ? "IcmpTypeCode.Code" : "PortRange.To";
	char protocol[8];

	snprintf(protocol, sizeof(protocol), "%d", r->protocol);
	return !strcmp(doc_text(entry, "Protocol"), protocol) && !strcmp(doc_text(entry, "RuleAction"), "allow") &&
	       !strcmp(doc_text(entry, "CidrBlock"), r->range) && doc_number(entry, low, -2) == r->from &&
	       doc_number(entry, high, -2) == r->to;
}

static void acl_set(struct stack_view *v, const struct node *n, const struct acl_rule *r, bool there)
{
	const char *protocol = r->protocol == 6 ? "tcp" : r->protocol == 17 ? "udp" : "icmp type";
	char ports[32];
	struct args *a;

	if (r->from == r->to)
		snprintf(ports, sizeof(ports), "%d", r->from);
	else
		snprintf(ports, sizeof(ports), r->protocol == 1 ? "%d code %d" : "%d-%d", r->from, r->to);
	a = change_add(v, n->key, CHANGE_SET, "rule %u %s %s %s %s %s", r->number, there ? "back to" : "allow",
		       protocol, ports, r->egress ? "to" : "from", r->range);
	args_add(a, "ec2");
	args_add(a, there ? "replace-network-acl-entry" : "create-network-acl-entry");
	args_add(a, "--network-acl-id");
	args_add(a, "%s", view_id(v, n->key));
	args_words(a, r->egress ? "--egress --rule-action allow --rule-number" :
		   "--ingress --rule-action allow --rule-number");
	args_add(a, "%u", r->number);
	args_words(a, "--protocol");
	args_add(a, "%d", r->protocol);
	args_words(a, "--cidr-block");
	args_add(a, "%s", r->range);
	args_add(a, r->protocol == 1 ? "--icmp-type-code" : "--port-range");
	args_add(a, r->protocol == 1 ? "Type=%d,Code=%d" : "From=%d,To=%d", r->from, r->to);
}

void want_acl(struct stack_view *v, struct node *n)
{
	struct acl_rule rules[ACL_MAX];
	size_t count = acl_rules(v->stack, is_public(n), rules);
	struct args *a;

	if (!n->found) {
		a = change_add(v, n->key, CHANGE_MAKE, "network ACL of the %s subnet",
			       is_public(n) ? "public" : "private");
		args_words(a, "ec2 create-network-acl --vpc-id");
		args_add(a, "%s", view_id(v, "vpc"));
		change_tags(v, n, a, NULL);
	}
	for (size_t i = 0; i < count; i++) {
		const doc *entry = acl_entry(n->found, &rules[i]);

		if (!entry || !acl_entry_is(entry, &rules[i]))
			acl_set(v, n, &rules[i], entry != NULL);
	}
	for (size_t i = 0; i < doc_length(n->found, "Entries"); i++) {
		const doc *entry = doc_at(n->found, "Entries", i);
		long long number = doc_number(entry, "RuleNumber", -1);
		bool ours = number > 32766;	/* the closing "deny all" of every ACL, which stays */

		for (size_t k = 0; k < count; k++)
			ours |= rules[k].number == number && rules[k].egress == doc_true(entry, "Egress");
		if (ours)
			continue;
		a = change_add(v, n->key, CHANGE_REMOVE, "rule %lld, added by someone", number);
		args_words(a, "ec2 delete-network-acl-entry --network-acl-id");
		args_add(a, "%s", view_id(v, n->key));
		args_add(a, doc_true(entry, "Egress") ? "--egress" : "--ingress");
		args_words(a, "--rule-number");
		args_add(a, "%lld", number);
	}
}

/* The association of a subnet, with whichever table or ACL: AWS moves it by its id. */
static void want_subnet_acl(struct stack_view *v, struct node *n)
{
	const char *acl = is_public(n) ? "acl-public" : "acl-private";
	const struct node *acl_node = view_node(v, acl);
	char filter[96], association[64] = "<association>";
	struct args *a;
	doc *d;

	for (size_t i = 0; n->found && i < doc_length(acl_node->found, "Associations"); i++) {
		if (!strcmp(doc_text(doc_at(acl_node->found, "Associations", i), "SubnetId"), node_id(n)))
			return;
	}
	if (n->found) {
		snprintf(filter, sizeof(filter), "Name=association.subnet-id,Values=%.60s", node_id(n));
		d = view_read(v, "ec2 describe-network-acls --query NetworkAcls[].Associations[] --filters", filter);
		for (size_t i = 0; i < doc_length(d, ""); i++) {
			if (!strcmp(doc_text(doc_at(d, "", i), "SubnetId"), node_id(n)))
				snprintf(association, sizeof(association), "%s",
					 doc_text(doc_at(d, "", i), "NetworkAclAssociationId"));
		}
		doc_free(d);
	}
	a = change_add(v, n->key, CHANGE_SET, "put it under %s", acl);
	args_words(a, "ec2 replace-network-acl-association --association-id");
	args_add(a, "%s", association);
	args_add(a, "--network-acl-id");
	args_add(a, "%s", view_id(v, acl));
}

/* AWS itself would refuse them only after the whole network is there and paid for. */
static void check_types(struct stack_view *v)
{
	const char *types[] = { v->stack->proxy_type, v->stack->server_type };
	char filter[64];
	doc *d;

	snprintf(filter, sizeof(filter), "Name=location,Values=%.40s", v->stack->zone);
	d = view_read(v, "ec2 describe-instance-type-offerings --location-type availability-zone --query "
		      "InstanceTypeOfferings[].InstanceType --filters", filter);
	for (size_t k = 0; d && k < 2; k++) {
		bool there = false;

		for (size_t i = 0; i < doc_length(d, ""); i++)
			there |= !strcmp(doc_item(d, i), types[k]);
		if (!there)
			v->failed = error_set(&v->error, ENOENT, "%s-type = %s: %s has no such instance type",
					      k ? "server" : "proxy", types[k], v->stack->zone);
	}
	doc_free(d);
}

/* Checked with the plan: AWS itself would refuse it only after the VPC is there. */
static void check_zone(struct stack_view *v)
{
	const char *zone = v->stack->zone;
	char there[160] = "";
	doc *d;

	if (v->zone_checked)
		return;
	d = view_read(v, "ec2 describe-availability-zones --query AvailabilityZones[?State=='available'].ZoneName",
		      NULL);
	for (size_t i = 0; i < doc_length(d, ""); i++) {
		const char *name = doc_item(d, i);
		size_t used = strlen(there);

		v->zone_checked |= !strcmp(name, zone);
		snprintf(there + used, sizeof(there) - used, "%s%s", used ? ", " : "", name);
	}
	if (d && !v->zone_checked)
		v->failed = error_set(&v->error, ENOENT, "zone = %s: this account has no such zone in %s, but %s", zone,
				      v->stack->region, *there ? there : "none at all");
	doc_free(d);
	if (!v->failed)
		check_types(v);
}

void want_subnet(struct stack_view *v, struct node *n)
{
	const char *range = is_public(n) ? v->stack->public.text : v->stack->private.text;
	struct args *a;

	if (!n->found) {
		check_zone(v);
		a = change_add(v, n->key, CHANGE_MAKE, "%s subnet %s in %s", is_public(n) ? "public" : "private", range,
			       v->stack->zone);
		args_words(a, "ec2 create-subnet --vpc-id");
		args_add(a, "%s", view_id(v, "vpc"));
		args_add(a, "--cidr-block");
		args_add(a, "%s", range);
		args_add(a, "--availability-zone");
		args_add(a, "%s", v->stack->zone);
		change_tags(v, n, a, NULL);
	} else {
		if (strcmp(doc_text(n->found, "CidrBlock"), range))
			note(v, n, "its range", doc_text(n->found, "CidrBlock"), range);
		if (strcmp(doc_text(n->found, "AvailabilityZone"), v->stack->zone))
			note(v, n, "its zone", doc_text(n->found, "AvailabilityZone"), v->stack->zone);
	}
	if (doc_true(n->found, "MapPublicIpOnLaunch")) {
		a = change_add(v, n->key, CHANGE_SET, "no public addresses by default");
		args_words(a, "ec2 modify-subnet-attribute --no-map-public-ip-on-launch --subnet-id");
		args_add(a, "%s", view_id(v, n->key));
	}
	want_subnet_acl(v, n);
}

void want_address(struct stack_view *v, struct node *n)
{
	struct args *a;

	if (n->found)
		return;
	a = change_add(v, n->key, CHANGE_MAKE, "elastic IP of the %s", strstr(n->key, "nat") ? "NAT gateway" : "proxy");
	args_words(a, "ec2 allocate-address --domain vpc");
	change_tags(v, n, a, NULL);
}

void want_nat(struct stack_view *v, struct node *n)
{
	const char *subnet = view_id(v, "subnet-public"), *address = view_id(v, "nat-ip");
	bool ours = false;
	struct args *a;

	if (!n->found) {
		a = change_add(v, n->key, CHANGE_MAKE, "NAT gateway");
		args_words(a, "ec2 create-nat-gateway --subnet-id");
		args_add(a, "%s", subnet);
		args_add(a, "--allocation-id");
		args_add(a, "%s", address);
		change_token(v, n, a);
		change_tags(v, n, a, NULL);
		return;
	}
	if (strcmp(doc_text(n->found, "SubnetId"), subnet))
		note(v, n, "its subnet", doc_text(n->found, "SubnetId"), subnet);
	for (size_t i = 0; i < doc_length(n->found, "NatGatewayAddresses"); i++)
		ours |= !strcmp(doc_text(doc_at(n->found, "NatGatewayAddresses", i), "AllocationId"), address);
	if (!ours)
		note(v, n, "its address", "another", address);
}

static void table_association(struct stack_view *v, struct node *n, const char *subnet)
{
	char filter[96], association[64] = "";
	struct args *a;
	doc *d;

	for (size_t i = 0; i < doc_length(n->found, "Associations"); i++) {
		const doc *as = doc_at(n->found, "Associations", i);

		if (!strcmp(doc_text(as, "SubnetId"), view_id(v, subnet)))
			return;
	}
	if (n->found && *node_id(view_node(v, subnet))) {
		snprintf(filter, sizeof(filter), "Name=association.subnet-id,Values=%.60s", view_id(v, subnet));
		d = view_read(v, "ec2 describe-route-tables --query RouteTables[].Associations[] --filters", filter);
		for (size_t i = 0; i < doc_length(d, ""); i++) {
			if (!strcmp(doc_text(doc_at(d, "", i), "SubnetId"), view_id(v, subnet)))
				snprintf(association, sizeof(association), "%s",
					 doc_text(doc_at(d, "", i), "RouteTableAssociationId"));
		}
		doc_free(d);
	}
	a = change_add(v, n->key, CHANGE_SET, "route %s by it", subnet);
	if (*association) {
		args_words(a, "ec2 replace-route-table-association --association-id");
		args_add(a, "%s", association);
	} else {
		args_words(a, "ec2 associate-route-table --subnet-id");
		args_add(a, "%s", view_id(v, subnet));
	}
	args_add(a, "--route-table-id");
	args_add(a, "%s", view_id(v, n->key));
}

/* True for the route that every table has and nobody can remove, and for those that AWS manages, as of endpoints. */
static bool is_own_route(const doc *route)
{
	return !strcmp(doc_text(route, "GatewayId"), "local") || !strncmp(doc_text(route, "GatewayId"), "vpce-", 5) ||
	       !strcmp(doc_text(route, "Origin"), "CreateRouteTable");
}

static void remove_route(struct stack_view *v, struct node *n, const doc *route)
{
	static const char *const members[][2] = {
		{ "DestinationCidrBlock", "--destination-cidr-block" },
		{ "DestinationIpv6CidrBlock", "--destination-ipv6-cidr-block" },
		{ "DestinationPrefixListId", "--destination-prefix-list-id" },
	};

	for (size_t i = 0; i < 3; i++) {
		const char *to = doc_text(route, members[i][0]);
		struct args *a;

		if (!*to)
			continue;
		a = change_add(v, n->key, CHANGE_REMOVE, "route to %s, added by someone", to);
		args_words(a, "ec2 delete-route --route-table-id");
		args_add(a, "%s", view_id(v, n->key));
		args_add(a, "%s", members[i][1]);
		args_add(a, "%s", to);
		return;
	}
}

void want_table(struct stack_view *v, struct node *n)
{
	const char *member = is_public(n) ? "GatewayId" : "NatGatewayId";
	const char *target = view_id(v, is_public(n) ? "gateway" : "nat");
	enum { ABSENT, WRONG, RIGHT } has = ABSENT;
	struct args *a;

	if (!n->found) {
		a = change_add(v, n->key, CHANGE_MAKE, "route table of the %s subnet",
			       is_public(n) ? "public" : "private");
		args_words(a, "ec2 create-route-table --vpc-id");
		args_add(a, "%s", view_id(v, "vpc"));
		change_tags(v, n, a, NULL);
	}
	for (size_t i = 0; i < doc_length(n->found, "Routes"); i++) {
		const doc *route = doc_at(n->found, "Routes", i);

		if (!strcmp(doc_text(route, "DestinationCidrBlock"), ANYWHERE))
			has = strcmp(doc_text(route, member), target) ||
			      !strcmp(doc_text(route, "State"), "blackhole") ? WRONG : RIGHT;
		else if (!is_own_route(route))
			remove_route(v, n, route);
	}
	if (has != RIGHT) {
		a = change_add(v, n->key, CHANGE_SET, "route everything else to %s", target);
		args_add(a, "ec2");
		args_add(a, has == WRONG ? "replace-route" : "create-route");
		args_add(a, "--route-table-id");
		args_add(a, "%s", view_id(v, n->key));
		args_words(a, "--destination-cidr-block " ANYWHERE);
		args_add(a, is_public(n) ? "--gateway-id" : "--nat-gateway-id");
		args_add(a, "%s", target);
	}
	table_association(v, n, is_public(n) ? "subnet-public" : "subnet-private");
}
