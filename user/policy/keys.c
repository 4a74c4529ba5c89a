// SPDX-License-Identifier: MIT
#include "policy/keys.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "policy/suffix.h"
#include "base/text.h"

#define DAY 86400
#define FILE_SIZE_MIN (64 << 10)
#define FILE_SIZE_MAX (1 << 30)

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

int config_add_target(struct config *c, const struct target *t, struct error *e)
{
	struct target *grown;

	if (c->target_count == OH_TARGETS_MAX - 1)
		return error_set(e, E2BIG, "more than %d targets", OH_TARGETS_MAX - 1);
	grown = list_grow(c->targets, c->target_count, sizeof(*grown));
	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	c->targets = grown;
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
	grown = list_grow(c->private, c->private_count, sizeof(*grown));
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
	grown = list_grow(c->names, c->name_count, sizeof(*grown));
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
	return r ? r : config_add_target(c, &t, e);
}

int config_add_inbound(struct config *c, uint16_t port, uint16_t more, const struct oh_range *range, struct error *e)
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
	return config_add_inbound(c, port, more, &range, e);
}

static int set_allow(struct config *c, const char *value, struct error *e)
{
	struct target t;
	int r = target_parse_options(value, &t, e);

	if (!r && !c->loaded)
		r = suffix_check(&t, false, e);
	return r ? r : config_add_target(c, &t, e);
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

static int add_check(struct config *c, const char *value, bool works, struct error *e)
{
	struct check check, *grown;
	int r = check_parse(value, works, &check, e);

	if (r)
		return r;
	if (c->check_count == CONFIG_CHECKS_MAX)
		return error_set(e, E2BIG, "more than %d lines", CONFIG_CHECKS_MAX);
	grown = list_grow(c->checks, c->check_count, sizeof(*grown));
	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	c->checks = grown;
	c->checks[c->check_count++] = check;
	return 0;
}

static int set_works(struct config *c, const char *value, struct error *e)
{
	return add_check(c, value, true, e);
}

static int set_fails(struct config *c, const char *value, struct error *e)
{
	return add_check(c, value, false, e);
}

static int set_file_size(struct config *c, const char *value, struct error *e)
{
	uint64_t bytes;

	if (text_parse_size(value, FILE_SIZE_MAX, &bytes) || bytes < FILE_SIZE_MIN)
		return error_set(e, EINVAL, "'%s' is not a size like 16M, from 64k to 1G", value);
	c->history.file_size = (uint32_t)bytes;
	return 0;
}

static int set_age(const char *value, uint32_t *ret, struct error *e)
{
	uint32_t seconds;
	int r = set_seconds(value, 3650 * DAY, &seconds, e);

	if (r)
		return r;
	if (seconds < 3600)
		return error_set(e, EINVAL, "'%s' is less than an hour", value);
	*ret = seconds;
	return 0;
}

static int set_file_age(struct config *c, const char *value, struct error *e)
{
	return set_age(value, &c->history.file_age, e);
}

static int set_keep(struct config *c, const char *value, struct error *e)
{
	return set_age(value, &c->history.keep, e);
}

static int set_files(struct config *c, const char *value, struct error *e)
{
	uint64_t n;

	if (text_parse_number(value, 1, CONFIG_HISTORY_FILES_MAX, &n))
		return error_set(e, EINVAL, "'%s' is not a number from 1 to %d", value, CONFIG_HISTORY_FILES_MAX);
	c->history.files = (uint32_t)n;
	return 0;
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

const struct config_key config_keys[] = {
	{ "guard", "cgroup", set_cgroup, false, NULL, "what is guarded now, else the whole machine" },
	{ "guard", "uplink", set_uplink, true, NULL,
	  "what is guarded now, else auto for the whole machine and none for a cgroup" },
	{ "guard", "inbound", set_inbound_hook, false, "auto", NULL },
	{ "guard", "local", set_local, true, NULL, "auto for the whole machine with an uplink, else none" },
	{ "guard", "max-addresses", set_max_addresses, false, "131072", NULL },
	{ "dns", "resolver", set_resolver, true, "auto", NULL },
	{ "dns", "min-ttl", set_min_ttl, false, "30s", NULL },
	{ "dns", "max-ttl", set_max_ttl, false, "1h", NULL },
	{ "dns", "grace", set_grace, false, "2m", NULL },
	{ "dns", "max-stale", set_max_stale, false, "1d", NULL },
	{ "dns", "private", set_private, true, NULL, "none" },
	{ "dns", "nat64", set_nat64, true, NULL, "none" },
	{ "dns", "inspect", set_inspect, false, "on", NULL },
	{ "dns", "refuse", set_refuse, false, "answer", NULL },
	{ "dns", "search", set_search, true, NULL, "the suffixes of /etc/resolv.conf" },
	{ "dns", "name", set_name, true, NULL, "none" },
	{ "ntp", "server", set_ntp, true, NULL, "Amazon's address, and the names that Debian and Ubuntu ask" },
	{ "ntp", "nts", set_nts, false, "off", NULL },
	{ "inbound", "accept", set_inbound, true, NULL, "22 from private networks" },
	{ "allow", "target", set_allow, true, NULL, "none" },
	{ "imds", "access", set_imds, false, "deny", NULL },
	{ "verify", "works", set_works, true, NULL, "what ohguard(8) says at verify" },
	{ "verify", "fails", set_fails, true, NULL, "what ohguard(8) says at verify" },
	{ "history", "file-size", set_file_size, false, "16M", NULL },
	{ "history", "file-age", set_file_age, false, "1d", NULL },
	{ "history", "keep", set_keep, false, "90d", NULL },
	{ "history", "files", set_files, false, "200", NULL },
	{ "paths", "state", set_state, false, "/var/lib/ohguard", NULL },
	{ "paths", "pins", set_pins, false, "/sys/fs/bpf/ohguard", NULL },
	{ "paths", "log", set_log, false, "/var/log/ohguard", NULL },
};
const size_t config_key_count = sizeof(config_keys) / sizeof(*config_keys);
_Static_assert(sizeof(config_keys) / sizeof(*config_keys) <= CONFIG_KEYS_MAX, "more keys");
