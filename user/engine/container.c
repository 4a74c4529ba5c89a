// SPDX-License-Identifier: MIT
/* Reads Docker's files about its containers: cheaper than to ask the engine, and possible even if that hangs. */
#include "engine/container.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/address.h"
#include "base/clock.h"

#define DOCKER_CONFIG "/etc/docker/daemon.json"
#define DOCKER_ROOT "/var/lib/docker"
#define FILE_MAX (4 << 20)	/* labels and environment are of any length */
#define ADDRESSES_MAX 1024
#define KEPT_SECONDS 2		/* an address may pass to another container */

struct known {
	struct oh_address address;
	struct container container;
};

static bool is_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!strchr("0123456789abcdef", s[i]) || !s[i])
			return false;
	}
	return true;
}

/* The JSON of a file that only root can have written, or NULL. */
static json_t *read_json(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	json_t *document = NULL;
	struct stat seen;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &seen) && S_ISREG(seen.st_mode) && !seen.st_uid && !(seen.st_mode & (S_IWGRP | S_IWOTH)) &&
	    seen.st_size <= FILE_MAX)
		document = json_loadfd(fd, 0, NULL);
	close(fd);
	return document;
}

static void containers_folder(char ret[PATH_MAX])
{
	json_t *config = read_json(DOCKER_CONFIG);
	const char *root = json_string_value(json_object_get(config, "data-root"));

	snprintf(ret, PATH_MAX, "%s/containers", root && *root == '/' ? root : DOCKER_ROOT);
	json_decref(config);
}

static json_t *read_container(const char *folder, const char *id)
{
	char path[PATH_MAX + CONTAINER_ID_MAX + 32];

	snprintf(path, sizeof(path), "%s/%.64s/config.v2.json", folder, id);
	return read_json(path);
}

static void take_name(const json_t *config, struct container *ret)
{
	const char *name = json_string_value(json_object_get(config, "Name"));

	if (name)
		snprintf(ret->name, sizeof(ret->name), "%s", name + (*name == '/'));
}

/* Docker, containerd and podman end a container's cgroup path with its 64-digit id, sometimes with a prefix and
 * ".scope". */
bool container_by_cgroup(const char *cgroup, struct container *ret)
{
	char folder[PATH_MAX];
	json_t *config;

	memset(ret, 0, sizeof(*ret));
	for (const char *c = cgroup; strlen(c) >= CONTAINER_ID_MAX; c++) {
		if ((c == cgroup || c[-1] == '/' || c[-1] == '-') && is_hex(c, CONTAINER_ID_MAX)) {
			memcpy(ret->id, c, CONTAINER_ID_MAX);
			containers_folder(folder);
			config = read_container(folder, ret->id);
			take_name(config, ret);
			json_decref(config);
			return true;
		}
	}
	return false;
}

static size_t take_addresses(const json_t *config, const char *id, struct known *known, size_t count)
{
	static const char *const keys[] = { "IPAddress", "GlobalIPv6Address" };
	json_t *networks = json_object_get(json_object_get(config, "NetworkSettings"), "Networks"), *network;
	const char *name, *text;

	if (!json_is_true(json_object_get(json_object_get(config, "State"), "Running")))
		return count;
	json_object_foreach(networks, name, network) {
		for (int i = 0; i < 2; i++) {
			text = json_string_value(json_object_get(network, keys[i]));
			if (!text || count >= ADDRESSES_MAX || address_parse(text, &known[count].address))
				continue;
			memset(&known[count].container, 0, sizeof(known[count].container));
			snprintf(known[count].container.id, sizeof(known[count].container.id), "%.64s", id);
			take_name(config, &known[count].container);
			count++;
		}
	}
	return count;
}

static size_t read_addresses(struct known *known)
{
	char folder[PATH_MAX];
	struct dirent *entry;
	size_t count = 0;
	DIR *dir;

	containers_folder(folder);
	dir = opendir(folder);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		json_t *config;

		if (strlen(entry->d_name) != CONTAINER_ID_MAX || !is_hex(entry->d_name, CONTAINER_ID_MAX))
			continue;
		config = read_container(folder, entry->d_name);
		count = take_addresses(config, entry->d_name, known, count);
		json_decref(config);
	}
	closedir(dir);
	return count;
}

bool container_by_address(const struct oh_address *address, struct container *ret)
{
	static struct known known[ADDRESSES_MAX];
	static size_t count;
	static int64_t until;
	int64_t now = clock_boot();

	if (now >= until) {
		count = read_addresses(known);
		until = now + KEPT_SECONDS;
	}
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < count; i++) {
		if (!memcmp(&known[i].address, address, sizeof(*address))) {
			*ret = known[i].container;
			return true;
		}
	}
	return false;
}
