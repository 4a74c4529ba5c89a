// SPDX-License-Identifier: MIT
#include "guard/back.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/text.h"
#include "engine/hooks.h"

#define BOOT_ID_MAX 64

static const char *path_of(const struct guard *g, const char *name, char buffer[PATH_MAX + 128])
{
	snprintf(buffer, PATH_MAX + 128, "%s/%s", g->state, name);
	return buffer;
}

static void read_boot_id(char ret[BOOT_ID_MAX])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || !fgets(ret, BOOT_ID_MAX, f))
		*ret = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	if (f)
		fclose(f);
}

static int write_head(const struct guard *g, const struct back *b, struct error *e)
{
	char path[PATH_MAX + 128], boot[BOOT_ID_MAX];
	struct file_out out;
	int r = file_begin(&out, path_of(g, "back", path), 0600, e);

	if (r)
		return r;
	read_boot_id(boot);
	fprintf(out.stream, "; Kept by ohguard: what `ohguard load --confirm` goes back to.\n[back]\n"
		"deadline = %" PRId64 "\nboot = %s\nnothing = %d\nobserve = %d\nask = %u\ncgroup = %s\nsource = %s\n",
		b->deadline, boot, b->nothing, b->observe, b->ask, b->cgroup, b->source);
	for (int i = 0; i < OH_UPLINKS_MAX && *b->uplinks[i]; i++)
		fprintf(out.stream, "uplink = %.*s\n", OH_INTERFACE_MAX - 1, b->uplinks[i]);
	return file_commit(&out, e);
}

/* The copy of the configuration in force. */
static int copy_config(const struct guard *g, struct error *e)
{
	char path[PATH_MAX + 128];
	struct config c;
	int r = guard_read_loaded(g, &c, e);

	if (r)
		return r;
	r = file_write(path_of(g, "back.conf", path), 0600, c.text, c.text_size, e);
	config_free(&c);
	return r;
}

static int keep(const struct guard *g, struct back *b, struct error *e)
{
	struct engine_hook hooks[OH_HOOK_MAX];
	char source[PATH_MAX + 128];

	engine_read_hooks(g->pins, hooks);
	b->nothing = !g->engine.open;
	if (b->nothing && hooks[OH_HOOK_EGRESS].attached)
		return error_set(e, EPROTO, "--confirm: another version of ohguard is loaded, and there would be no "
				 "going back to it: load without --confirm");
	if (b->nothing)
		return 0;
	b->observe = g->engine.settings.observe;
	b->ask = (uint32_t)(g->engine.settings.ask / 1000000000);
	memcpy(b->uplinks, g->engine.settings.uplink, sizeof(b->uplinks));
	snprintf(b->cgroup, sizeof(b->cgroup), "%s", hooks[OH_HOOK_EGRESS].where);
	snprintf(source, sizeof(source), "%s/source.conf", g->run);
	if (!realpath(source, b->source))
		snprintf(b->source, sizeof(b->source), "%s", CONFIG_PLACE);
	return copy_config(g, e);
}

int back_keep(const struct guard *g, int64_t deadline, struct error *e)
{
	struct back b = { 0 };
	struct error e_none;
	int r = back_read(g, &b, &e_none);

	if (r)
		b = (struct back){ 0 };
	if (r || b.other_boot)
		r = keep(g, &b, e);
	b.deadline = deadline;
	return r ? r : write_head(g, &b, e);
}

static int visit(void *context, const char *section, const char *key, const char *value, struct error *e)
{
	struct back *b = context;
	char boot[BOOT_ID_MAX];
	uint64_t number;
	int i = 0;

	(void)section;
	if (!key)
		return 0;
	while (i < OH_UPLINKS_MAX && *b->uplinks[i])
		i++;
	if (!strcmp(key, "boot")) {
		read_boot_id(boot);
		b->other_boot = strcmp(boot, value) != 0;
	} else if (!strcmp(key, "cgroup")) {
		snprintf(b->cgroup, sizeof(b->cgroup), "%s", value);
	} else if (!strcmp(key, "source")) {
		snprintf(b->source, sizeof(b->source), "%s", value);
	} else if (!strcmp(key, "uplink") && i < OH_UPLINKS_MAX) {
		snprintf(b->uplinks[i], OH_INTERFACE_MAX, "%s", value);
	} else if (text_parse_number(value, 0, INT64_MAX, &number)) {
		return error_set(e, EINVAL, "%s: '%s' is not a number", key, value);
	} else if (!strcmp(key, "deadline")) {
		b->deadline = (int64_t)number;
	} else if (!strcmp(key, "nothing")) {
		b->nothing = number;
	} else if (!strcmp(key, "observe")) {
		b->observe = number;
	} else if (!strcmp(key, "ask")) {
		b->ask = (uint32_t)number;
	}
	return 0;
}

int back_read(const struct guard *g, struct back *ret, struct error *e)
{
	char path[PATH_MAX + 128];
	struct back b = { 0 };
	int r = ini_read(path_of(g, "back", path), visit, &b, e);

	if (!r)
		*ret = b;
	return r;
}

bool back_is_due(const struct back *b)
{
	return b->other_boot || clock_boot() >= b->deadline;
}

int back_read_config(struct guard *g, const char *instance, struct error *e)
{
	char path[PATH_MAX + 128];
	struct config c;
	int r = config_read_loaded(path_of(g, "back.conf", path), &c, e);

	if (r)
		return r == -ENOENT ? -EIO : r;
	config_free(&g->config);
	g->config = c;
	guard_set_paths(g, instance);
	return 0;
}

int back_forget(const struct guard *g, struct error *e)
{
	char path[PATH_MAX + 128];

	if (unlink(path_of(g, "back", path)) && errno != ENOENT)	/* first: without it, the other says nothing */
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	unlink(path_of(g, "back.conf", path));
	return 0;
}
