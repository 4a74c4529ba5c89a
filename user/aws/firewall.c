// SPDX-License-Identifier: MIT
#include "aws/firewall.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/deliver.h"
#include "aws/render.h"
#include "base/ini.h"
#include "base/list.h"

#define NAMES_MAX 1000	/* what one call takes */

struct names {
	char **list;
	size_t count;
};

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
}

static bool names_have(const struct names *names, const char *name, size_t len)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strlen(names->list[i]) == len && !strncasecmp(names->list[i], name, len))
			return true;
	}
	return false;
}

static int names_add(struct names *names, const char *name, size_t len, struct error *e)
{
	char **list;

	if (names_have(names, name, len))
		return 0;
	if (names->count == NAMES_MAX)
		return error_set(e, E2BIG, "dns-firewall: more than %d names", NAMES_MAX);
	list = list_grow(names->list, names->count, sizeof(*list));
	if (list)
		names->list = list;
	if (!list || !(list[names->count] = strndup(name, len)))
		return error_set(e, ENOMEM, "out of memory");
	for (char *c = list[names->count++]; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return 0;
}

/* The name of a target, or of what else may be asked for. Addresses are none of DNS's business, nor is the root. */
static int visit(void *names, const char *section, const char *key, const char *value, struct error *e)
{
	static const char *const keys[][2] = { { "allow", "target" }, { "dns", "name" }, { "ntp", "server" } };
	bool named = false;
	size_t len;

	if (!key)	/* a section begins */
		return 0;
	len = strcspn(value, ": \t");
	for (size_t i = 0; i < 3; i++)
		named |= !strcmp(section, keys[i][0]) && !strcmp(key, keys[i][1]);
	if (!named || strspn(value, "0123456789./") >= len || *value == '[' || (len == 4 && !strncmp(value, "none", 4)))
		return 0;
	if (strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*") < len)
		return error_set(e, EINVAL, "%s = %s: no name that DNS Firewall takes", key, value);
	return names_add(names, value, len, e);
}

/* What anything in the VPC may ask for: the policy's names, those for installing and updating, and the proxy's. */
static int allowed_names(const struct stack *s, struct names *names, struct error *e)
{
	static const char *const lists[] = { "policy", "policy-install", "policy-proxy" };
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(lists) / sizeof(*lists); i++) {
		const char *from = i || !*s->policy ? lists[i] : s->policy;
		char *text = NULL;

		r = i ? render(s, lists[i], 0, &text, e) : deliver_policy_text(s, &text, e);
		if (!r)
			r = ini_walk(from, text, strlen(text), NULL, visit, names, e);
		free(text);
	}
	return r;
}

/* AWS writes them with the dot at their end. */
static bool same_names(const struct names *names, const doc *found)
{
	size_t same = 0;

	for (size_t i = 0; i < doc_length(found, ""); i++) {
		const char *name = doc_item(found, i);
		size_t len = strlen(name);

		same += names_have(names, name, len && name[len - 1] == '.' ? len - 1 : len);
	}
	return same == names->count && doc_length(found, "") == same;
}

int firewall_list(struct stack_view *v, enum kind_id kind, doc **ret, struct error *e)
{
	const char *name = v->stack->name;
	char query[160];
	int r;

	if (kind == K_DNS_LIST)
		snprintf(query, sizeof(query), "%s[?Name=='%s-dns-allowed'||Name=='%s-dns-others']", kinds[kind].query,
			 name, name);
	else
		snprintf(query, sizeof(query), "%s[?Name=='%s-dns-%s']", kinds[kind].query, name,
			 kind == K_DNS_RULES ? "rules" : "firewall");
	r = aws_read(&v->aws, ret, e, kinds[kind].list, query);
	for (size_t i = 0; !r && i < doc_length(*ret, ""); i++) {
		doc *tags = NULL;

		r = aws_read(&v->aws, &tags, e, "route53resolver list-tags-for-resource --query Tags --resource-arn",
			     doc_text(doc_at(*ret, "", i), "Arn"));
		if (!r)
			doc_put(*ret, i, "Tags", tags);
	}
	return r;
}

static void create(struct stack_view *v, struct node *n, struct args *a, const char *words)
{
	args_words(a, words);
	args_add(a, "%s-%s", v->stack->name, n->key);
	/* By the time: no list shows how many there were before, and the token of one that is gone is used up. */
	args_add(a, "--creator-request-id");
	args_add(a, "%s-%s-%lld", v->stack->name, n->key, (long long)time(NULL));
	change_tags(v, n, a, NULL);
}

/* allowed: the names; others: "*". */
void want_dns_list(struct stack_view *v, struct node *n)
{
	bool others = strstr(n->key, "others");
	struct names names = { 0 };
	struct args *a;
	doc *found = NULL;
	char *json = NULL;
	size_t size;
	FILE *out;

	v->failed = others ? names_add(&names, "*", 1, &v->error) : allowed_names(v->stack, &names, &v->error);
	if (v->failed) {
		names_free(&names);
		return;
	}
	if (!n->found)
		create(v, n, change_add(v, n->key, CHANGE_MAKE, "list of %s", others ? "all names" : "allowed names"),
		       "route53resolver create-firewall-domain-list --name");
	else
		found = view_read(v, "route53resolver list-firewall-domains --query Domains --firewall-domain-list-id",
				  node_id(n));
	out = v->failed || same_names(&names, found) ? NULL : open_memstream(&json, &size);
	for (size_t i = 0; out && i < names.count; i++)
		fprintf(out, "%s\"%s\"", i ? "," : "[", names.list[i]);
	if (out && !fclose(out)) {
		a = change_add(v, n->key, CHANGE_SET, "%zu name%s: %.100s%s", names.count, names.count > 1 ? "s" : "",
			       json, strlen(json) > 100 ? "..." : "]");
		args_words(a, "route53resolver update-firewall-domains --operation REPLACE --firewall-domain-list-id");
		args_add(a, "%s", view_id(v, n->key));
		args_add(a, "--domains");
		args_add(a, "%s]", json);
	}
	free(json);
	doc_free(found);
	names_free(&names);
}

/* An allowed name's answer may lead on to names of others, as those of content delivery networks do. */
static const struct {
	const char *list, *action, *text;
	int priority;
} rules[] = {
	{ "dns-allowed", "ALLOW", "--firewall-domain-redirection-action TRUST_REDIRECTION_DOMAIN --action ALLOW", 100 },
	{ "dns-others", "BLOCK", "--block-response NXDOMAIN --action BLOCK", 200 },
};

static bool is_rule(const doc *rule, size_t i, struct stack_view *v)
{
	return !strcmp(doc_text(rule, "FirewallDomainListId"), view_id(v, rules[i].list));
}

static bool rule_is_right(const doc *rule, size_t i)
{
	return !strcmp(doc_text(rule, "Action"), rules[i].action) &&
	       doc_number(rule, "Priority", -1) == rules[i].priority && !*doc_text(rule, "Qtype") &&
	       (i ? !strcmp(doc_text(rule, "BlockResponse"), "NXDOMAIN") :
		!strcmp(doc_text(rule, "FirewallDomainRedirectionAction"), "TRUST_REDIRECTION_DOMAIN"));
}

static struct args *rule_change(struct stack_view *v, const struct node *n, enum change_kind kind, const char *text,
				const char *call, const char *list)
{
	struct args *a = change_add(v, n->key, kind, "%s", text);

	args_add(a, "route53resolver");
	args_add(a, "%s", call);
	args_add(a, "--firewall-rule-group-id");
	args_add(a, "%s", view_id(v, n->key));
	args_add(a, "--firewall-domain-list-id");
	args_add(a, "%s", list);
	return a;
}

void want_dns_rules(struct stack_view *v, struct node *n)
{
	static const char *const texts[] = { "let the allowed names be asked for", "no such name is any other" };
	bool there[2] = { false, false }, right[2] = { false, false };
	struct args *a;
	doc *found = NULL;

	if (!n->found)
		create(v, n, change_add(v, n->key, CHANGE_MAKE, "rules of the DNS firewall"),
		       "route53resolver create-firewall-rule-group --name");
	else
		found = view_read(v, "route53resolver list-firewall-rules --query FirewallRules "
				  "--firewall-rule-group-id", node_id(n));
	for (size_t i = 0; i < doc_length(found, ""); i++) {
		const doc *rule = doc_at(found, "", i);

		for (size_t k = 0; k < 2; k++) {
			there[k] |= is_rule(rule, k, v);
			right[k] |= is_rule(rule, k, v) && rule_is_right(rule, k);
		}
		if (!is_rule(rule, 0, v) && !is_rule(rule, 1, v))
			rule_change(v, n, CHANGE_REMOVE, "a rule, added by someone", "delete-firewall-rule",
				    doc_text(rule, "FirewallDomainListId"));
	}
	for (size_t k = 0; k < 2; k++) {
		if (right[k])
			continue;
		a = rule_change(v, n, CHANGE_SET, texts[k], there[k] ? "update-firewall-rule" : "create-firewall-rule",
				view_id(v, rules[k].list));
		args_add(a, "--priority");
		args_add(a, "%d", rules[k].priority);
		args_words(a, rules[k].text);
		if (there[k])
			continue;
		args_add(a, "--name");
		args_add(a, "%s", rules[k].list);
		args_add(a, "--creator-request-id");
		args_add(a, "%s-%lld", rules[k].list, (long long)time(NULL));
	}
	doc_free(found);
}

void want_dns_firewall(struct stack_view *v, struct node *n)
{
	const char *vpc = view_id(v, "vpc"), *group = view_id(v, "dns-rules");
	struct args *a;
	doc *d;

	if (!n->found) {
		a = change_add(v, n->key, CHANGE_MAKE, "DNS firewall of the VPC");
		create(v, n, a, "route53resolver associate-firewall-rule-group --priority 101 --name");
		args_add(a, "--firewall-rule-group-id");
		args_add(a, "%s", group);
		args_add(a, "--vpc-id");
		args_add(a, "%s", vpc);
		return;
	}
	/* It is made anew in the next round. */
	if (strcmp(doc_text(n->found, "VpcId"), vpc) || strcmp(doc_text(n->found, "FirewallRuleGroupId"), group)) {
		kinds[K_DNS_FIREWALL].remove(v, n->found, n->key);
		return;
	}
	d = view_read(v, "route53resolver get-firewall-config --query FirewallConfig --resource-id", vpc);
	if (d && strcmp(doc_text(d, "FirewallFailOpen"), "DISABLED")) {
		a = change_add(v, n->key, CHANGE_SET, "answer nothing while it fails");
		args_words(a, "route53resolver update-firewall-config --firewall-fail-open DISABLED --resource-id");
		args_add(a, "%s", vpc);
	}
	doc_free(d);
}

void want_flow_log(struct stack_view *v, struct node *n)
{
	const char *to = v->stack->flow_logs, *vpc = view_id(v, "vpc");
	struct args *a;

	if (!n->found) {
		a = change_add(v, n->key, CHANGE_MAKE, "log of all flows, to %s", to);
		args_words(a, "ec2 create-flow-logs --resource-type VPC --traffic-type ALL --log-destination-type s3 "
			   "--log-destination");
		args_add(a, "%s", to);
		args_add(a, "--resource-ids");
		args_add(a, "%s", vpc);
		change_tags(v, n, a, NULL);
		return;
	}
	/* AWS changes none: it is made anew in the next round. */
	if (strcmp(doc_text(n->found, "LogDestination"), to) || strcmp(doc_text(n->found, "ResourceId"), vpc) ||
	    strcmp(doc_text(n->found, "TrafficType"), "ALL"))
		kinds[K_FLOW_LOG].remove(v, n->found, n->key);
	else if (*doc_text(n->found, "DeliverLogsErrorMessage"))
		change_add(v, n->key, CHANGE_NOTE, "AWS cannot write it: %.120s",
			   doc_text(n->found, "DeliverLogsErrorMessage"));
}
