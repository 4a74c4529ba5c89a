// SPDX-License-Identifier: MIT
#include "engine/lsm.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/hooks.h"
#include "engine/libbpf_compat.h"
#include "engine/object.h"

#define LSM_LIST "/sys/kernel/security/lsm"

/* The active security modules, "" if they are not shown. */
static void read_list(char ret[256])
{
	FILE *f = fopen(LSM_LIST, "re");

	if (!f || !fgets(ret, 256, f))
		ret[0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	if (f)
		fclose(f);
}

static bool has_bpf(const char *list)
{
	size_t len;

	for (; *list; list += len + (list[len] == ',')) {
		len = strcspn(list, ",");
		if (len == 3 && !strncmp(list, "bpf", 3))
			return true;
	}
	return false;
}

int lsm_advise(const char *why, struct error *e)
{
	char list[256];

	read_list(list);
	if (has_bpf(list))
		return error_set(e, EOPNOTSUPP, "BPF LSM is on (%s: %s), but %s", LSM_LIST, list, why);
	if (*list)
		return error_set(e, EOPNOTSUPP,
				 "BPF LSM is off: add lsm=%s,bpf to the kernel's command line and reboot", list);
	return error_set(e, EOPNOTSUPP,
			 "no BPF LSM is to be seen: mount -t securityfs none /sys/kernel/security; where "
			 LSM_LIST " then lacks bpf, add lsm=...,bpf (what it lists, and bpf) to the kernel's "
			 "command line and reboot");
}

static const char *const packet_programs[] = { "oh_socket_create", "oh_setsockopt" };
static const char *const packet_maps[] = { "ohlock.rodata", "oh_counts", "oh_events" };

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return false;
}

/* The number of a hook's arguments. -1: this kernel has no such hook. */
static int hook_arguments(const struct btf *kernel, const char *hook)
{
	const struct btf_type *t;
	char name[96];
	int id;

	snprintf(name, sizeof(name), "bpf_lsm_%s", hook);
	id = btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC);
	t = id > 0 ? btf__type_by_id(kernel, (__u32)id) : NULL;
	t = t ? btf__type_by_id(kernel, t->type) : NULL;
	return t ? btf_vlen(t) : -1;
}

/* Some hooks have other names or arguments on other kernels: there is a program for each. */
static bool fits_kernel(const struct bpf_program *program, const struct btf *kernel)
{
	int arguments = hook_arguments(kernel, strrchr(bpf_program__section_name(program), '/') + 1);

	if (!strcmp(bpf_program__name(program), "oh_setattr"))
		return arguments == 2;
	if (!strcmp(bpf_program__name(program), "oh_setattr_idmap"))
		return arguments == 3;
	return arguments >= 0;
}

static void choose(struct bpf_object *object, enum lsm_part part, const struct btf *kernel)
{
	struct bpf_program *program;
	struct bpf_map *map;

	bpf_object__for_each_program(program, object) {
		bool packet = is_one_of(bpf_program__name(program), packet_programs,
					sizeof(packet_programs) / sizeof(*packet_programs));

		bpf_program__set_autoload(program, packet == (part == LSM_PACKET) && fits_kernel(program, kernel));
	}
	bpf_object__for_each_map(map, object) {
		bool packet = is_one_of(bpf_map__name(map), packet_maps, sizeof(packet_maps) / sizeof(*packet_maps));

		bpf_map__set_autocreate(map, packet == (part == LSM_PACKET));
	}
}

int lsm_open(enum lsm_part part, struct bpf_object **ret, struct error *e)
{
	struct bpf_object *object;
	struct btf *kernel;
	char list[256];
	int r;

	read_list(list);
	if (!has_bpf(list))
		return lsm_advise("it is off", e);
	r = object_open(OBJECT_LOCK, &object, e);
	if (r)
		return r;
	kernel = btf__load_vmlinux_btf();
	if (libbpf_get_error(kernel)) {
		bpf_object__close(object);
		return lsm_advise("the kernel shows no BTF", e);
	}
	choose(object, part, kernel);
	btf__free(kernel);
	*ret = object;
	return 0;
}

int lsm_load(struct bpf_object *object, struct error *e)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char why[320];
	int r;

	setrlimit(RLIMIT_MEMLOCK, &unlimited);	/* kernels before 5.11 count maps against it */
	r = bpf_object__load(object);
	if (!r)
		return 0;
	snprintf(why, sizeof(why), "the kernel refuses its programs: %s",
		 *object_warning() ? object_warning() : strerror(-r));
	return lsm_advise(why, e);
}

static int attach_one(struct bpf_program *program, const char *folder, struct error *e)
{
	char path[PATH_MAX + 160];
	struct bpf_link *link = bpf_program__attach_lsm(program);
	int r = (int)libbpf_get_error(link);

	if (r)
		return error_set(e, -r, "%s cannot be attached: %s", bpf_program__name(program), strerror(-r));
	snprintf(path, sizeof(path), "%s/%s", folder, bpf_program__name(program));
	r = engine_pin(bpf_link__fd(link), path, e);
	bpf_link__destroy(link);	/* closes it: the pin holds it now */
	return r;
}

int lsm_attach(struct bpf_object *object, const char *folder, struct error *e)
{
	bool fresh = access(folder, F_OK);
	struct bpf_program *program;
	struct error ignored;
	int r = file_make_folder(folder, 0700, e);

	bpf_object__for_each_program(program, object) {
		if (!r && bpf_program__autoload(program))
			r = attach_one(program, folder, e);
	}
	if (r && fresh)
		lsm_detach(folder, &ignored);
	return r;
}

int lsm_detach(const char *folder, struct error *e)
{
	char path[PATH_MAX + 512];
	struct dirent *entry;
	DIR *dir = opendir(folder);
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : error_set(e, errno, "%s: %s", folder, strerror(errno));
	while (!r && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, LSM_LAST))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (unlink(path) && errno != ENOENT)
			r = error_set(e, errno, "%s: %s", path, strerror(errno));
	}
	closedir(dir);
	snprintf(path, sizeof(path), "%s/%s", folder, LSM_LAST);
	if (!r && unlink(path) && errno != ENOENT)
		r = error_set(e, errno, "%s: %s", path, strerror(errno));
	if (!r && rmdir(folder) && errno != ENOENT)
		r = error_set(e, errno, "%s: %s", folder, strerror(errno));
	return r;
}
