// SPDX-License-Identifier: MIT
/* What root can try against a locked guard. Each command exits 0 where it worked, and 1, saying why, where not. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int by_id(int command, const char *id)
{
	union bpf_attr attr = { .link_id = (uint32_t)atoi(id) };

	return bpf(command, &attr);
}

static int get_pin(const char *path)
{
	union bpf_attr attr = { .pathname = (uintptr_t)path };

	return bpf(BPF_OBJ_GET, &attr);
}

static int info(int fd, void *ret, uint32_t size)
{
	union bpf_attr attr = { .info = { .bpf_fd = (uint32_t)fd, .info_len = size, .info = (uintptr_t)ret } };

	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

/* Prints "link ID", then "map ID NAME" for each map of its program. */
static int ids(char **arg)
{
	uint32_t maps[64] = { 0 };
	struct bpf_link_info link = { 0 };
	struct bpf_prog_info program = { .nr_map_ids = 64, .map_ids = (uintptr_t)maps };
	char id[16];

	if (info(get_pin(arg[0]), &link, sizeof(link)))
		return -1;
	printf("link %u\n", link.id);
	snprintf(id, sizeof(id), "%u", link.prog_id);
	if (info(by_id(BPF_PROG_GET_FD_BY_ID, id), &program, sizeof(program)))
		return -1;
	for (uint32_t i = 0; i < program.nr_map_ids; i++) {
		struct bpf_map_info map = { 0 };

		snprintf(id, sizeof(id), "%u", maps[i]);
		if (info(by_id(BPF_MAP_GET_FD_BY_ID, id), &map, sizeof(map)))
			return -1;
		printf("map %u %s\n", maps[i], map.name);
	}
	return 0;
}

static int pin_get(char **arg) { return get_pin(arg[0]); }
static int link_get(char **arg) { return by_id(BPF_LINK_GET_FD_BY_ID, arg[0]); }

/* Any link at all. */
static int any_link(char **arg)
{
	(void)arg;
	for (uint32_t id = 1; id < 2000; id++) {
		union bpf_attr attr = { .link_id = id };

		if (bpf(BPF_LINK_GET_FD_BY_ID, &attr) >= 0)
			return printf("link %u\n", id);
	}
	return -1;
}

static int map_get(char **arg) { return by_id(BPF_MAP_GET_FD_BY_ID, arg[0]); }

static int link_detach(char **arg)
{
	int fd = by_id(BPF_LINK_GET_FD_BY_ID, arg[0]);
	union bpf_attr attr = { .link_detach = { .link_fd = (uint32_t)fd } };

	return fd < 0 ? -1 : bpf(BPF_LINK_DETACH, &attr);
}

/* Writes what is there: harmless where it is allowed. */
static int map_write(char **arg)
{
	static char key[512], value[4096];
	int fd = by_id(BPF_MAP_GET_FD_BY_ID, arg[0]);
	union bpf_attr attr = { .map_fd = (uint32_t)fd, .key = (uintptr_t)key, .value = (uintptr_t)value };

	return fd < 0 || bpf(BPF_MAP_LOOKUP_ELEM, &attr) ? -1 : bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

/* A socket of that family, of whatever type there is. */
static int family(char **arg)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW };
	int fd = -1;

	for (int i = 0; i < 4 && fd < 0; i++)
		fd = socket(atoi(arg[0]), types[i], 0);
	return fd;
}

/* The same by a user of the host. */
static int family_as(char **arg)
{
	return setuid((uid_t)atoi(arg[0])) ? -1 : family(arg + 1);
}

static int packet(char **arg)
{
	int fd = socket(atoi(arg[0]), SOCK_RAW, 0);

	return fd < 0 && errno == EAFNOSUPPORT ? 0 : fd;	/* a kernel without it refuses nobody */
}

static int bypass(char **arg)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;

	(void)arg;
	return fd < 0 ? -1 : setsockopt(fd, 263, 20, &one, sizeof(one));
}

static int attach(char **arg)
{
	int pid = atoi(arg[0]);

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL))
		return -1;
	waitpid(pid, NULL, 0);
	return (int)ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

static int memory(char **arg)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/mem", arg[0]);
	return open(path, O_RDWR);
}

/* Says of itself that it is another program, and then tries a pin. The kernel allows that once nothing maps the old
 * file any more, so this runs on in a copy of its own text and data. */
static int spoof(char **arg)
{
	extern char __executable_start, _end;
	uintptr_t start = (uintptr_t)&__executable_start & ~4095UL, size = ((uintptr_t)&_end - start + 4095) & ~4095UL;
	int fd = open(arg[0], O_RDONLY);
	char exe[256] = "";
	char *copy = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || copy == MAP_FAILED)
		return -1;
	memcpy(copy, (void *)start, size);
	if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)start) == MAP_FAILED)
		return -1;
	if (prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 0, 0)) {
		printf("not spoofed: %s\n", strerror(errno));
		exit(3);
	}
	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0)
		printf("exe is %s\n", exe);
	return get_pin(arg[1]);
}

/* By a file handle: no folder is passed through. */
static int handle(char **arg)
{
	struct {
		struct file_handle h;
		char room[MAX_HANDLE_SZ];
	} f = { .h.handle_bytes = MAX_HANDLE_SZ };
	int mount_id, at = open(arg[1], O_RDONLY | O_DIRECTORY);

	if (arg[2]) {	/* as it was told before */
		for (unsigned int i = 0, n; sscanf(arg[2] + 2 * i, "%2x", &n) == 1; i++)
			((unsigned char *)&f)[i] = (unsigned char)n;
		return open_by_handle_at(at, &f.h, O_RDONLY);
	}
	if (name_to_handle_at(AT_FDCWD, arg[0], &f.h, &mount_id, 0))
		return -1;
	for (unsigned int i = 0; i < sizeof(f.h) + f.h.handle_bytes; i++)
		printf("%02x", ((unsigned char *)&f)[i]);
	putchar('\n');
	return 0;
}

static int move_mount_(char **arg)
{
	int fd = (int)syscall(428 /* open_tree */, AT_FDCWD, arg[0], 1 /* clone */);

	return fd < 0 ? -1 : (int)syscall(429 /* move_mount */, fd, "", AT_FDCWD, arg[1], 4 /* from an empty path */);
}

/* Executes it as a traced child, stopped at its first instruction: then it may be written. */
static int traced(char **arg)
{
	int status, pid = fork();
	long word;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(arg[0], arg);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	word = WIFSTOPPED(status) ? 0 : -1;
	if (!word)
		ptrace(PTRACE_CONT, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	errno = EPERM;
	return !word && WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}

/* Executes it a day ahead of the machine's clock. */
static int clocks(char **arg)
{
	static const char offset[] = "boottime 86400 0\n";
	int status, pid, fd;

	if (unshare(0x80 /* CLONE_NEWTIME */))
		return -1;
	fd = open("/proc/self/timens_offsets", O_WRONLY);
	if (fd < 0 || write(fd, offset, sizeof(offset) - 1) < 0)
		return -1;
	close(fd);
	pid = fork();
	if (!pid) {
		execv(arg[0], arg);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	errno = EPERM;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}

static const struct {
	const char *name;
	int (*run)(char **arg);
	int arguments;
} commands[] = {
	{ "ids", ids, 1 }, { "pin-get", pin_get, 1 }, { "link-get", link_get, 1 }, { "link-detach", link_detach, 1 },
	{ "map-get", map_get, 1 }, { "map-write", map_write, 1 }, { "packet", packet, 1 }, { "family", family, 1 },
	{ "family-as", family_as, 2 }, { "bypass", bypass, 0 },
	{ "attach", attach, 1 }, { "memory", memory, 1 }, { "spoof", spoof, 2 }, { "handle", handle, 2 },
	{ "move-mount", move_mount_, 2 }, { "traced", traced, 1 }, { "any-link", any_link, 0 }, { "clocks", clocks, 1 },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(argv[1], commands[i].name) || argc - 2 < commands[i].arguments)
			continue;
		if (commands[i].run(argv + 2) >= 0)
			return 0;
		printf("%s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	return 2;
}
