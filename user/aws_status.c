#include "aws_status.h"

#include <string.h>

#include "json.h"
#include "text.h"

/* The picture is 78 columns wide; what AWS says is cut to fit and escaped by the printer. */
static void line(FILE *out, const char *left, const char *format_text, const char *right)
{
	int width = 74 - (int)strlen(left) - (int)strlen(right);

	fputs("  ", out);
	fputs(left, out);
	fprintf(out, "%-*.*s", width, width, format_text);
	fputs(right, out);
	fputc('\n', out);
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

/* The status checks of AWS for the instances that run; NULL where it does not tell. */
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

/* ok, or what AWS says of the check that is not: initializing, impaired. "" where it says nothing. */
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

static void print_host(const struct node *n, const char *title, const doc *health, FILE *out)
{
	const char *checks = health_of(health, n);
	char text[160];

	snprintf(text, sizeof(text), "%-9s %-15s %-20s %s%s%s", title, or_none(doc_text(n->found, "PrivateIpAddress")),
		 or_none(node_id(n)), state(n), *checks ? ", " : "", checks);
	line(out, "|  |  ", text, "|  |");
}

static void print_public(struct stack_view *v, const doc *health, FILE *out)
{
	char text[128];

	snprintf(text, sizeof(text), "public subnet %s  %s", v->stack->public.text, id(v, "subnet-public"));
	line(out, "|  +-- ", text, "+  |");
	print_host(view_node(v, "proxy"), "proxy", health, out);
	snprintf(text, sizeof(text), "          %s", or_none(field(v, "proxy-ip", "PublicIp")));
	line(out, "|  |  ", text, "|  |");
	snprintf(text, sizeof(text), "NAT       %-15s %s %s", or_none(field(v, "nat-ip", "PublicIp")), id(v, "nat"),
		 state(view_node(v, "nat")));
	line(out, "|  |  ", text, "|  |");
	line(out, "|  +", "--------------------------------------------------------------------", "+  |");
}

void status_print(struct stack_view *v, FILE *out)
{
	doc *health = read_health(v);
	char text[128];

	fprintf(out, "Stack %s in %s (%s)\n\n", v->stack->name, v->stack->region, v->stack->zone);
	snprintf(text, sizeof(text), "operator %s        Internet", or_none(v->stack->operator.text));
	line(out, "  ", text, "");
	line(out, "   22, 80, 443 |                 ^ 443, NTP", "", "");
	snprintf(text, sizeof(text), "internet gateway %s", id(v, "gateway"));
	line(out, "               v                 |   ", text, "");
	snprintf(text, sizeof(text), "VPC %s  %s", v->stack->vpc.text, id(v, "vpc"));
	line(out, "+-- ", text, "+");
	print_public(v, health, out);
	line(out, "|    22, 3000 |                 ^ 443, NTP", "", "|");
	line(out, "|             v                 |", "", "|");
	snprintf(text, sizeof(text), "private subnet %s  %s", v->stack->private.text, id(v, "subnet-private"));
	line(out, "|  +-- ", text, "+  |");
	for (unsigned int i = 0; i < v->count; i++) {
		if (v->nodes[i].server)
			print_host(&v->nodes[i], v->nodes[i].key, health, out);
	}
	line(out, "|  +", "--------------------------------------------------------------------", "+  |");
	line(out, "+", "------------------------------------------------------------------------", "+");
	if (*field(v, "proxy-ip", "PublicIp"))
		fprintf(out, "\n  https://%s/\n", *v->stack->domain ? v->stack->domain : field(v, "proxy-ip", "PublicIp"));
	doc_free(health);
}

void status_print_json(struct stack_view *v, FILE *out)
{
	doc *health = read_health(v);
	struct json j;

	json_start(&j, out);
	json_object(&j, NULL);
	json_string(&j, "stack", v->stack->name);
	json_string(&j, "region", v->stack->region);
	json_string(&j, "zone", v->stack->zone);
	json_array(&j, "resources");
	for (unsigned int i = 0; i < v->count; i++) {
		const struct node *n = &v->nodes[i];

		json_object(&j, NULL);
		json_string(&j, "resource", n->key);
		json_string(&j, "type", kinds[n->resource->kind].title);
		json_string(&j, "id", n->found ? node_id(n) : NULL);
		json_string(&j, "state", !n->found ? "absent" : kinds[n->resource->kind].state ? node_state(n) : "there");
		if (*doc_text(n->found, "PrivateIpAddress"))
			json_string(&j, "private_address", doc_text(n->found, "PrivateIpAddress"));
		if (*doc_text(n->found, "PublicIp"))
			json_string(&j, "public_address", doc_text(n->found, "PublicIp"));
		if (n->resource->kind == K_INSTANCE)
			json_string(&j, "health", *health_of(health, n) ? health_of(health, n) : NULL);
		json_bool(&j, "surplus", n->surplus);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
	doc_free(health);
}
