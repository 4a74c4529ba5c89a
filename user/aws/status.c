// SPDX-License-Identifier: MIT
#include "aws/status.h"

#include <string.h>

#include "aws/operate.h"
#include "aws/turn.h"
#include "base/json.h"
#include "base/text.h"

/* The picture is 80 columns wide, its boxes 76 and 70: texts are cut to fit, and escaped when printed. */
#define WIDTH 80
enum { OUTSIDE, VPC, SUBNET };
static const char *const left[] = { "", "| ", "|  | " }, *const right[] = { "", " |", " |  |" };

static void row(FILE *out, int place, const char *text)
{
	int width = WIDTH - 2 * (int)strlen(left[place]);
	char line[WIDTH + 1];

	snprintf(line, sizeof(line), "%-*.*s", place == OUTSIDE ? 0 : width, width, text);
	fputs(left[place], out);
	text_print(out, line);
	fprintf(out, "%s\n", right[place]);
}

/* The upper or lower side of a box, with its title. */
static void edge(FILE *out, int place, const char *title)
{
	static const char dashes[] = "------------------------------------------------------------------------------";
	const char *outer = place == SUBNET ? "|  " : "";
	int width = WIDTH - 2 * (int)strlen(outer) - 2 - (int)strlen(title);

	fprintf(out, "%s+%s%.*s+%s\n", outer, title, width > 0 ? width : 0, dashes, place == SUBNET ? "  |" : "");
}

static const char *or_none(const char *text)
{
	return *text ? text : "-- none --";
}

static const char *field(struct stack_view *v, const char *key, const char *path)
{
	const struct node *n = view_node(v, key);

	return n && n->found ? doc_text(n->found, path) : "";
}

static const char *id(struct stack_view *v, const char *key)
{
	return or_none(node_id(view_node(v, key)));
}

static const char *state(const struct node *n)
{
	return n->found ? node_state(n) : "not made";
}

/* AWS's status checks for running instances; NULL if it does not tell. */
static doc *read_health(struct stack_view *v)
{
	struct args args = { 0 };
	struct error ignored;
	unsigned int count = 0;
	doc *d = NULL;

	args_words(&args, "ec2 describe-instance-status --query InstanceStatuses --instance-ids");
	for (unsigned int i = 0; i < v->count; i++) {
		if (v->nodes[i].resource->kind != K_INSTANCE || strcmp(node_state(&v->nodes[i]), "running"))
			continue;
		args_add(&args, "%s", node_id(&v->nodes[i]));
		count++;
	}
	if (count)
		aws_call(&v->aws, &args, NULL, &d, &ignored);
	args_free(&args);
	return d;
}

/* "ok", or what AWS says of a check that is not: initializing, impaired. "" if it says nothing. */
static const char *health_of(const doc *health, const struct node *n)
{
	static const char *const checks[] = { "SystemStatus.Status", "InstanceStatus.Status" };

	for (size_t i = 0; i < doc_length(health, ""); i++) {
		const doc *item = doc_at(health, "", i);

		if (strcmp(doc_text(item, "InstanceId"), node_id(n)))
			continue;
		return doc_text(item, checks[!strcmp(doc_text(item, checks[0]), "ok")]);
	}
	return "";
}

/* Two texts side by side. */
static void pair(FILE *out, int place, const char *one, const char *other)
{
	char text[128];

	snprintf(text, sizeof(text), "%-36.36s%.60s", one, other);
	row(out, place, text);
}

/* "running, ok" */
static const char *condition(const struct node *n, const doc *health, char text[64])
{
	const char *checks = health_of(health, n);

	snprintf(text, 64, "%.30s%s%.30s", state(n), *checks ? ", " : "", checks);
	return text;
}

static void print_public(struct stack_view *v, const doc *health, FILE *out)
{
	const struct node *proxy = view_node(v, "proxy"), *nat = view_node(v, "nat");
	char text[128], other[128], told[64];

	snprintf(text, sizeof(text), "-- public subnet %s  %s ", v->stack->public.text, id(v, "subnet-public"));
	edge(out, SUBNET, text);
	snprintf(text, sizeof(text), "proxy  %s", condition(proxy, health, told));
	snprintf(other, sizeof(other), "NAT gateway  %s", state(nat));
	pair(out, SUBNET, text, other);
	pair(out, SUBNET, or_none(node_id(proxy)), or_none(node_id(nat)));
	snprintf(text, sizeof(text), "%s  %s", or_none(doc_text(proxy->found, "PrivateIpAddress")),
		 or_none(field(v, "proxy-ip", "PublicIp")));
	pair(out, SUBNET, text, or_none(field(v, "nat-ip", "PublicIp")));
	edge(out, SUBNET, "");
}

static void print_private(struct stack_view *v, const doc *health, FILE *out)
{
	char text[160], told[64];

	snprintf(text, sizeof(text), "-- private subnet %s  %s ", v->stack->private.text, id(v, "subnet-private"));
	edge(out, SUBNET, text);
	for (unsigned int i = 0; i < v->count; i++) {
		const struct node *n = &v->nodes[i];

		if (!n->server || n->resource->kind != K_INSTANCE)
			continue;
		snprintf(text, sizeof(text), "%-9s %-15s %-19s %s", n->key,
			 or_none(doc_text(n->found, "PrivateIpAddress")), or_none(node_id(n)),
			 condition(n, health, told));
		row(out, SUBNET, text);
	}
	edge(out, SUBNET, "");
}

static void print_services(struct stack_view *v, FILE *out)
{
	fputc('\n', out);
	for (unsigned int i = 0; i < v->count; i++) {
		const struct node *n = &v->nodes[i];
		struct service services[SERVICES_MAX];
		struct error e;
		char text[128];
		int used, count;

		if (n->resource->kind != K_INSTANCE || strcmp(node_state(n), "running"))
			continue;
		count = operate_services(v, n, services, &e);
		used = snprintf(text, sizeof(text), "%-10s ", n->key);
		if (count < 0)
			snprintf(text + used, sizeof(text) - (size_t)used, "not reached: `ohguard aws ssh %s` says why",
				 n->key);
		for (int k = 0; k < count; k++)
			used += snprintf(text + used, sizeof(text) - (size_t)used, "%s%.*s %s", k ? ", " : "",
					 (int)strcspn(services[k].unit, "."), services[k].unit, services[k].state);
		row(out, OUTSIDE, text);
	}
}

static void services_json(struct stack_view *v, const struct node *n, struct json *j)
{
	struct service services[SERVICES_MAX];
	struct error e;
	int count = strcmp(node_state(n), "running") ? -1 : operate_services(v, n, services, &e);

	if (count < 0) {
		json_null(j, "services");
		return;
	}
	json_array(j, "services");
	for (int i = 0; i < count; i++) {
		json_object(j, NULL);
		json_string(j, "unit", services[i].unit);
		json_string(j, "state", services[i].state);
		json_object_end(j);
	}
	json_array_end(j);
}

void status_print(struct stack_view *v, FILE *out)
{
	doc *health = read_health(v);
	char text[128], holder[128];

	fprintf(out, "Stack %s in %s (%s)\n", v->stack->name, v->stack->region, v->stack->zone);
	turn_holder(view_node(v, "vpc")->found, holder);
	if (*holder) {
		fputs("Changed just now by ", out);
		text_print(out, holder);
		fputc('\n', out);
	}
	fputc('\n', out);
	snprintf(text, sizeof(text), "     operator %s%s", or_none(v->stack->operators[0].text),
		 v->stack->operator_count > 1 ? " ..." : "");
	pair(out, OUTSIDE, text, "       Internet");
	pair(out, OUTSIDE, v->stack->endpoint ? "       | 80, 443" : "       | 22, 80, 443", "       ^ 443, NTP");
	pair(out, OUTSIDE, "       v", "       |");
	snprintf(text, sizeof(text), "     internet gateway %s", id(v, "gateway"));
	row(out, OUTSIDE, text);
	snprintf(text, sizeof(text), "-- VPC %s  %s ", v->stack->vpc.text, id(v, "vpc"));
	edge(out, VPC, text);
	if (view_node(v, "dns-firewall")->found) {
		snprintf(text, sizeof(text), "DNS firewall %s  %s", id(v, "dns-firewall"),
			 state(view_node(v, "dns-firewall")));
		row(out, VPC, text);
	}
	if (view_node(v, "endpoint")->found) {
		snprintf(text, sizeof(text), "endpoint for ssh %s  %s", id(v, "endpoint"),
			 state(view_node(v, "endpoint")));
		row(out, VPC, text);
	}
	pair(out, VPC, "     |", "     |");
	print_public(v, health, out);
	pair(out, VPC, v->stack->endpoint ? "     | 3000" : "     | 22, 3000", "     ^ 443, NTP");
	pair(out, VPC, "     v", "     |");
	print_private(v, health, out);
	edge(out, VPC, "");
	print_services(v, out);
	if (*field(v, "proxy-ip", "PublicIp"))
		fprintf(out, "\n  https://%s/\n",
			*v->stack->domain ? v->stack->domain : field(v, "proxy-ip", "PublicIp"));
	doc_free(health);
}

void status_print_json(struct stack_view *v, FILE *out)
{
	doc *health = read_health(v);
	char holder[128];
	struct json j;

	json_start(&j, out);
	json_object(&j, NULL);
	json_string(&j, "stack", v->stack->name);
	json_string(&j, "region", v->stack->region);
	json_string(&j, "zone", v->stack->zone);
	turn_holder(view_node(v, "vpc")->found, holder);
	json_string(&j, "lock", *holder ? holder : NULL);
	json_bool(&j, "changed", v->changed);
	json_array(&j, "resources");
	for (unsigned int i = 0; i < v->count; i++) {
		const struct node *n = &v->nodes[i];

		if (n->surplus && !n->found)
			continue;
		json_object(&j, NULL);
		json_string(&j, "resource", n->key);
		json_string(&j, "type", kinds[n->resource->kind].title);
		json_string(&j, "id", n->found ? node_id(n) : NULL);
		json_string(&j, "state",
			    !n->found ? "absent" : kinds[n->resource->kind].state ? node_state(n) : "there");
		if (*doc_text(n->found, "PrivateIpAddress"))
			json_string(&j, "private_address", doc_text(n->found, "PrivateIpAddress"));
		if (*doc_text(n->found, "PublicIp"))
			json_string(&j, "public_address", doc_text(n->found, "PublicIp"));
		if (n->resource->kind == K_INSTANCE)
			json_string(&j, "health", *health_of(health, n) ? health_of(health, n) : NULL);
		if (n->resource->kind == K_INSTANCE)
			services_json(v, n, &j);
		json_bool(&j, "surplus", n->surplus);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
	doc_free(health);
}
