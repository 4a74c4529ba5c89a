// SPDX-License-Identifier: MIT
#include "aws/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <elf.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/agent.h"
#include "base/ini.h"
#include "base/text.h"

#define DEFAULT_FILE "/etc/ohguard/ohguard.conf"
#define STATE_FOLDER "/var/lib/ohguard"

static const struct stack defaults = {
	.name = "ohguard",
	.region = "us-east-1",
	.vpc = { "10.0.0.0/16", 0x0a000000, 16 },
	.public = { "10.0.0.0/24", 0x0a000000, 24 },
	.private = { "10.0.1.0/24", 0x0a000100, 24 },
	.acme = true,
	.proxy_type = "t3.small",
	.server_type = "t3.large",
	.proxy_disk = 16,
	.server_disk = 40,
	.state_disk = 20,
	.ubuntu = "22.04",
	.model = "openai/gpt-5.6",
	.base_url = "https://api.openai.com/v1",
	.servers = 1,
	.state = STATE_FOLDER,
};

int cidr_parse(const char *text, struct cidr *ret)
{
	char address[16];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct in_addr in;
	struct cidr c;
	uint64_t bits = 32;

	if (len >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, len);
	address[len] = '\0';
	if (inet_pton(AF_INET, address, &in) != 1)
		return -EINVAL;
	if (slash && text_parse_number(slash + 1, 0, 32, &bits))
		return -EINVAL;
	c.length = (unsigned int)bits;
	c.address = ntohl(in.s_addr);
	if (bits < 32 && (c.address & (0xffffffffu >> bits)))
		return -EINVAL;
	snprintf(c.text, sizeof(c.text), "%s/%u", address, c.length);
	*ret = c;
	return 0;
}

bool cidr_contains(const struct cidr *outer, const struct cidr *inner)
{
	if (inner->length < outer->length)
		return false;
	return !outer->length || !((outer->address ^ inner->address) >> (32 - outer->length));
}

void cidr_host(const struct cidr *range, unsigned int n, char ret[20])
{
	uint32_t a = range->address + n;

	snprintf(ret, 20, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

/* What each kind of value may hold. All are so narrow that none needs quoting in a shell, a unit file, an nginx site or
 * YAML. */
enum kind { NAME, REGION, ZONE, RANGE, DOMAIN, EMAIL, TYPE, VERSION, URL, PATH, PROFILE, COUNT, DISK, YES_NO, IMAGE,
	    MODEL, BUCKET, ACCESS };

struct key {
	const char *name;
	enum kind kind;
	size_t offset, size;
	const char *expects;
};

#define KEY(key, kind, member, expects) \
	{ key, kind, offsetof(struct stack, member), sizeof(((struct stack *)0)->member), expects }

static const struct key keys[] = {
	KEY("name", NAME, name, "1 to 20 of a-z, 0-9 and '-', a letter first, not sg"),
	KEY("region", REGION, region, "a region like us-east-1"),
	KEY("zone", ZONE, zone, "an availability zone of that region like us-east-1a"),
	KEY("vpc", RANGE, vpc, "a range like 10.0.0.0/16"),
	KEY("public", RANGE, public, "a range like 10.0.0.0/24"),
	KEY("private", RANGE, private, "a range like 10.0.1.0/24"),
	KEY("domain", DOMAIN, domain, "a domain name like agent.example.com"),
	KEY("acme", YES_NO, acme, "yes or no"),
	KEY("email", EMAIL, email, "an address like ops@example.com"),
	KEY("proxy-type", TYPE, proxy_type, "an instance type like t3.small"),
	KEY("server-type", TYPE, server_type, "an instance type like t3.large"),
	KEY("proxy-disk", DISK, proxy_disk, "8 to 1000 (GB)"),
	KEY("server-disk", DISK, server_disk, "8 to 1000 (GB)"),
	KEY("state-disk", DISK, state_disk, "8 to 1000 (GB)"),
	KEY("ubuntu", VERSION, ubuntu, "22.04, 24.04 or 26.04"),
	KEY("openhands", IMAGE, openhands, "VERSION@sha256:DIGEST"),	/* says more: see agent_parse_image() */
	KEY("openhands-settings", PATH, openhands_settings, "an absolute path"),
	KEY("model", MODEL, model, "a model as LiteLLM names it, like openai/gpt-5.6"),
	KEY("base-url", URL, base_url, "an https:// address like https://api.openai.com/v1, on port 443"),
	KEY("mirror", URL, mirror, "an https:// address of an Ubuntu archive"),
	KEY("program", PATH, program, "an absolute path"),
	KEY("policy", PATH, policy, "an absolute path"),
	KEY("instance-profile", PROFILE, profile, "the name of an IAM instance profile"),
	KEY("flow-logs", BUCKET, flow_logs, "a bucket like arn:aws:s3:::NAME or arn:aws:s3:::NAME/FOLDER"),
	KEY("access", ACCESS, endpoint, "proxy or endpoint"),
	KEY("dns-firewall", YES_NO, dns_firewall, "yes or no"),
	KEY("servers", COUNT, servers, "1 to 16"),
	KEY("agent-docker", YES_NO, agent_docker, "yes or no"),
	KEY("agent-sudo", YES_NO, agent_sudo, "yes or no"),
};

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGIT "0123456789"

static bool only(const char *text, const char *characters)
{
	return *text && !text[strspn(text, characters)];
}

static bool is_domain(const char *text)
{
	size_t label = 0, dots = 0;

	for (const char *c = text; *c; c++) {
		if (*c == '.') {
			if (!label || c[-1] == '-')
				return false;
			label = 0;
			dots++;
			continue;
		}
		if (!strchr(LOWER DIGIT "-", *c) || (*c == '-' && !label) || ++label > 63)
			return false;
	}
	return label && dots && text[strlen(text) - 1] != '-';
}

/* aa-word-1, or aa-word-word-1 */
static bool is_region(const char *text)
{
	size_t len = strlen(text);

	return len >= 8 && only(text, LOWER DIGIT "-") && islower((unsigned char)text[0]) &&
	       islower((unsigned char)text[1]) && text[2] == '-' && isdigit((unsigned char)text[len - 1]) &&
	       text[len - 2] == '-';
}

static bool fits(enum kind kind, const char *v)
{
	const char *at;

	switch (kind) {
	case NAME:
		/* The name of a group must not begin like the id of one. */
		return only(v, LOWER DIGIT "-") && islower((unsigned char)*v) && strlen(v) <= 20 && strcmp(v, "sg") &&
		       strncmp(v, "sg-", 3);
	case REGION:
		return is_region(v);
	case ZONE:
		return only(v, LOWER DIGIT "-");
	case DOMAIN:
		return is_domain(v);
	case EMAIL:
		at = strchr(v, '@');
		return at && at != v && is_domain(at + 1) && strspn(v, LOWER DIGIT "._+-") == (size_t)(at - v);
	case TYPE:
		return only(v, LOWER DIGIT ".-") && strchr(v, '.') && isalpha((unsigned char)*v);
	case VERSION:
		return only(v, DIGIT ".") && isdigit((unsigned char)*v);
	case URL:
		return !strncmp(v, "https://", 8) && only(v + 8, LOWER DIGIT "./-");
	case MODEL:
		return only(v, LOWER DIGIT "ABCDEFGHIJKLMNOPQRSTUVWXYZ/:._@-") && isalnum((unsigned char)*v);
	case PATH:
		return *v == '/' && only(v, LOWER DIGIT "ABCDEFGHIJKLMNOPQRSTUVWXYZ/._-");
	case BUCKET:
		at = strstr(v, ":s3:::");
		return !strncmp(v, "arn:aws", 7) && at && islower((unsigned char)at[6]) &&
		       only(v, LOWER DIGIT "ABCDEFGHIJKLMNOPQRSTUVWXYZ:/._-");
	case PROFILE:
		return only(v, LOWER DIGIT "ABCDEFGHIJKLMNOPQRSTUVWXYZ+=,.@_-");
	default:
		return false;
	}
}

static int set_key(const struct key *k, struct stack *stack, const char *value)
{
	void *at = (char *)stack + k->offset;
	uint64_t number;

	switch (k->kind) {
	case RANGE:
		return cidr_parse(value, at);
	case COUNT:
	case DISK:
		if (text_parse_number(value, k->kind == DISK ? 8 : 1, k->kind == DISK ? 1000 : STACK_SERVERS_MAX,
				      &number))
			return -EINVAL;
		*(unsigned int *)at = (unsigned int)number;
		return 0;
	case YES_NO:
		if (strcmp(value, "yes") && strcmp(value, "no"))
			return -EINVAL;
		*(bool *)at = !strcmp(value, "yes");
		return 0;
	case ACCESS:
		if (strcmp(value, "proxy") && strcmp(value, "endpoint"))
			return -EINVAL;
		*(bool *)at = !strcmp(value, "endpoint");
		return 0;
	default:
		if (!fits(k->kind, value) || strlen(value) >= k->size)
			return -EINVAL;
		strcpy(at, value);
		return 0;
	}
}

struct reading {
	struct stack *stack;
	uint64_t seen;	/* a bit for each of keys */
};

const struct arch_names archs[ARCHS] = {
	[ARCH_X86] = { "amd64", "x86-64", EM_X86_64 },
	[ARCH_ARM] = { "arm64", "ARM64", EM_AARCH64 },
};

/* Families whose processors are Graviton have a g after their generation: t4g, m7gd, im4gn. And a1. */
enum arch stack_arch(const char *type)
{
	size_t letters = strcspn(type, DIGIT), generation = letters + strspn(type + letters, DIGIT);
	bool arm = !strncmp(type, "a1.", 3) || memchr(type + generation, 'g', strcspn(type + generation, "."));

	return arm ? ARCH_ARM : ARCH_X86;
}

static int add_operator(struct stack *stack, const char *value, struct error *e)
{
	if (stack->operator_count == OPERATORS_MAX)
		return error_set(e, E2BIG, "operator = %s: more than %d of them", value, OPERATORS_MAX);
	if (cidr_parse(value, &stack->operators[stack->operator_count]))
		return error_set(e, EINVAL, "operator = %s: expected your IPv4 address or range like 203.0.113.7",
				 value);
	stack->operator_count++;
	return 0;
}

/* AWS keeps aws: for itself, and the stack finds its parts by its own. A comma, quote or brace would end the word that
 * `aws` is given. */
static int add_tag(struct stack *stack, const char *text, struct error *e)
{
	static const char allowed[] = LOWER DIGIT "ABCDEFGHIJKLMNOPQRSTUVWXYZ+-._:/@ ";
	struct tag *t = &stack->tags[stack->tag_count];
	size_t len = strcspn(text, "="), end = len;
	const char *value = text + len + 1;

	while (end && text[end - 1] == ' ')
		end--;
	if (text[len])
		value += strspn(value, " ");
	if (!text[len] || !end || end >= sizeof(t->key) || strlen(value) >= sizeof(t->value) ||
	    strspn(text, allowed) != len || !only(value, allowed))
		return error_set(e, EINVAL, "tags = %s: expected KEY=VALUE of letters, digits, blanks and +-._:/@",
				 text);
	if (!strncasecmp(text, "aws:", 4) || !strncasecmp(text, "ohguard:", 8) ||
	    (end == 4 && !memcmp(text, "Name", 4)))
		return error_set(e, EINVAL, "tags = %s: Name, ohguard: and aws: are not yours to set", text);
	if (stack->tag_count == TAGS_MAX)
		return error_set(e, E2BIG, "tags = %s: more than %d of them", text, TAGS_MAX);
	snprintf(t->key, sizeof(t->key), "%.*s", (int)end, text);
	strcpy(t->value, value);
	for (unsigned int i = 0; i < stack->tag_count; i++) {
		if (!strcmp(stack->tags[i].key, t->key))
			return error_set(e, EINVAL, "tags = %s: %s is given twice", text, t->key);
	}
	stack->tag_count++;
	return 0;
}

static int visit(void *context, const char *section, const char *key, const char *value, struct error *e)
{
	static const char *const others[] = { "guard", "dns", "ntp", "inbound", "allow", "imds", "verify", "history",
					      "paths" };
	struct reading *reading = context;
	struct stack *stack = reading->stack;

	if (key && !strcmp(section, "paths") && !strcmp(key, "state")) {
		if (!fits(PATH, value) || strlen(value) + sizeof("/aws/") + sizeof(stack->name) >= sizeof(stack->state))
			return error_set(e, EINVAL, "%s = %s: expected an absolute path", key, value);
		strcpy(stack->state, value);
		return 0;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		if (!strcmp(section, others[i]))
			return 0;
	}
	if (strcmp(section, "stack"))
		return error_set(e, EINVAL, "[%s]: no such section", section);
	if (!key)
		return 0;
	if (!strcmp(key, "operator"))
		return add_operator(stack, value, e);
	if (!strcmp(key, "tags"))
		return add_tag(stack, value, e);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (strcmp(key, keys[i].name))
			continue;
		if (reading->seen >> i & 1)
			return error_set(e, EINVAL, "%s: given twice in [stack]", key);
		reading->seen |= 1ull << i;
		if (keys[i].kind == IMAGE)
			return agent_parse_image(value, stack->openhands, e);
		if (set_key(&keys[i], stack, value))
			return error_set(e, EINVAL, "%s = %s: expected %s", key, value, keys[i].expects);
		return 0;
	}
	if (!strcmp(key, "model-host"))
		return error_set(e, EINVAL, "model-host: it follows from `base-url = https://%s/v1` now: write that",
				 value);
	return error_set(e, EINVAL, "%s: no such key in [stack]", key);
}

const struct ubuntu *stack_ubuntu(const struct stack *stack)
{
	static const struct ubuntu releases[] = {
		{ "22.04", "jammy", "ebs-gp2", "hvm-ssd" },
		{ "24.04", "noble", "ebs-gp3", "hvm-ssd-gp3" },
		{ "26.04", "resolute", "ebs-gp3", "hvm-ssd-gp3" },
	};

	for (size_t i = 0; i < sizeof(releases) / sizeof(*releases); i++) {
		if (!strcmp(releases[i].version, stack->ubuntu))
			return &releases[i];
	}
	return NULL;
}

/* Checks what no key shows alone. */
static int check(const struct stack *s, const char *path, struct error *e)
{
	size_t region = strlen(s->region);

	if (strncmp(s->zone, s->region, region) || !islower((unsigned char)s->zone[region]) || s->zone[region + 1])
		return error_set(e, EINVAL, "%s: zone = %s is not in region = %s: name one like %sa", path, s->zone,
				 s->region, s->region);
	if (s->vpc.length < 16 || s->public.length > 27 || s->private.length > 27)
		return error_set(e, EINVAL, "%s: vpc takes a /16 or smaller, public and private a /27 or larger", path);
	if (!cidr_contains(&s->vpc, &s->public) || !cidr_contains(&s->vpc, &s->private))
		return error_set(e, EINVAL, "%s: public = %s and private = %s must lie in vpc = %s", path,
				 s->public.text, s->private.text, s->vpc.text);
	if (cidr_contains(&s->public, &s->private) || cidr_contains(&s->private, &s->public))
		return error_set(e, EINVAL, "%s: public = %s and private = %s overlap", path, s->public.text,
				 s->private.text);
	if (!stack_ubuntu(s))
		return error_set(e, EINVAL, "%s: ubuntu = %s: expected 22.04, 24.04 or 26.04", path, s->ubuntu);
	return 0;
}

/* As `aws` itself finds it, where the file says nothing. */
static int region_of_environment(char *region, size_t size, struct error *e)
{
	const char *name = getenv("AWS_REGION") ? "AWS_REGION" : "AWS_DEFAULT_REGION", *value = getenv(name);

	if (!value || !*value)
		value = defaults.region;
	else if (!is_region(value) || strlen(value) >= size)
		return error_set(e, EINVAL, "%s=%.40s: expected a region like us-east-1", name, value);
	strcpy(region, value);
	return 0;
}

int stack_read(const char *path, struct stack *stack, struct error *e)
{
	struct stack s = defaults;
	struct reading reading = { .stack = &s };
	size_t used;
	int r;

	*s.region = '\0';
	r = ini_read(path ? path : DEFAULT_FILE, visit, &reading, e);
	if (r && !(r == -ENOENT && !path))
		return r;
	r = *s.region ? 0 : region_of_environment(s.region, sizeof(s.region), e);
	if (r)
		return r;
	/* An https:// address without a port: see fits(). */
	snprintf(s.model_host, sizeof(s.model_host), "%.*s", (int)strcspn(s.base_url + 8, "/"), s.base_url + 8);
	if (!is_domain(s.model_host))
		return error_set(e, EINVAL, "%s: base-url = %s: expected https://NAME/PATH without a port: only port "
				 "443 gets out", path ? path : DEFAULT_FILE, s.base_url);
	if (!*s.zone)
		snprintf(s.zone, sizeof(s.zone), "%sa", s.region);
	r = check(&s, path ? path : DEFAULT_FILE, e);
	if (r)
		return r;
	used = strlen(s.state);
	snprintf(s.state + used, sizeof(s.state) - used, "/aws/%s", s.name);
	*stack = s;
	return 0;
}

int stack_check_openhands(const struct stack *stack, struct error *e)
{
	if (*stack->openhands)
		return 0;
	return error_set(e, EINVAL, "[stack] has no openhands: write `openhands = VERSION@sha256:DIGEST`, with what "
			 "`docker buildx imagetools inspect ghcr.io/openhands/agent-canvas:VERSION` prints as Digest; "
			 "docs/aws.md names the versions that were tried");
}

int stack_check_operator(const struct stack *stack, bool open, struct error *e)
{
	if (!stack->operator_count)
		return error_set(e, EINVAL, "[stack] has no operator: write `operator = ADDRESS`, the IPv4 address or "
				 "range from which you will reach the proxy");
	for (unsigned int i = 0; i < stack->operator_count; i++) {
		const struct cidr *o = &stack->operators[i];

		/* A /8 is 16 million hosts: a shorter prefix means everyone. */
		if (o->length < 8 && !open)
			return error_set(e, EPERM, "operator = %s opens ssh and https of the proxy to the world: "
					 "narrow it, or say --open", o->text);
		if (cidr_contains(&stack->vpc, o) || (cidr_contains(o, &stack->vpc) && o->length >= 8))
			return error_set(e, EINVAL, "operator = %s overlaps vpc = %s: it is the address you come "
					 "from, outside the VPC", o->text, stack->vpc.text);
	}
	return 0;
}
