// SPDX-License-Identifier: MIT
#include "policy/config_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ini.h"
#include "policy/keys.h"
#include "policy/misspelt.h"

/* Amazon's addresses that answer in every VPC, without any route. */
#define AMAZON_RESOLVER "169.254.169.253"
#define AMAZON_TIME "169.254.169.123"

/* The servers that Debian's and Ubuntu's time clients ask by default (systemd-timesyncd, chrony, ntpsec). */
static const char *const default_time_names[] = {
	"0.debian.pool.ntp.org", "1.debian.pool.ntp.org", "2.debian.pool.ntp.org", "3.debian.pool.ntp.org",
	"0.ubuntu.pool.ntp.org", "1.ubuntu.pool.ntp.org", "2.ubuntu.pool.ntp.org", "3.ubuntu.pool.ntp.org",
	"ntp.ubuntu.com",
};

/* A line like this stands before what came from a file of CONFIG_FOLDER. */
#define PART "; ohguard: from "

/* ---- the text: the file, and those of the folder ---- */

struct text {
	char *bytes;
	size_t size;
};

static int append(struct text *to, const char *bytes, size_t size)
{
	char *grown = realloc(to->bytes, to->size + size + 1);

	if (!grown)
		return -ENOMEM;
	memcpy(grown + to->size, bytes, size);
	to->bytes = grown;
	to->size += size;
	return 0;
}

static int append_part(struct text *to, const char *path, struct error *e)
{
	char *bytes, head[PATH_MAX + sizeof(PART) + 2];
	size_t size;
	int r = ini_load(path, false, &bytes, &size, e);

	if (r)
		return r;
	/* the part before may lack its last newline */
	snprintf(head, sizeof(head), "%s" PART "%s\n", to->size && to->bytes[to->size - 1] != '\n' ? "\n" : "", path);
	r = append(to, head, strlen(head));
	if (!r)
		r = append(to, bytes, size);
	free(bytes);
	return r ? error_set(e, ENOMEM, "out of memory") : 0;
}

static int is_part(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return *entry->d_name != '.' && length > 5 && !strcmp(entry->d_name + length - 5, ".conf");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int append_folder(struct text *to, struct error *e)
{
	struct dirent **entries;
	char path[PATH_MAX];
	struct stat st;
	int n, r = 0;

	n = scandir(CONFIG_FOLDER, &entries, is_part, by_name);
	if (n < 0)
		return errno == ENOENT ? 0 : error_set(e, errno, "%s: %s", CONFIG_FOLDER, strerror(errno));
	if (stat(CONFIG_FOLDER, &st) || (st.st_uid && st.st_uid != geteuid()) || st.st_mode & (S_IWGRP | S_IWOTH))
		r = error_set(e, EPERM, "%s: others than root can put files there: chown root it, and chmod go-w it",
			      CONFIG_FOLDER);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", CONFIG_FOLDER, entries[i]->d_name);
		if (!r)
			r = append_part(to, path, e);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int config_text(const char *path, char **ret_text, size_t *ret_size, struct error *e)
{
	struct text text = { 0 };
	int r = ini_load(path ? path : CONFIG_FILE, false, &text.bytes, &text.size, e);

	if (!path && (!r || r == -ENOENT))
		r = append_folder(&text, e);
	if (r) {
		free(text.bytes);
		return r;
	}
	*ret_text = text.bytes;
	*ret_size = text.size;
	return 0;
}

/* ---- reading it ---- */

struct reading {
	config_visit visit;
	void *context;
	struct config_line at;
	bool given[CONFIG_KEYS_MAX];		/* keys that this part has had */
	bool checked;		/* it was in force already */
};

const struct config_key *config_key(const char *section, const char *key)
{
	for (size_t i = 0; i < config_key_count; i++) {
		if (!strcmp(section, config_keys[i].section) && (!key || !strcmp(key, config_keys[i].key)))
			return &config_keys[i];
	}
	return NULL;
}

static int visit(void *context, const char *section, const char *key, const char *value, struct error *e)
{
	struct reading *reading = context;
	const struct config_key *found = config_key(section, key);
	bool *given;
	int r;

	if (!strcmp(section, "stack"))	/* `ohguard aws` reads this one */
		return 0;
	if (!key && found)
		return 0;
	if (!found)
		return misspelt(section, config_key(section, NULL) ? key : NULL, e);
	given = &reading->given[found - config_keys];
	reading->at.key = found;
	reading->at.value = value;
	r = reading->visit(reading->context, &reading->at, e);
	if (r && strchr(value, '#'))
		error_set(e, -r, "'%s': a comment after a value begins with ;", value);
	else if (!r && *given && !found->repeated && !reading->checked)
		r = error_set(e, EINVAL, "a second time in this file");
	*given = true;
	return r ? error_prefix(e, -r, "[%s] %s", section, key) : 0;
}

static bool part_begins(const char *at, const char *end)
{
	return (size_t)(end - at) >= strlen(PART) && !memcmp(at, PART, strlen(PART));
}

/* Where the next part of the text begins, or its end. */
static const char *next_part(const char *at, const char *end)
{
	while (at < end) {
		at = memchr(at, '\n', (size_t)(end - at));
		if (!at)
			break;
		at++;
		if (part_begins(at, end))
			return at;
	}
	return end;
}

int config_walk(const struct config *c, const char *path, config_visit each, void *context, struct error *e)
{
	const char *at = c->text, *end = at ? at + c->text_size : at;
	char name[PATH_MAX];
	int r = 0;

	snprintf(name, sizeof(name), "%s", path ? path : CONFIG_FILE);
	while (!r && at < end) {
		struct reading reading = { .visit = each, .context = context, .at = { .file = name },
					   .checked = c->loaded };
		const char *next;

		if (part_begins(at, end)) {
			const char *line = memchr(at, '\n', (size_t)(end - at));

			line = line ? line : end;
			snprintf(name, sizeof(name), "%.*s", (int)(line - at - (long)strlen(PART)), at + strlen(PART));
			at = line < end ? line + 1 : end;
		}
		/* a part may be empty, and the next one's head its first line */
		next = part_begins(at, end) ? at : next_part(at, end);
		r = ini_walk(name, at, (size_t)(next - at), &reading.at.line, visit, &reading, e);
		at = next;
	}
	return r;
}

static int set(void *context, const struct config_line *line, struct error *e)
{
	return line->key->set(context, line->value, e);
}

/* What each key is without a line. */
static int set_fallbacks(struct config *c, struct error *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < config_key_count; i++) {
		if (config_keys[i].fallback)
			r = config_keys[i].set(c, config_keys[i].fallback, e);
	}
	return r;
}

/* ssh from private networks, so that loading the guard over ssh does not lock the operator out. */
static const char *const default_inbound[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7" };

/* The names on demand alone: most machines ask for none of them, and Amazon's address needs no asking. */
static int add_default_time(struct config *c, struct error *e)
{
	int r = config_key("ntp", "server")->set(c, AMAZON_TIME, e);

	c->ntp_default = true;
	for (size_t i = 0; !r && c->inspect && i < sizeof(default_time_names) / sizeof(*default_time_names); i++) {
		r = config_key("ntp", "server")->set(c, default_time_names[i], e);
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
		r = config_add_inbound(c, 22, 0, &range, e);
	}
	for (size_t i = 0; !r && i < c->resolver_count; i++) {
		struct target t = { .kind = TARGET_ADDRESS, .service = OH_SERVICE_DNS, .port = 53,
				    .range = { .prefix = 128, .address = c->resolvers[i] } };

		r = config_add_target(c, &t, e);
	}
	return r;
}

const char *config_bars(const struct config *c, const struct target *t)
{
	const struct oh_address *a = &t->range.address;

	if (t->kind != TARGET_ADDRESS || t->service != OH_SERVICE_TCP || !address_is_metadata(a, &c->nat64))
		return NULL;
	if (!address_is_imds(a))
		return "the metadata service by an address that nothing opens: [imds] access opens 169.254.169.254 "
		       "and fd00:ec2::254 alone";
	return c->metadata ? NULL : "the metadata service has its own key: set [imds] access = allow";
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
		const char *why;

		if (t->kind == TARGET_SUFFIX && !c->inspect)
			return error_set(e, EINVAL, "[allow] target: *.%s: a suffix cannot be resolved, and answers "
					 "are read only with [dns] inspect = on", t->name);
		why = config_bars(c, t);
		if (why)
			return error_set(e, EINVAL, "[allow] target: %s", why);
	}
	return 0;
}

/* Of a text that is its own from here on. */
static int read_config(const char *file, bool loaded, char *text, size_t size, struct config *ret, struct error *e)
{
	int r;

	*ret = (struct config){ .text = text, .text_size = size, .loaded = loaded };
	r = set_fallbacks(ret, e);
	if (!r)
		r = config_walk(ret, file, set, ret, e);
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

static int load_config(const char *path, bool loaded, struct config *ret, struct error *e)
{
	char *text = NULL;
	size_t size = 0;
	int r = config_text(path, &text, &size, e);

	*ret = (struct config){ 0 };
	return r ? r : read_config(path ? path : CONFIG_FILE, loaded, text, size, ret, e);
}

int config_read(const char *path, struct config *ret, struct error *e)
{
	return load_config(path, false, ret, e);
}

int config_read_loaded(const char *path, struct config *ret, struct error *e)
{
	return load_config(path, true, ret, e);
}

int config_default(struct config *ret, struct error *e)
{
	return read_config(CONFIG_FILE, false, NULL, 0, ret, e);
}

int config_check(const char *path, struct error *e)
{
	struct config c;
	char *text = NULL;
	size_t size = 0;
	int r = ini_load(path, true, &text, &size, e);

	if (!r)
		r = read_config(path, false, text, size, &c, e);
	if (!r)
		config_free(&c);
	return r;
}

void config_free(struct config *c)
{
	free(c->private);
	free(c->names);
	free(c->targets);
	free(c->checks);
	free(c->text);
	memset(c, 0, sizeof(*c));
}
