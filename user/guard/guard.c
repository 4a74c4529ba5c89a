// SPDX-License-Identifier: MIT
#include "guard/guard.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/ini.h"
#include "base/text.h"
#include "engine/hooks.h"
#include "engine/load.h"
#include "lock/key.h"

#define RUN_FOLDER "/run/ohguard"

static const char *path_of(const char *folder, const char *name, char buffer[PATH_MAX + 128])
{
	snprintf(buffer, PATH_MAX + 128, "%s/%s", folder, name);
	return buffer;
}

void guard_set_paths(struct guard *g, const char *instance)
{
	snprintf(g->state, sizeof(g->state), "%s/%s", g->config.state, instance);
	snprintf(g->pins, sizeof(g->pins), "%s/%s", g->config.pins, instance);
	snprintf(g->history, sizeof(g->history), "%s/%s", g->config.log, instance);
}

static int start(struct guard *g, const struct guard_options *options, struct error *e)
{
	*g = (struct guard){ .engine = ENGINE_EMPTY, .lock = -1 };
	snprintf(g->run, sizeof(g->run), "%s/%s", RUN_FOLDER, options->instance);
	if (!geteuid())
		return 0;
	return error_set(e, EPERM, "only root may look at a guard or change it: run it as root: sudo %s",
			 options->command ? options->command : "ohguard");
}

/* -ENOENT is kept for "not loaded". */
static int enter(struct guard *g, const char *instance, struct error *e)
{
	int r = lock_enter(g->pins, instance, g->state, e);

	g->locked = r > 0;
	return r == -ENOENT ? -EIO : r < 0 ? r : 0;
}

int guard_authorize(const struct guard *g, const struct guard_options *options, struct error *e)
{
	return g->locked ? lock_check_key(g->pins, options->key, e) : 0;
}

/* Tells which configuration is in force: each load makes a new file for it. One that cannot be seen is an error, since
 * the file that it came from may have been edited. */
static int read_mark(const struct guard *g, struct guard_mark *ret, struct error *e)
{
	char path[PATH_MAX + 128];
	struct stat st;

	*ret = (struct guard_mark){ 0 };
	if (stat(path_of(g->run, "loaded.conf", path), &st))
		return errno == ENOENT ? 0 : error_set(e, errno, "%s: %s", path, strerror(errno));
	*ret = (struct guard_mark){ .inode = st.st_ino, .changed = st.st_ctim };
	return 0;
}

/* Takes up what a load has put in force since: with the old state, this command would undo it. */
static int renew(struct guard *g, struct error *e)
{
	struct guard_mark now;
	int r = g->mark.inode ? read_mark(g, &now, e) : 0;

	if (r || !g->mark.inode || !memcmp(&now, &g->mark, sizeof(now)))
		return r;
	engine_close(&g->engine);
	r = engine_open(g->pins, &g->engine, e);
	if (r || !now.inode)
		return r;
	policy_free(&g->policy);
	config_free(&g->config);
	g->mark = now;
	return guard_read_loaded(g, &g->config, e);
}

void guard_walk_loaded(const char *pins, void (*visit)(const char *instance, void *context), void *context)
{
	DIR *folder = opendir(pins);
	struct dirent *d;

	while (folder && (d = readdir(folder))) {
		char path[PATH_MAX + 320];

		snprintf(path, sizeof(path), "%s/%s/%s", pins, d->d_name, engine_hook_names[OH_HOOK_EGRESS]);
		if (text_is_instance(d->d_name) && !access(path, F_OK))
			visit(d->d_name, context);
	}
	if (folder)
		closedir(folder);
}

#define OTHERS_MAX 160

static void add_other(const char *instance, void *context)
{
	char *others = context;
	size_t used = strlen(others);

	snprintf(others + used, OTHERS_MAX - used, "%s --name %.32s", used ? "," : "", instance);
}

/* Where another instance is loaded, it may be the one that was meant. */
static int not_loaded(const struct guard *g, const char *instance, struct error *e)
{
	char others[OTHERS_MAX] = "";

	guard_walk_loaded(g->config.pins, add_other, others);
	if (*others)
		error_set(e, ENOENT, "%s is not loaded; loaded is%s", instance, others);
	return -ENOENT;
}

int guard_open(const struct guard_options *options, struct guard *ret, struct error *e)
{
	struct guard g;
	int r;

	r = start(&g, options, e);
	if (!r)
		r = read_mark(&g, &g.mark, e);
	if (!r)
		r = g.mark.inode ? guard_read_loaded(&g, &g.config, e) : config_read(options->config, &g.config, e);
	if (r)
		return r == -ENOENT ? -EINVAL : r;	/* -ENOENT is kept for "not loaded" */
	guard_set_paths(&g, options->instance);
	r = enter(&g, options->instance, e);
	if (!r && g.locked && !g.mark.inode)	/* the file that options name could be anybody's */
		r = error_set(e, EPERM, "%s is locked, and the configuration in force, %s/loaded.conf, is missing",
			      options->instance, g.run);
	if (!r)
		r = engine_open(g.pins, &g.engine, e);
	if (r) {
		r = r == -ENOENT ? not_loaded(&g, options->instance, e) : r;
		guard_close(&g);
		return r;
	}
	*ret = g;
	return 0;
}

int guard_open_to_change(const struct guard_options *options, struct guard *ret, struct error *e)
{
	int r = guard_open(options, ret, e);

	if (r)
		return r;
	r = guard_authorize(ret, options, e);
	if (r)
		guard_close(ret);
	return r == -ENOENT ? -EPERM : r;	/* -ENOENT is kept for "not loaded" */
}

static int open_to_load(struct guard *g, const struct guard_options *options, bool state, bool authorize,
			struct error *e)
{
	int r;

	guard_set_paths(g, options->instance);
	r = enter(g, options->instance, e);
	if (!r && authorize)
		r = guard_authorize(g, options, e);
	if (!r)
		r = engine_check_system(g->pins, e);
	if (!r && state)
		r = file_make_folder(g->state, 0700, e);
	if (!r)
		r = file_make_folder(g->run, 0700, e);
	if (!r)
		r = guard_lock(g, e);
	if (!r) {
		r = engine_open(g->pins, &g->engine, e);
		if (r == -ENOENT || r == -EPROTO)
			r = 0;
	}
	if (r)
		guard_close(g);
	return r;
}

int guard_open_for_load(const struct guard_options *options, struct guard *ret, struct error *e)
{
	int r = start(ret, options, e);

	if (!r)
		r = config_read(options->config, &ret->config, e);
	return r ? r : open_to_load(ret, options, true, true, e);
}

int guard_open_to_go_back(const struct guard_options *options, struct guard *ret, struct error *e)
{
	struct error e_none;
	int r = start(ret, options, e);

	if (!r && guard_read_loaded(ret, &ret->config, &e_none))
		r = config_read(options->config, &ret->config, e);
	return r ? r : open_to_load(ret, options, true, false, e);
}

int guard_open_closed(const struct guard_options *options, struct guard *ret, struct error *e)
{
	int r = start(ret, options, e);

	if (!r)
		r = config_default(&ret->config, e);
	return r ? r : open_to_load(ret, options, false, true, e);
}

void guard_close(struct guard *g)
{
	guard_unlock(g);
	policy_free(&g->policy);
	records_free(&g->records);
	grants_free(&g->grants);
	config_free(&g->config);
	engine_close(&g->engine);
}

int guard_lock(struct guard *g, struct error *e)
{
	char path[PATH_MAX + 128];
	int fd = file_make_folder(g->run, 0700, e);	/* someone may have cleared /run */

	if (!fd)
		fd = file_lock(path_of(g->run, "lock", path), e);
	if (fd < 0)
		return fd;
	g->lock = fd;
	return renew(g, e);
}

void guard_unlock(struct guard *g)
{
	if (g->lock >= 0)
		close(g->lock);
	g->lock = -1;
}

int guard_build_policy(const struct config *c, const struct grants *grants, int64_t now, struct policy *ret,
		       struct records *records, struct error *e)
{
	const char **names;
	size_t count;
	int r = policy_build(c, grants, now, ret, e);

	if (!r)
		r = policy_names(ret, &names, &count, e);
	if (r)
		return r;
	r = records_keep(records, names, count, e);
	free(names);
	return r;
}

int guard_build(struct guard *g, int64_t now, struct error *e)
{
	policy_free(&g->policy);
	g->lapsed |= grants_lapse(&g->grants, now);
	return guard_build_policy(&g->config, &g->grants, now, &g->policy, &g->records, e);
}

int guard_read(struct guard *g, int64_t now, struct error *e)
{
	char path[PATH_MAX + 128];
	int r;

	policy_free(&g->policy);
	records_free(&g->records);
	grants_free(&g->grants);
	g->lapsed = false;
	r = grants_read(path_of(g->state, "grants", path), &g->grants, e);
	if (r)
		return r;
	r = records_read(path_of(g->state, "records", path), &g->records, e);
	if (r && r != -EINVAL && r != -EPERM && r != -EIO)	/* the file is whole, as far as can be seen */
		return r;
	/* only a memory of DNS: names are asked again, and the next publish knows what the kernel holds */
	if (r) {
		char bad[PATH_MAX + 128];

		error_warn("%s: set aside as records.bad: names are resolved again", e->text);
		rename(path, path_of(g->state, "records.bad", bad));
	}
	return guard_build(g, now, e);
}

int guard_look(struct guard *g, int64_t now, struct error *e)
{
	int r = guard_lock(g, e);

	if (!r)
		r = guard_read(g, now, e);
	guard_unlock(g);
	return r;
}

int guard_write_grants(const struct guard *g, struct error *e)
{
	char path[PATH_MAX + 128];

	return grants_write(path_of(g->state, "grants", path), &g->grants, e);
}

int guard_write_records(const struct guard *g, struct error *e)
{
	char path[PATH_MAX + 128];

	return records_write(path_of(g->state, "records", path), &g->records, e);
}

int guard_read_loaded(const struct guard *g, struct config *ret, struct error *e)
{
	char path[PATH_MAX + 128];

	return config_read_loaded(path_of(g->run, "loaded.conf", path), ret, e);
}

void guard_former_pins(const struct guard *g, const char *instance, char ret[PATH_MAX + 64])
{
	struct config former;
	struct error e;

	ret[0] = '\0';
	if (guard_read_loaded(g, &former, &e))
		return;
	if (strcmp(former.pins, g->config.pins))
		snprintf(ret, PATH_MAX + 64, "%s/%s", former.pins, instance);
	config_free(&former);
}

int guard_remember_defaults(const struct guard *g, struct error *e)
{
	char path[PATH_MAX + 128];

	guard_forget(g);
	return file_write(path_of(g->run, "loaded.conf", path), 0600, NULL, 0, e);
}

/* Writes what was read, since the file may have changed by now, and a link to where it came from. */
int guard_remember_config(const struct guard *g, const char *path, struct error *e)
{
	char copy[PATH_MAX + 128], source[PATH_MAX + 128], absolute[PATH_MAX];
	bool there = path && realpath(path, absolute);
	int r = file_write(path_of(g->run, "loaded.conf", copy), 0600, g->config.text, g->config.text_size, e);

	if (r)
		return r;
	unlink(path_of(g->run, "source.conf", source));
	if (symlink(there ? absolute : CONFIG_PLACE, source))
		return error_set(e, errno, "%s: %s", source, strerror(errno));
	return 0;
}

/* Where the configuration in force came from; NULL: the default places. */
static const char *source_of(const struct guard *g, char ret[PATH_MAX])
{
	char link[PATH_MAX + 128];
	ssize_t size = readlink(path_of(g->run, "source.conf", link), ret, PATH_MAX - 1);

	if (size < 0)
		return NULL;
	ret[size] = '\0';
	return strcmp(ret, CONFIG_PLACE) ? ret : NULL;
}

bool guard_config_changed(const struct guard *g)
{
	char copy[PATH_MAX + 128], source[PATH_MAX], *loaded = NULL, *now = NULL;
	size_t loaded_size = 0, now_size = 0;
	struct error e;
	bool changed = false;

	if (!ini_load(path_of(g->run, "loaded.conf", copy), false, &loaded, &loaded_size, &e)) {
		/* one that cannot be read is another one, but for none at all */
		int r = config_text(source_of(g, source), &now, &now_size, &e);

		changed = (r && r != -ENOENT) || now_size != loaded_size || (now && memcmp(now, loaded, now_size));
	}
	free(loaded);
	free(now);
	return changed;
}

int guard_check_source(const struct guard *g, struct error *e)
{
	char file[PATH_MAX];
	struct config c;
	int r = config_read(source_of(g, file), &c, e);

	if (!r)
		config_free(&c);
	return r;
}

int guard_walk_config(const struct guard *g, config_visit each, void *context, struct error *e)
{
	char file[PATH_MAX];

	return config_walk(&g->config, source_of(g, file), each, context, e);
}

void guard_forget(const struct guard *g)
{
	char path[PATH_MAX + 128];

	unlink(path_of(g->run, "loaded.conf", path));
	unlink(path_of(g->run, "source.conf", path));
}

int guard_subject(const struct guard *g, const struct guard_options *options,
		  int (*use)(const struct lock_subject *subject, struct error *e), struct error *e)
{
	struct engine_hook hooks[OH_HOOK_MAX];
	char source[PATH_MAX + 128], config[PATH_MAX];
	struct lock_subject subject = {
		.instance = options->instance, .pins = g->pins, .state = g->state, .run = g->run, .config = config,
		.key = options->key ? options->key : LOCK_KEY_FILE,
	};

	if (!source_of(g, config) || !realpath(path_of(g->run, "source.conf", source), config))
		snprintf(config, sizeof(config), "%s", CONFIG_FILE);
	engine_read_hooks(g->pins, hooks);
	subject.cgroup = hooks[OH_HOOK_EGRESS].where;
	return use(&subject, e);
}
