// SPDX-License-Identifier: MIT
#include "guard/ways_out.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/hooks.h"
#include "engine/listener.h"
#include "engine/packet.h"
#include "policy/suffix.h"
#include "policy/resolv_conf.h"

/* The workload may have made more of these, to keep us busy. */
#define PROCESSES_MAX 256
#define FOLDERS_MAX 256
#define ENTRIES_MAX 64
#define USERS_MAX 4
#define GROUPS_MAX 64

static void check_suffix(const struct target *t, const char *what, struct remarks *ret)
{
	char open[SUFFIX_RULE_MAX];

	if (suffix_is_wide(t, open))
		remark(ret, "*.%s may be %s, and anyone can have a name below %s", t->name, what, open);
}

void ways_out_suffixes(const struct policy *policy, struct remarks *ret)
{
	for (size_t i = 0; i < policy->count; i++)
		check_suffix(policy->list[i].target, "reached", ret);
	for (size_t i = 0; i < policy->asks.count; i++)
		check_suffix(&policy->asks.list[i], "asked for", ret);
}

static bool is_in(const char *path, const char *cgroup)
{
	size_t len = strlen(cgroup);

	return !strncmp(path, cgroup, len) && (!path[len] || path[len] == '/');
}

void ways_out_resolver(const struct oh_settings *settings, const char *cgroup, struct remarks *ret)
{
	struct oh_address local[CONFIG_RESOLVERS_MAX];
	char text[ADDRESS_TEXT_MAX], path[PATH_MAX];
	size_t n;

	if (!settings->inspect || *settings->uplink[0] || packet_cgroup_level(cgroup) <= 0)
		return;
	n = resolv_conf_servers("/etc/resolv.conf", true, local);
	for (size_t i = 0; i < n; i++) {
		uint64_t id = listener_cgroup(&local[i], 53);

		if (!id)
			continue;
		engine_cgroup_path(id, path);
		if (!is_in(path, cgroup) && !listener_is_guarded(path))
			remark(ret, "the resolver at %s is not guarded: it passes on every name that it is asked for, "
			       "and new addresses of a rotating name are refused: guard its unit too (%.100s), or name "
			       "the uplink, or have the workload ask the upstream resolver",
			       address_format(&local[i], text), path);
	}
}

/* One of the guarded processes, as file permissions know it. */
struct process {
	int pid;
	unsigned int user, group;
	unsigned int groups[GROUPS_MAX];
	size_t group_count;
};

static bool read_process(int pid, struct process *ret)
{
	char path[64], line[1024];
	FILE *f;
	int read = 0;

	*ret = (struct process){ .pid = pid };
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		const char *at = line + 7;
		int used;

		read += sscanf(line, "Uid: %*u %u", &ret->user) == 1 || sscanf(line, "Gid: %*u %u", &ret->group) == 1;
		for (; !strncmp(line, "Groups:", 7) && ret->group_count < GROUPS_MAX &&
		       sscanf(at, "%u%n", &ret->groups[ret->group_count], &used) == 1; at += used)
			ret->group_count++;
	}
	if (f)
		fclose(f);
	return read == 2;
}

static bool may_connect(const struct process *p, const struct stat *st)
{
	bool its_group = p->group == st->st_gid;

	for (size_t i = 0; i < p->group_count; i++)
		its_group |= p->groups[i] == st->st_gid;
	if (!p->user)
		return true;
	return st->st_mode & (p->user == st->st_uid ? S_IWUSR : its_group ? S_IWGRP : S_IWOTH);
}

/* The path itself, or all that is at most `depth` below a folder. Links are not followed: the workload makes them. */
static bool has_socket(const struct process *p, const char *path, int depth)
{
	struct dirent *entry;
	struct stat st;
	bool found = false;
	DIR *d;

	if (lstat(path, &st))
		return false;
	if (S_ISSOCK(st.st_mode))
		return may_connect(p, &st);
	if (!S_ISDIR(st.st_mode) || !depth || (p->user && p->user != st.st_uid && !(st.st_mode & S_IXOTH)))
		return false;
	d = opendir(path);
	for (int i = 0; d && !found && i < ENTRIES_MAX && (entry = readdir(d)); i++) {
		char below[PATH_MAX];

		if (*entry->d_name != '.' && snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) < PATH_MAX)
			found = has_socket(p, below, depth - 1);
	}
	if (d)
		closedir(d);
	return found;
}

/* As the process sees them: a container sees none of the host's. */
static void find_sockets(const struct process *p, char *ret, size_t size)
{
	static const struct {
		const char *path;	/* %u: the user */
		int depth;
	} known[] = {
		{ "/tmp/tmux-%u", 1 },
		{ "/run/screen", 2 },
		{ "/run/user/%u/systemd/private", 0 },
		{ "/run/user/%u/bus", 0 },
		{ "/run/systemd/private", 0 },
		{ "/run/docker.sock", 0 },
		{ "/run/user/%u/docker.sock", 0 },
		{ "/run/podman/podman.sock", 0 },
		{ "/run/user/%u/podman/podman.sock", 0 },
		{ "/run/containerd/containerd.sock", 0 },
	};

	*ret = '\0';
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		char path[64], inside[128];
		size_t used = strlen(ret);

		snprintf(path, sizeof(path), known[i].path, p->user);
		snprintf(inside, sizeof(inside), "/proc/%d/root%s", p->pid, path);
		if (has_socket(p, inside, known[i].depth))
			snprintf(ret + used, size - used, "%s%s", used ? ", " : "", path);
	}
}

struct search {
	unsigned int processes, folders;
	unsigned int told[USERS_MAX];
	size_t told_count;
	struct remarks *remarks;
};

static void check_process(struct search *s, int pid)
{
	char sockets[160];
	struct process p;

	if (!read_process(pid, &p))
		return;
	for (size_t i = 0; i < s->told_count; i++) {
		if (s->told[i] == p.user)
			return;
	}
	find_sockets(&p, sockets, sizeof(sockets));
	if (!*sockets || s->told_count == USERS_MAX)
		return;
	s->told[s->told_count++] = p.user;
	remark(s->remarks, "user %u in the cgroup may connect to %s: a server there that is not in the cgroup runs its "
	       "commands unguarded: give the workload a user of its own, with no session services", p.user, sockets);
}

static void search_cgroup(struct search *s, const char *folder)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *d;
	FILE *f;
	int pid;

	if (snprintf(path, sizeof(path), "%s/cgroup.procs", folder) >= PATH_MAX || s->folders++ == FOLDERS_MAX)
		return;
	f = fopen(path, "re");
	while (f && s->processes < PROCESSES_MAX && fscanf(f, "%d", &pid) == 1) {
		s->processes++;
		check_process(s, pid);
	}
	if (f)
		fclose(f);
	d = opendir(folder);
	while (d && s->folders < FOLDERS_MAX && (entry = readdir(d))) {
		if (entry->d_type == DT_DIR && *entry->d_name != '.' &&
		    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) < PATH_MAX)
			search_cgroup(s, path);
	}
	if (d)
		closedir(d);
}

void ways_out_sockets(const char *cgroup, struct remarks *ret)
{
	struct search s = { .remarks = ret };

	if (*cgroup && packet_cgroup_level(cgroup) > 0)
		search_cgroup(&s, cgroup);
}
