// SPDX-License-Identifier: MIT
#include "engine/packet.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ohguard/lock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/lsm.h"
#include "engine/object.h"

static const char *folder_of(const char *pins, char buffer[PATH_MAX + 128])
{
	snprintf(buffer, PATH_MAX + 128, "%s/packet", pins);
	return buffer;
}

int packet_find_cgroup(const char *path, uint64_t *ret_id, uint32_t *ret_level, struct error *e)
{
	char mount[PATH_MAX], real[PATH_MAX];
	struct stat st;
	size_t len;
	uint32_t level = 0;

	if (file_find_mount("cgroup2", mount, e))
		return -ENOENT;
	if (!realpath(path, real) || stat(real, &st))
		return error_set(e, errno, "cgroup %s: %s", path, strerror(errno));
	len = strlen(mount);
	if (strncmp(real, mount, len))
		return error_set(e, EINVAL, "cgroup %s: not below %s", path, mount);
	for (const char *p = real + len; *p; p++)
		level += *p == '/';
	*ret_id = st.st_ino;
	*ret_level = level;
	return 0;
}

int packet_cgroup_level(const char *path)
{
	struct error e_ignored;
	uint32_t level;
	uint64_t id;
	int r = packet_find_cgroup(path, &id, &level, &e_ignored);

	return r ? r : (int)level;
}

static int fill_settings(struct bpf_object *object, const char *cgroup, bool observe, struct error *e)
{
	struct oh_packet_settings settings = { .observe = observe };
	struct stat st;
	int r;

	r = packet_find_cgroup(cgroup, (uint64_t *)&settings.cgroup, &settings.level, e);
	if (r)
		return r;
	if (stat("/proc/self/ns/net", &st))
		return error_set(e, errno, "/proc/self/ns/net: %s", strerror(errno));
	settings.netns = (__u32)st.st_ino;
	return object_set_constant(object, "oh_packet", &settings, sizeof(settings), e);
}

static int share_maps(struct bpf_object *object, const struct engine *engine, struct error *e)
{
	static const enum engine_map shared[] = { ENGINE_COUNTS, ENGINE_EVENTS };

	for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, engine_map_names[shared[i]]);

		if (!map || bpf_map__reuse_fd(map, engine->map[shared[i]]))
			return error_set(e, EIO, "%s cannot be shared", engine_map_names[shared[i]]);
	}
	return 0;
}

int packet_load(const char *pins, const struct engine *engine, const char *cgroup, bool observe, struct error *e)
{
	char folder[PATH_MAX + 128];
	struct bpf_object *object;
	int r = lsm_open(LSM_PACKET, &object, e);

	if (r)
		return r;
	r = fill_settings(object, cgroup, observe, e);
	if (!r)
		r = share_maps(object, engine, e);
	if (!r)
		r = lsm_load(object, e);
	if (!r)
		r = lsm_attach(object, folder_of(pins, folder), e);
	bpf_object__close(object);
	if (!r && !packet_in_force(pins)) {
		packet_unload(pins, e);
		r = lsm_advise("the kernel does not call its programs", e);
	}
	return r;
}

int packet_unload(const char *pins, struct error *e)
{
	char folder[PATH_MAX + 128];

	return lsm_detach(folder_of(pins, folder), e);
}

bool packet_in_force(const char *pins)
{
	char folder[PATH_MAX + 128];
	int fd;

	if (access(folder_of(pins, folder), F_OK))	/* else another instance's could answer */
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, OH_PACKET_PROBE_PROTOCOL);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == OH_PACKET_PROBE_ANSWER;
}
