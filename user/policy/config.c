// SPDX-License-Identifier: MIT
#include "policy/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ini.h"
#include "policy/suffix.h"
#include "base/text.h"

#define DAY 86400
/* Amazon's addresses that answer in every VPC, without any route. */
#define AMAZON_RESOLVER "169.254.169.253"
#define AMAZON_TIME "169.254.169.123"

/* The servers that Debian's and Ubuntu's time clients ask by default (systemd-timesyncd, chrony, ntpsec). */
static const char *const default_time_names[] = {
	"0.debian.pool.ntp.org", "1.debian.pool.ntp.org", "2.debian.pool.ntp.org", "3.debian.pool.ntp.org",
	"0.ubuntu.pool.ntp.org", "1.ubuntu.pool.ntp.org", "2.ubuntu.pool.ntp.org", "3.ubuntu.pool.ntp.org",
	"ntp.ubuntu.com",
};

static int set_path(const char *value, char ret[PATH_MAX], struct error *e)
{
	size_t len = strlen(value);

	if (*value != '/' || len >= PATH_MAX - 128)
		return error_set(e, EINVAL, "'%s' is not an absolute path", value);
	while (len > 1 && value[len - 1] == '/')
		len--;
	memcpy(ret, value, len);
	ret[len] = '\0';
	return 0;
}

static int set_seconds(const char *value, uint32_t max, uint32_t *ret, struct error *e)
{
	uint64_t seconds;

	if (text_parse_seconds(value, max, &seconds))
		return error_set(e, EINVAL, "'%s' is not a time like 30s, 5m, 2h or 1d, up to %ud", value, max / DAY);
	*ret = (uint32_t)seconds;
	return 0;
}

/* Grows by doubling. */
static int add_target(struct config *c, const struct target *t, struct error *e)
{
	if (c->target_count == OH_TARGETS_MAX - 1)
		return error_set(e, E2BIG, "more than %d targets", OH_TARGETS_MAX - 1);
	if (c->target_count == c->target_room) {
		size_t room = c->target_room ? c->target_room * 2 : 16;
		struct target *grown = realloc(c->targets, room * sizeof(*grown));

		if (!grown)
			return error_set(e, ENOMEM, "out of memory");
		c->targets = grown;
		c->target_room = room;
	}
	c->targets[c->target_count++] = *t;
	return 0;
}

/* A range that holds IPv4 only if it is written as IPv4. */
static int set_range(const char *value, struct oh_range *ret, struct error *e)
{
	struct oh_range r;

	if (range_parse(value, &r))
		return error_set(e, EINVAL, "'%s' is not a range like 10.0.0.0/16", value);
	if (strchr(value, ':') && range_holds_ip4(&r))
		return error_set(e, EINVAL, "'%s' would also hold all of IPv4: write 2000::/3 for the IPv6 internet",
				 value);
	*ret = r;
	return 0;
}

static int set_cgroup(struct config *c, const char *value, struct error *e)
{
	return set_path(value, c->cgroup, e);
}

/* For a repeated key that may be "none". set: there was a line before; filled: it was not "none". */
static int check_alone(bool none, bool set, bool filled, struct error *e)
{
	return set && (none || !filled) ? error_set(e, EINVAL, "'none' cannot stand beside other values") : 0;
}

static int set_uplink(struct config *c, const char *value, struct error *e)
{
	bool none = !strcmp(value, "none");

	if (!none && !interface_name_valid(value))
		return error_set(e, EINVAL, "'%s' is not the name of an interface, nor 'auto' or 'none'", value);
	if (check_alone(none, c->uplink_set, c->uplink_count, e))
		return -EINVAL;
	if (c->uplink_count == OH_UPLINKS_MAX)
		return error_set(e, E2BIG, "more than %d uplinks", OH_UPLINKS_MAX);
	c->uplink_set = true;
	if (!none)
		snprintf(c->uplinks[c->uplink_count++], OH_INTERFACE_MAX, "%s", value);
	return 0;
}

int config_set_uplinks(struct config *c, const char **values, struct error *e)
{
	int r = 0;

	c->uplink_set = false;
	c->uplink_count = 0;
	memset(c->uplinks, 0, sizeof(c->uplinks));
	for (; !r && *values; values++)
		r = set_uplink(c, *values, e);
	return r;
}

static int set_inbound_hook(struct config *c, const char *value, struct error *e)
{
	if (strcmp(value, "auto") && strcmp(value, "tc") && strcmp(value, "xdp"))
		return error_set(e, EINVAL, "'%s' is none of auto, tc and xdp", value);
	c->xdp = !strcmp(value, "xdp");
	return 0;
}

static int set_local(struct config *c, const char *value, struct error *e)
{
	bool word = !strcmp(value, "none") || !strcmp(value, "auto");

	if ((c->local_set && (word || !c->local_count)) || c->local_count == CONFIG_LOCAL_MAX)
		return error_set(e, EINVAL, "'none' and 'auto' stand alone; at most %d ranges", CONFIG_LOCAL_MAX);
	c->local_set = true;
	c->local_auto = !strcmp(value, "auto");
	return word ? 0 : set_range(value, &c->local[c->local_count++], e);
}

static int set_max_addresses(struct config *c, const char *value, struct error *e)
{
	uint64_t n;

	if (text_parse_number(value, 1024, 1 << 24, &n))
		return error_set(e, EINVAL, "'%s' is not a number from 1024 to %d", value, 1 << 24);
	c->max_addresses = (uint32_t)n;
	return 0;
}

static int set_resolver(struct config *c, const char *value, struct error *e)
{
	struct oh_address a;

	if (!strcmp(value, "auto"))
		return 0;
	if (address_parse(value, &a))
		return error_set(e, EINVAL, "'%s' is not an address, nor 'auto'", value);
	if (c->resolver_count == CONFIG_RESOLVERS_MAX)
		return error_set(e, E2BIG, "more than %d resolvers", CONFIG_RESOLVERS_MAX);
	c->resolver_set = true;
	c->resolvers[c->resolver_count++] = a;
	return 0;
}

static int set_min_ttl(struct config *c, const char *value, struct error *e)
{
	return set_seconds(value, DAY, &c->min_ttl, e);
}

static int set_max_ttl(struct config *c, const char *value, struct error *e)
{
	return set_seconds(value, 7 * DAY, &c->max_ttl, e);
}

static int set_grace(struct config *c, const char *value, struct error *e)
{
	return set_seconds(value, DAY, &c->grace, e);
}

static int set_max_stale(struct config *c, const char *value, struct error *e)
{
	return set_seconds(value, 30 * DAY, &c->max_stale, e);
}

/* "NAME RANGE", or "*.SUFFIX RANGE". */
static int set_private(struct config *c, const char *value, struct error *e)
{
	struct config_private p, *grown;
	char name[1024], range[ADDRESS_TEXT_MAX], rest;
	int r;

	if (strlen(value) >= sizeof(name) || sscanf(value, "%1023s %51s %c", name, range, &rest) != 2)
		return error_set(e, EINVAL, "'%s' is not NAME RANGE", value);
	r = target_parse(name, &p.names, e);
	if (r)
		return r;
	if (p.names.kind != TARGET_NAME && p.names.kind != TARGET_SUFFIX)
		return error_set(e, EINVAL, "'%s' is not a name or suffix", name);
	r = set_range(range, &p.range, e);
	if (r)
		return r;
	grown = realloc(c->private, (c->private_count + 1) * sizeof(*grown));
	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	c->private = grown;
	c->private[c->private_count++] = p;
	return 0;
}

static int set_nat64(struct config *c, const char *value, struct error *e)
{
	struct oh_range r;
	int error = range_parse(value, &r);

	if (!error && !address_is_ip4(&r.address))
		error = nat64_add(&c->nat64, &r);
	if (error == -E2BIG)
		return error_set(e, E2BIG, "more than %d translators' prefixes", OH_NAT64_MAX);
	if (error == -EEXIST)
		return error_set(e, EEXIST, "'%s' overlaps another translator's prefix", value);
	if (error || address_is_ip4(&r.address))
		return error_set(e, EINVAL, "'%s' is not an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits", value);
	return 0;
}

static int set_search(struct config *c, const char *value, struct error *e)
{
	int r = check_alone(!strcmp(value, "none"), c->search_set, c->search_count, e);
	struct target t;

	c->search_set = true;
	if (r || !strcmp(value, "none"))
		return r;
	if (c->search_count == CONFIG_SEARCH_MAX)
		return error_set(e, E2BIG, "more than %d search suffixes", CONFIG_SEARCH_MAX);
	r = target_parse(value, &t, e);
	if (!r && (t.kind != TARGET_NAME || strchr(value, ':')))
		r = error_set(e, EINVAL, "'%s' is not a suffix like corp.example", value);
	if (!r)
		memcpy(c->search[c->search_count++], t.name, sizeof(t.name));
	return r;
}

/* "NAME" or "*.SUFFIX", or the root, which no target can be */
static int set_name(struct config *c, const char *value, struct error *e)
{
	struct target t = { .kind = TARGET_NAME, .name = "." }, *grown;
	int r = strcmp(value, ".") ? target_parse_options(value, &t, e) : 0;

	if (r)
		return r;
	if ((t.kind != TARGET_NAME && t.kind != TARGET_SUFFIX) || t.plain || strchr(value, ':'))
		return error_set(e, EINVAL, "'%s' is not a name or suffix", value);
	r = c->loaded ? 0 : suffix_check(&t, true, e);
	if (r)
		return r;
	grown = realloc(c->names, (c->name_count + 1) * sizeof(*grown));
	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	c->names = grown;
	c->names[c->name_count++] = t;
	return 0;
}

static int set_ntp(struct config *c, const char *value, struct error *e)
{
	bool none = !strcmp(value, "none");
	struct target t;
	int r = check_alone(none, c->ntp_set, !c->ntp_none, e);

	if (r)
		return r;
	c->ntp_set = true;
	c->ntp_none = none;
	if (none)
		return 0;
	r = target_parse_server(value, OH_SERVICE_NTP, &t, e);
	return r ? r : add_target(c, &t, e);
}

static int add_inbound(struct config *c, uint16_t port, uint16_t more, const struct oh_range *range, struct error *e)
{
	struct oh_inbound *rule = &c->inbound[c->inbound_count];
	struct oh_range all = { .prefix = range->prefix };

	if (c->inbound_count == OH_INBOUND_MAX)
		return error_set(e, E2BIG, "more than %d inbound rules", OH_INBOUND_MAX);
	memset(&all.address, 0xff, sizeof(all.address));
	range_mask(&all);
	*rule = (struct oh_inbound){ .address = range->address, .mask = all.address, .port = port, .more = more };
	c->inbound_count++;
	return 0;
}

/* "PORT RANGE", or "none" */
static int set_inbound(struct config *c, const char *value, struct error *e)
{
	char port_text[16], range_text[ADDRESS_TEXT_MAX], rest;
	bool none = !strcmp(value, "none");
	struct oh_range range;
	uint16_t port, more;
	int r = check_alone(none, c->inbound_set, c->inbound_count, e);

	if (r)
		return r;
	c->inbound_set = true;
	if (none)
		return 0;
	if (sscanf(value, "%15s %51s %c", port_text, range_text, &rest) != 2)
		return error_set(e, EINVAL, "'%s' is not PORT RANGE", value);
	if (target_parse_ports(port_text, &port, &more))
		return error_set(e, EINVAL, "'%s' is not a port (1 to 65535), nor ports like 3000-3999", port_text);
	r = set_range(range_text, &range, e);
	if (r)
		return r;
	return add_inbound(c, port, more, &range, e);
}

static int set_allow(struct config *c, const char *value, struct error *e)
{
	struct target t;
	int r = target_parse_options(value, &t, e);

	if (!r && !c->loaded)
		r = suffix_check(&t, false, e);
	return r ? r : add_target(c, &t, e);
}

static int set_word(const char *value, const char *on, const char *off, bool *ret, struct error *e)
{
	if (strcmp(value, on) && strcmp(value, off))
		return error_set(e, EINVAL, "'%s' is neither %s nor %s", value, on, off);
	*ret = !strcmp(value, on);
	return 0;
}

static int set_inspect(struct config *c, const char *value, struct error *e)
{
	return set_word(value, "on", "off", &c->inspect, e);
}

static int set_refuse(struct config *c, const char *value, struct error *e)
{
	return set_word(value, "answer", "error", &c->answer, e);
}

static int set_nts(struct config *c, const char *value, struct error *e)
{
	return set_word(value, "on", "off", &c->nts, e);
}

static int set_imds(struct config *c, const char *value, struct error *e)
{
	return set_word(value, "allow", "deny", &c->metadata, e);
}

static int set_state(struct config *c, const char *value, struct error *e)
{
	return set_path(value, c->state, e);
}

static int set_pins(struct config *c, const char *value, struct error *e)
{
	return set_path(value, c->pins, e);
}

static int set_log(struct config *c, const char *value, struct error *e)
{
	return set_path(value, c->log, e);
}

static const struct {
	const char *section, *key;
	int (*set)(struct config *c, const char *value, struct error *e);
} keys[] = {
	{ "guard", "cgroup", set_cgroup },
	{ "guard", "uplink", set_uplink },
	{ "guard", "inbound", set_inbound_hook },
	{ "guard", "local", set_local },
	{ "guard", "max-addresses", set_max_addresses },
	{ "dns", "resolver", set_resolver },
	{ "dns", "min-ttl", set_min_ttl },
	{ "dns", "max-ttl", set_max_ttl },
	{ "dns", "grace", set_grace },
	{ "dns", "max-stale", set_max_stale },
	{ "dns", "private", set_private },
	{ "dns", "nat64", set_nat64 },
	{ "dns", "inspect", set_inspect },
	{ "dns", "refuse", set_refuse },
	{ "dns", "search", set_search },
	{ "dns", "name", set_name },
	{ "ntp", "server", set_ntp },
	{ "ntp", "nts", set_nts },
	{ "inbound", "accept", set_inbound },
	{ "allow", "target", set_allow },
	{ "imds", "access", set_imds },
	{ "paths", "state", set_state },
	{ "paths", "pins", set_pins },
	{ "paths", "log", set_log },
};

static int visit(void *context, const char *section, const char *key, const char *value, struct error *e)
{
	bool known = false;
	int r;

	if (!strcmp(section, "stack"))	/* `ohguard aws` reads this one */
		return 0;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (strcmp(section, keys[i].section))
			continue;
		known = true;
		if (!key || strcmp(key, keys[i].key))
			continue;
		r = keys[i].set(context, value, e);
		if (r && strchr(value, '#'))
			error_set(e, -r, "'%s': a comment after a value begins with ;", value);
		return r ? error_prefix(e, -r, "[%s] %s", section, key) : 0;
	}
	if (!known)
		return error_set(e, EINVAL, "[%s]: no such section: see ohguard.conf(5)", section);
	return key ? error_set(e, EINVAL, "[%s] %s: no such key: see ohguard.conf(5)", section, key) : 0;
}

static const struct config defaults = {
	.max_addresses = OH_ADDRESSES_DEFAULT,
	.min_ttl = 30,
	.max_ttl = 3600,
	.grace = 120,
	.max_stale = DAY,
	.inspect = true,
	.answer = true,
	.state = "/var/lib/ohguard",
	.pins = "/sys/fs/bpf/ohguard",
	.log = "/var/log/ohguard",
};

/* ssh from private networks, so that loading the guard over ssh does not lock the operator out. */
static const char *const default_inbound[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7" };

/* The names on demand alone: most machines ask for none of them, and Amazon's address needs no asking. */
static int add_default_time(struct config *c, struct error *e)
{
	int r = set_ntp(c, AMAZON_TIME, e);

	for (size_t i = 0; !r && c->inspect && i < sizeof(default_time_names) / sizeof(*default_time_names); i++) {
		r = set_ntp(c, default_time_names[i], e);
		if (!r)
			c->targets[c->target_count - 1].on_demand = true;
	}
	return r;
}

static int fill_in(struct config *c, struct error *e)
{
	int r = 0;

	if (!c->resolver_set)
		c->resolver_count = resolv_conf_find(c->resolvers);
	if (!c->resolver_count) {
		address_parse(AMAZON_RESOLVER, &c->resolvers[0]);
		c->resolver_count = 1;
	}
	if (!c->search_set)
		c->search_count = resolv_conf_search("/etc/resolv.conf", c->search);
	if (!c->ntp_set)
		r = add_default_time(c, e);
	for (size_t i = 0; !r && !c->inbound_set && i < sizeof(default_inbound) / sizeof(*default_inbound); i++) {
		struct oh_range range;

		range_parse(default_inbound[i], &range);
		r = add_inbound(c, 22, 0, &range, e);
	}
	for (size_t i = 0; !r && i < c->resolver_count; i++) {
		struct target t = { .kind = TARGET_ADDRESS, .service = OH_SERVICE_DNS, .port = 53,
				    .range = { .prefix = 128, .address = c->resolvers[i] } };

		r = add_target(c, &t, e);
	}
	return r;
}

/* Checks what no value shows alone. */
static int check(const struct config *c, struct error *e)
{
	if (c->min_ttl > c->max_ttl)
		return error_set(e, EINVAL, "[dns] min-ttl is longer than max-ttl");
	for (size_t i = 0; i < c->private_count; i++) {
		size_t ranges = 0;

		for (size_t j = 0; j < c->private_count; j++)
			ranges += target_covers(&c->private[j].names, &c->private[i].names);
		if (ranges > OH_PRIVATE_MAX)
			return error_set(e, E2BIG, "[dns] private: %s: more than %d ranges", c->private[i].names.name,
					 OH_PRIVATE_MAX);
	}
	for (size_t i = 0; i < c->target_count; i++) {
		const struct target *t = &c->targets[i];

		if (t->kind == TARGET_SUFFIX && !c->inspect)
			return error_set(e, EINVAL, "[allow] target: *.%s: a suffix cannot be resolved, and answers "
					 "are read only with [dns] inspect = on", t->name);
		if (t->kind == TARGET_ADDRESS && t->service == OH_SERVICE_TCP && !c->metadata &&
		    address_is_metadata(&t->range.address, &c->nat64))
			return error_set(e, EINVAL, "[allow] target: the metadata service has its own key: [imds] "
					 "access");
	}
	return 0;
}

static int read_config(const char *path, bool loaded, struct config *ret, struct error *e)
{
	const char *file = path ? path : CONFIG_FILE;
	int r;

	*ret = defaults;
	ret->loaded = loaded;
	r = ini_read_text(file, visit, ret, &ret->text, &ret->text_size, e);
	if (r == -ENOENT && !path)
		r = 0;
	if (!r)
		r = fill_in(ret, e);
	if (!r) {
		r = check(ret, e);
		if (r)
			error_prefix(e, -r, "%s", file);
	}
	if (r)
		config_free(ret);
	return r;
}

int config_read(const char *path, struct config *ret, struct error *e)
{
	return read_config(path, false, ret, e);
}

int config_read_loaded(const char *path, struct config *ret, struct error *e)
{
	return read_config(path, true, ret, e);
}

int config_default(struct config *ret, struct error *e)
{
	int r;

	*ret = defaults;
	r = fill_in(ret, e);
	if (r)
		config_free(ret);
	return r;
}

void config_free(struct config *c)
{
	free(c->private);
	free(c->names);
	free(c->targets);
	free(c->text);
	memset(c, 0, sizeof(*c));
}
