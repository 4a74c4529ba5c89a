// SPDX-License-Identifier: MIT
/* The two tables that plan, apply, status and destroy walk: kinds of resources, and the resources of a stack. */
#include <string.h>

#include "aws/firewall.h"
#include "aws/hosts.h"
#include "aws/network.h"
#include "aws/stack.h"

static void remove_by(struct stack_view *v, const doc *item, const char *key, const char *words, const char *member)
{
	struct args *a = change_add(v, key, CHANGE_REMOVE, "%s", doc_text(item, member));

	args_words(a, words);
	args_add(a, "%s", doc_text(item, member));
}

static void remove_vpc(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "ec2 delete-vpc --vpc-id", "VpcId");
}

static void remove_gateway(struct stack_view *v, const doc *item, const char *key)
{
	for (size_t i = 0; i < doc_length(item, "Attachments"); i++) {
		const char *vpc = doc_text(doc_at(item, "Attachments", i), "VpcId");
		struct args *a = change_add(v, key, CHANGE_REMOVE, "from %s", vpc);

		args_words(a, "ec2 detach-internet-gateway --vpc-id");
		args_add(a, "%s", vpc);
		args_add(a, "--internet-gateway-id");
		args_add(a, "%s", doc_text(item, "InternetGatewayId"));
	}
	remove_by(v, item, key, "ec2 delete-internet-gateway --internet-gateway-id", "InternetGatewayId");
}

static void remove_acl(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "ec2 delete-network-acl --network-acl-id", "NetworkAclId");
}

static void remove_subnet(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "ec2 delete-subnet --subnet-id", "SubnetId");
}

static void remove_address(struct stack_view *v, const doc *item, const char *key)
{
	if (*doc_text(item, "AssociationId"))
		remove_by(v, item, key, "ec2 disassociate-address --association-id", "AssociationId");
	remove_by(v, item, key, "ec2 release-address --allocation-id", "AllocationId");
}

static void remove_nat(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "ec2 delete-nat-gateway --nat-gateway-id", "NatGatewayId");
}

static void remove_table(struct stack_view *v, const doc *item, const char *key)
{
	for (size_t i = 0; i < doc_length(item, "Associations"); i++) {
		const doc *as = doc_at(item, "Associations", i);

		if (!doc_true(as, "Main"))
			remove_by(v, as, key, "ec2 disassociate-route-table --association-id",
				  "RouteTableAssociationId");
	}
	remove_by(v, item, key, "ec2 delete-route-table --route-table-id", "RouteTableId");
}

static void remove_group(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "ec2 delete-security-group --group-id", "GroupId");
}

static void remove_key(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "ec2 delete-key-pair --key-name", "KeyName");
}

static void remove_endpoint(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "ec2 delete-instance-connect-endpoint --instance-connect-endpoint-id",
		  "InstanceConnectEndpointId");
}

static void remove_volume(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "ec2 delete-volume --volume-id", "VolumeId");
}

static void remove_instance(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "ec2 terminate-instances --instance-ids", "InstanceId");
}

static void remove_flow_log(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "ec2 delete-flow-logs --flow-log-ids", "FlowLogId");
}

static void remove_dns_list(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "route53resolver delete-firewall-domain-list --firewall-domain-list-id", "Id");
}

/* Not before its rules. */
static void remove_dns_rules(struct stack_view *v, const doc *item, const char *key)
{
	doc *rules = view_read(v, "route53resolver list-firewall-rules --query FirewallRules --firewall-rule-group-id",
			       doc_text(item, "Id"));

	for (size_t i = 0; i < doc_length(rules, ""); i++) {
		const char *list = doc_text(doc_at(rules, "", i), "FirewallDomainListId");
		struct args *a = change_add(v, key, CHANGE_REMOVE, "its rule for %s", list);

		args_words(a, "route53resolver delete-firewall-rule --firewall-rule-group-id");
		args_add(a, "%s", doc_text(item, "Id"));
		args_add(a, "--firewall-domain-list-id");
		args_add(a, "%s", list);
	}
	doc_free(rules);
	remove_by(v, item, key, "route53resolver delete-firewall-rule-group --firewall-rule-group-id", "Id");
}

static void remove_dns_firewall(struct stack_view *v, const doc *item, const char *key)
{
	remove_by(v, item, key, "route53resolver disassociate-firewall-rule-group "
		  "--firewall-rule-group-association-id", "Id");
}

const struct kind kinds[KINDS] = {
	[K_VPC] = { "VPC", "ec2 describe-vpcs", "Vpcs", "VpcId", "vpc", "State", NULL, { NULL }, remove_vpc, NULL },
	[K_FLOW_LOG] = { "flow log", "ec2 describe-flow-logs", "FlowLogs", "FlowLogId", "vpc-flow-log", NULL, NULL,
		{ NULL }, remove_flow_log, NULL },
	[K_DNS_LIST] = { "list of names", "route53resolver list-firewall-domain-lists --query", "FirewallDomainLists",
		"Id", NULL, NULL, NULL, { NULL }, remove_dns_list, firewall_list },
	[K_DNS_RULES] = { "DNS rule group", "route53resolver list-firewall-rule-groups --query", "FirewallRuleGroups",
		"Id", NULL, NULL, NULL, { NULL }, remove_dns_rules, firewall_list },
	[K_DNS_FIREWALL] = { "DNS firewall", "route53resolver list-firewall-rule-group-associations --query",
		"FirewallRuleGroupAssociations", "Id", NULL, "Status", "DELETING", { NULL }, remove_dns_firewall,
		firewall_list },
	[K_GATEWAY] = { "internet gateway", "ec2 describe-internet-gateways", "InternetGateways", "InternetGatewayId",
		"internet-gateway", NULL, NULL, { NULL }, remove_gateway, NULL },
	[K_ACL] = { "network ACL", "ec2 describe-network-acls", "NetworkAcls", "NetworkAclId", "network-acl",
		NULL, NULL, { NULL }, remove_acl, NULL },
	[K_SUBNET] = { "subnet", "ec2 describe-subnets", "Subnets", "SubnetId", "subnet", "State", NULL, { NULL },
		remove_subnet, NULL },
	[K_ADDRESS] = { "elastic IP", "ec2 describe-addresses", "Addresses", "AllocationId", "elastic-ip", NULL, NULL,
		{ NULL }, remove_address, NULL },
	[K_NAT] = { "NAT gateway", "ec2 describe-nat-gateways", "NatGateways", "NatGatewayId", "natgateway", "State",
		"deleting", { "deleted", "failed" }, remove_nat, NULL },
	[K_TABLE] = { "route table", "ec2 describe-route-tables", "RouteTables", "RouteTableId", "route-table",
		NULL, NULL, { NULL }, remove_table, NULL },
	[K_GROUP] = { "security group", "ec2 describe-security-groups", "SecurityGroups", "GroupId", "security-group",
		NULL, NULL, { NULL }, remove_group, NULL },
	[K_KEY] = { "key pair", "ec2 describe-key-pairs", "KeyPairs", "KeyPairId", "key-pair", NULL, NULL, { NULL },
		remove_key, NULL },
	[K_ENDPOINT] = { "connect endpoint", "ec2 describe-instance-connect-endpoints", "InstanceConnectEndpoints",
		"InstanceConnectEndpointId", "instance-connect-endpoint", "State", "delete-in-progress",
		{ "delete-complete", "create-failed", "delete-failed" }, remove_endpoint, NULL },
	[K_VOLUME] = { "volume", "ec2 describe-volumes", "Volumes", "VolumeId", "volume", "State", "deleting",
		{ "deleted", "error" }, remove_volume, NULL },
	[K_INSTANCE] = { "instance", "ec2 describe-instances", "Reservations[].Instances[]", "InstanceId", "instance",
		"State.Name", "shutting-down", { "terminated" }, remove_instance, NULL },
};

#define HOURS 730	/* of an average month */
#define DISK_CENTS 8	/* a GB of gp3 */

/* Thousandths of a cent an hour, on demand, Linux, us-east-1, as published in 2025. */
static const struct {
	const char *type;
	long price;
} prices[] = {
	{ "t3.micro", 1040 }, { "t3.small", 2080 }, { "t3.medium", 4160 }, { "t3.large", 8320 },
	{ "t3.xlarge", 16640 }, { "t3.2xlarge", 33280 }, { "t3a.small", 1880 }, { "t3a.medium", 3760 },
	{ "t3a.large", 7520 }, { "t3a.xlarge", 15040 }, { "m5.large", 9600 }, { "m5.xlarge", 19200 },
	{ "m6i.large", 9600 }, { "m6i.xlarge", 19200 }, { "m7i.large", 10080 }, { "m7i.xlarge", 20160 },
	{ "t4g.micro", 840 }, { "t4g.small", 1680 }, { "t4g.medium", 3360 }, { "t4g.large", 6720 },
	{ "t4g.xlarge", 13440 }, { "t4g.2xlarge", 26880 }, { "m6g.large", 7700 }, { "m6g.xlarge", 15400 },
	{ "m7g.large", 8160 }, { "m7g.xlarge", 16320 },
};

static long instance_cost(const char *type, unsigned int disk)
{
	for (size_t i = 0; i < sizeof(prices) / sizeof(*prices); i++) {
		if (!strcmp(prices[i].type, type))
			return prices[i].price * HOURS / 1000 + disk * DISK_CENTS;
	}
	return -1;
}

static long cost_proxy(const struct stack *s)
{
	return instance_cost(s->proxy_type, s->proxy_disk);
}

static long cost_server(const struct stack *s)
{
	return instance_cost(s->server_type, s->server_disk);
}

static long cost_state(const struct stack *s)
{
	return s->state_disk * DISK_CENTS;
}

static long cost_address(const struct stack *s)
{
	(void)s;
	return 500 * HOURS / 1000;
}

static long cost_nat(const struct stack *s)
{
	(void)s;
	return 4500 * HOURS / 1000;
}

static long cost_use(const struct stack *s)
{
	(void)s;
	return 0;
}

static bool has_flow_log(const struct stack *s)
{
	return *s->flow_logs;
}

static bool has_endpoint(const struct stack *s)
{
	return s->endpoint;
}

static bool has_dns_firewall(const struct stack *s)
{
	return s->dns_firewall;
}

const struct resource resources[] = {
	{ "vpc", K_VPC, want_vpc, .cost = NULL },
	{ "flow-log", K_FLOW_LOG, want_flow_log, .is_wanted = has_flow_log, .cost = cost_use,
	  .usage = "25 cents for each GB of it, besides the storage" },
	{ "dns-allowed", K_DNS_LIST, want_dns_list, .is_wanted = has_dns_firewall, .cost = NULL },
	{ "dns-others", K_DNS_LIST, want_dns_list, .is_wanted = has_dns_firewall, .cost = NULL },
	{ "dns-rules", K_DNS_RULES, want_dns_rules, .is_wanted = has_dns_firewall, .cost = NULL },
	/* A list costs a twentieth of a cent for each name. */
	{ "dns-firewall", K_DNS_FIREWALL, want_dns_firewall, .is_wanted = has_dns_firewall, .cost = cost_use,
	  .usage = "60 cents for each million of questions" },
	{ "gateway", K_GATEWAY, want_gateway, .cost = NULL },
	{ "acl-public", K_ACL, want_acl, .cost = NULL },
	{ "acl-private", K_ACL, want_acl, .cost = NULL },
	{ "subnet-public", K_SUBNET, want_subnet, .cost = NULL },
	{ "subnet-private", K_SUBNET, want_subnet, .cost = NULL },
	{ "table-public", K_TABLE, want_table, .cost = NULL },
	{ "group-endpoint", K_GROUP, want_group, .is_wanted = has_endpoint, .cost = NULL },
	{ "group-proxy", K_GROUP, want_group, .cost = NULL },
	{ "group-server", K_GROUP, want_group, .cost = NULL },
	{ "endpoint", K_ENDPOINT, want_endpoint, .is_wanted = has_endpoint, .cost = NULL },
	{ "key", K_KEY, want_key, .cost = NULL },
	{ "proxy-ip", K_ADDRESS, want_address, .cost = cost_address },
	{ "proxy", K_INSTANCE, want_instance, .want_besides = want_delivery, .cost = cost_proxy },
	/* Behind the proxy, whose fixed address AWS could pick for it. */
	{ "nat-ip", K_ADDRESS, want_address, .cost = cost_address },
	{ "nat", K_NAT, want_nat, .cost = cost_nat, .usage = "4.5 cents for each GB that passes" },
	{ "table-private", K_TABLE, want_table, .cost = NULL },
	{ "state", K_VOLUME, want_state, .cost = cost_state },
	{ "server", K_INSTANCE, want_instance, .want_besides = want_delivery, .cost = cost_server },
};
const unsigned int resources_count = sizeof(resources) / sizeof(*resources);
