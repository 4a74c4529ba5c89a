// SPDX-License-Identifier: MIT
#include "lock/lock.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lock/key.h"
#include "engine/lsm.h"
#include "engine/packet.h"
#include "lock/place.h"

#define LINKS_MAX 128

/* Descriptors of the lock's own maps, -1: none. */
struct lock_maps {
	int lock, links;
};

static const char *folder_of(const char *pins, char buffer[PATH_MAX + 128])
{
	snprintf(buffer, PATH_MAX + 128, "%s/lock", pins);
	return buffer;
}

static void close_maps(struct lock_maps *m)
{
	if (m->lock >= 0)
		close(m->lock);
	if (m->links >= 0)
		close(m->links);
}

/* ---- from a descriptor to the lock's maps ---- */

/* Opens the maps of a program and gives those of the lock. By that all become kept ones if this process is trusted. */
static int open_maps_of(__u32 program, struct lock_maps *ret, struct error *e)
{
	__u32 ids[64] = { 0 };
	struct bpf_prog_info info = { .nr_map_ids = 64, .map_ids = (__u64)(uintptr_t)ids };
	__u32 size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(program), r = 0;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size))
		r = error_set(e, errno, "program %u: %s", program, strerror(errno));
	if (fd >= 0)
		close(fd);
	for (__u32 i = 0; !r && i < info.nr_map_ids && i < 64; i++) {
		struct bpf_map_info map = { 0 };
		int *keep = NULL;

		size = sizeof(map);
		fd = bpf_map_get_fd_by_id(ids[i]);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &map, &size))
			r = error_set(e, errno, "map %u: %s", ids[i], strerror(errno));
		if (!r && ret && !strcmp(map.name, "oh_lock"))
			keep = &ret->lock;
		else if (!r && ret && !strcmp(map.name, "oh_links"))
			keep = &ret->links;
		if (keep && *keep < 0)
			*keep = fd;
		else if (fd >= 0)
			close(fd);
	}
	return r;
}

/* A pin is a link, or a program if the hook has no link. */
static int program_of_pin(const char *path, __u32 *ret_program, __u32 *ret_link, struct error *e)
{
	struct bpf_link_info link = { 0 };
	struct bpf_prog_info program = { 0 };
	__u32 size;
	char of[64], what[64] = "";
	int fd = bpf_obj_get(path), r;

	if (fd < 0)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	snprintf(of, sizeof(of), "/proc/self/fd/%d", fd);
	r = readlink(of, what, sizeof(what) - 1) < 0 ? -errno : 0;
	*ret_program = *ret_link = 0;
	if (!r && strstr(what, "link")) {
		size = sizeof(link);
		r = bpf_obj_get_info_by_fd(fd, &link, &size) ? -errno : 0;
		*ret_program = link.prog_id;
		*ret_link = link.id;
	} else if (!r && strstr(what, "prog")) {
		size = sizeof(program);
		r = bpf_obj_get_info_by_fd(fd, &program, &size) ? -errno : 0;
		*ret_program = program.id;
	}
	close(fd);
	return r ? error_set(e, -r, "%s: %s", path, strerror(-r)) : 0;
}

static int find_maps(const char *pins, struct lock_maps *ret, struct error *e)
{
	struct lock_maps m = { -1, -1 };
	char path[PATH_MAX + 160];
	__u32 program, link;
	int r;

	snprintf(path, sizeof(path), "%s/lock/" LSM_LAST, pins);
	r = program_of_pin(path, &program, &link, e);
	if (!r)
		r = open_maps_of(program, &m, e);
	if (!r && (m.lock < 0 || m.links < 0))
		r = error_set(e, EPROTO, "%s: another version took the lock: use that ohguard", path);
	if (r)
		close_maps(&m);
	else
		*ret = m;
	return r;
}

static int read_lock(const struct lock_maps *m, struct oh_lock *ret, struct error *e)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(m->lock, &zero, ret) ?
	       error_set(e, errno, "the lock cannot be read: %s", strerror(errno)) : 0;
}

static int write_lock(const struct lock_maps *m, const struct oh_lock *lock, struct error *e)
{
	__u32 zero = 0;

	return bpf_map_update_elem(m->lock, &zero, lock, BPF_ANY) ?
	       error_set(e, errno, "the lock cannot be written: %s", strerror(errno)) : 0;
}

/* ---- entering ---- */

/* Whoever started this process must not steer it by what it inherited. */
static void harden(void)
{
	clearenv();
	prctl(PR_SET_DUMPABLE, 0);
}

int lock_enter(const char *pins, const char *instance, const char *state, struct error *e)
{
	char folder[PATH_MAX + 128];
	struct lock_maps m;
	struct oh_lock lock;
	int fd, r;

	fd = open(folder_of(pins, folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && (errno == EPERM || errno == EACCES)) {
		place_retry();
		return error_set(e, EPERM, "%s is locked, and lets in only root on the host itself: not in a "
				 "container, a chroot, another mount, network or time namespace, or the guarded "
				 "cgroup", instance);
	}
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : error_set(e, errno, "%s: %s", folder, strerror(errno));
	close(fd);
	harden();
	r = find_maps(pins, &m, e);
	if (r)
		return r;
	r = read_lock(&m, &lock, e);
	close_maps(&m);
	if (r)
		return r;
	if (strcmp(lock.instance, instance) || strcmp(lock.pins, pins) || strcmp(lock.state, state))
		return error_set(e, EPERM, "%s is locked with its state in %s and its pins in %s: run `ohguard "
				 "unlock` before you change these", lock.instance, lock.state, lock.pins);
	return 1;
}

int lock_check_key(const char *pins, const char *key, struct error *e)
{
	__u8 hash[OH_LOCK_KEY_MAX];
	struct lock_maps m;
	struct oh_lock lock;
	int r = find_maps(pins, &m, e);

	if (r)
		return r;
	r = read_lock(&m, &lock, e);
	close_maps(&m);
	if (!r)
		r = lock_key_read(key ? key : LOCK_KEY_FILE, hash, e);
	if (r)
		return error_prefix(e, -r, "locked");
	if (!lock_key_equal(hash, lock.key))
		return error_set(e, EPERM, "locked: key %s: it was locked with another key",
				 key ? key : LOCK_KEY_FILE);
	return 0;
}

/* ---- keeping ---- */

/* While the lock says "mark", it keeps every file that a trusted process opens. */
static int keep(const struct lock_maps *m, const char *path, __u32 how, struct error *e)
{
	struct oh_lock lock;
	int r = read_lock(m, &lock, e), fd;

	if (r)
		return r;
	lock.mark = how;
	r = write_lock(m, &lock, e);
	if (r)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno != ENOENT)
		r = error_set(e, errno, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (!read_lock(m, &lock, e)) {
		lock.mark = 0;
		if (write_lock(m, &lock, e))
			return -EIO;
	}
	return r;
}

/* Keeps a file or folder and the folders above it. If it does not exist, only those above it. */
static int keep_with_path(const struct lock_maps *m, const char *path, __u32 how, struct error *e)
{
	char real[PATH_MAX], folder[PATH_MAX];
	int r;

	snprintf(folder, sizeof(folder), "%s", path);
	if (!realpath(path, real)) {
		char *slash = strrchr(folder, '/');

		if (errno != ENOENT || !slash)
			return error_set(e, errno, "%s: %s", path, strerror(errno));
		*slash = '\0';
		return *folder ? keep_with_path(m, folder, OH_KEEP_PATH, e) : 0;
	}
	r = keep(m, real, how, e);
	for (char *slash; !r && (slash = strrchr(real, '/'));) {
		slash[slash == real] = '\0';
		r = keep(m, real, OH_KEEP_PATH, e);
		if (slash == real)
			break;
	}
	return r;
}

static int keep_pin(const struct lock_maps *m, const char *path, __u32 *links, size_t *count, struct error *e)
{
	static const __u8 one = 1;
	__u32 program, link;
	int r = program_of_pin(path, &program, &link, e);

	if (!r && program)
		r = open_maps_of(program, NULL, e);
	if (r || !link)
		return r;
	if (*count < LINKS_MAX)
		links[(*count)++] = link;
	return bpf_map_update_elem(m->links, &link, &one, BPF_ANY) ?
	       error_set(e, errno, "link %u: %s", link, strerror(errno)) : 0;
}

/* Keeps everything below the pins' folder: links, the maps of their programs, folders. */
static int keep_pins(const struct lock_maps *m, const char *folder, __u32 how, __u32 *links, size_t *count,
		     struct error *e)
{
	char path[PATH_MAX + 512];
	struct dirent *entry;
	DIR *dir = opendir(folder);
	int r;

	if (!dir)
		return error_set(e, errno, "%s: %s", folder, strerror(errno));
	r = keep_with_path(m, folder, how, e);
	while (!r && (entry = readdir(dir))) {
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (lstat(path, &st))
			r = error_set(e, errno, "%s: %s", path, strerror(errno));
		else if (S_ISDIR(st.st_mode))
			r = keep_pins(m, path, OH_KEEP_WHOLE | OH_KEEP_SECRET |
				      (strcmp(entry->d_name, "lock") ? 0 : OH_KEEP_DOOR), links, count, e);
		else
			r = keep_pin(m, path, links, count, e);
	}
	closedir(dir);
	return r;
}

/* Forgets links that have been replaced. */
static void forget_links(const struct lock_maps *m, const __u32 *links, size_t count)
{
	__u32 id, next, *previous = NULL;

	while (!bpf_map_get_next_key(m->links, previous, &next)) {
		bool there = false;

		for (size_t i = 0; i < count; i++)
			there |= links[i] == next;
		if (!there && count < LINKS_MAX) {
			bpf_map_delete_elem(m->links, &next);
			continue;	/* with the key before it */
		}
		id = next;
		previous = &id;
	}
}

static int keep_all(const struct lock_maps *m, const struct lock_subject *s, struct error *e)
{
	const struct { const char *path; __u32 how; } what[] = {
		{ "/proc/self/exe", OH_KEEP_BINARY | OH_KEEP_WHOLE },
		{ s->config, OH_KEEP_WHOLE },
		{ "/etc/ohguard", OH_KEEP_WHOLE },
		{ "/etc/ohguard/conf.d", OH_KEEP_WHOLE },
		{ s->state, OH_KEEP_WHOLE | OH_KEEP_SECRET },
		/* readable: the configuration in force is read before this process is trusted */
		{ s->run, OH_KEEP_WHOLE },
	};
	__u32 links[LINKS_MAX];
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(what) / sizeof(*what); i++)
		r = keep_with_path(m, what[i].path, what[i].how, e);
	if (!r)		/* not its path: another key there opens nothing, and its medium may be removed */
		r = keep(m, s->key, OH_KEEP_SECRET, e);
	if (!r)
		r = keep_pins(m, s->pins, OH_KEEP_WHOLE | OH_KEEP_SECRET, links, &count, e);
	if (!r)
		forget_links(m, links, count);
	return r;
}

/* ---- taking and releasing ---- */

static int describe(const struct lock_subject *s, struct oh_lock *ret, struct error *e)
{
	struct oh_lock lock = { .taker = (__u32)getpid(), .on = 1 };
	char binary[PATH_MAX];
	int r;

	if (!realpath("/proc/self/exe", binary) || access(binary, X_OK))
		return error_set(e, ENOENT, "this program's own file cannot be found: was it replaced? Run it "
				 "again");

	if (strlen(s->instance) >= sizeof(lock.instance) || strlen(s->pins) >= sizeof(lock.pins) ||
	    strlen(s->state) >= sizeof(lock.state))
		return error_set(e, ENAMETOOLONG, "the path of state or pins is too long for the lock");
	strcpy(lock.instance, s->instance);
	strcpy(lock.pins, s->pins);
	strcpy(lock.state, s->state);
	r = packet_find_cgroup(s->cgroup, (uint64_t *)&lock.cgroup, &lock.level, e);
	if (!r)
		r = lock_key_read(s->key, lock.key, e);
	if (!r)
		*ret = lock;
	return r;
}

/* From here on this process is trusted, if the kernel does call the programs. */
static int prove(const struct lock_maps *m, struct error *e)
{
	struct oh_lock lock;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd >= 0)
		close(fd);
	r = read_lock(m, &lock, e);
	if (!r && lock.taker)
		r = lsm_advise("the kernel does not call its programs, or this process is in a PID namespace", e);
	return r ? r : keep(m, "/", OH_KEEP_ROOT, e);
}

static int switch_off(const struct lock_maps *m, struct error *e)
{
	struct oh_lock lock;
	int r = read_lock(m, &lock, e);

	lock.on = 0;
	return r ? r : write_lock(m, &lock, e);
}

int lock_check_system(struct error *e)
{
	struct bpf_object *object;
	int r = lsm_open(LSM_LOCK, &object, e);

	if (!r)
		bpf_object__close(object);
	return r;
}

int lock_take(const struct lock_subject *s, struct error *e)
{
	char folder[PATH_MAX + 128];
	struct bpf_object *object;
	struct lock_maps m;
	struct error ignored;
	struct oh_lock lock;
	int r = lsm_open(LSM_LOCK, &object, e);

	if (r)
		return r;
	r = lsm_load(object, e);
	if (!r)		/* not before the kernel takes them: a failure would leave a key behind */
		r = lock_key_make(s->key, e);
	if (!r)
		r = describe(s, &lock, e);
	if (!r) {
		m.lock = bpf_object__find_map_fd_by_name(object, "oh_lock");
		m.links = bpf_object__find_map_fd_by_name(object, "oh_links");
		r = write_lock(&m, &lock, e);
	}
	if (!r)
		r = lsm_attach(object, folder_of(s->pins, folder), e);
	if (!r) {
		r = prove(&m, e);
		if (!r)
			r = keep_all(&m, s, e);
		if (r && !switch_off(&m, &ignored))
			lsm_detach(folder, &ignored);
	}
	bpf_object__close(object);
	return r;
}

static int set_busy(const struct lock_maps *m, bool busy, struct error *e)
{
	struct oh_lock lock;
	int r = read_lock(m, &lock, e);

	lock.busy = busy;
	return r ? r : write_lock(m, &lock, e);
}

int lock_begin_change(const char *pins, struct error *e)
{
	struct lock_maps m;
	int r = find_maps(pins, &m, e);

	if (r)
		return r;
	r = set_busy(&m, true, e);
	close_maps(&m);
	return r;
}

int lock_end_change(const struct lock_subject *s, struct error *e)
{
	struct lock_maps m;
	struct oh_lock lock;
	int r = find_maps(s->pins, &m, e);

	if (r)
		return r;
	r = keep_all(&m, s, e);
	if (!r)
		r = read_lock(&m, &lock, e);
	if (!r)
		r = packet_find_cgroup(s->cgroup, (uint64_t *)&lock.cgroup, &lock.level, e);
	if (!r)
		r = write_lock(&m, &lock, e);
	if (!r)
		r = set_busy(&m, false, e);
	close_maps(&m);
	return r;
}

int lock_release(const char *pins, struct error *e)
{
	char folder[PATH_MAX + 128];
	struct lock_maps m;
	int r = find_maps(pins, &m, e);

	if (r)
		return r;
	r = switch_off(&m, e);
	close_maps(&m);
	return r ? r : lsm_detach(folder_of(pins, folder), e);
}
