// SPDX-License-Identifier: MIT
/* What the kernel says of the guard's programs, for docs/kernels.md: how each is attached, and the steps that the
 * verifier took for it (from Linux 5.16 on). One line each: "PROGRAM ATTACHMENT STEPS". */
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINK_TCX 11	/* enum bpf_link_type; not in the headers of Debian 12 */
#define VERIFIED_INSNS (216 / 4)	/* where struct bpf_prog_info has it; not in those of Ubuntu 22.04 */

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* The next object behind id by its two commands: a descriptor, -1 at the end. */
static int next(int next_id, int by_id, uint32_t *id)
{
	for (;;) {
		union bpf_attr attr = { .start_id = *id };
		int fd;

		if (bpf(next_id, &attr))
			return -1;
		*id = attr.next_id;
		attr = (union bpf_attr){ .prog_id = *id };
		fd = bpf(by_id, &attr);
		if (fd >= 0)
			return fd;	/* else it has gone meanwhile */
	}
}

static int info_of(int fd, void *info, size_t size)
{
	union bpf_attr attr = { .info = { .bpf_fd = (uint32_t)fd, .info_len = (uint32_t)size,
		.info = (uintptr_t)info } };

	memset(info, 0, size);
	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

static const char *attachment(uint32_t program)
{
	static const char *const kinds[] = { [BPF_LINK_TYPE_TRACING] = "lsm", [BPF_LINK_TYPE_CGROUP] = "cgroup",
					     [BPF_LINK_TYPE_XDP] = "xdp", [LINK_TCX] = "tcx" };
	struct bpf_link_info info;
	uint32_t id = 0;
	int fd;

	while ((fd = next(BPF_LINK_GET_NEXT_ID, BPF_LINK_GET_FD_BY_ID, &id)) >= 0) {
		int r = info_of(fd, &info, sizeof(info));

		close(fd);
		if (!r && info.prog_id == program && info.type < sizeof(kinds) / sizeof(*kinds) && kinds[info.type])
			return kinds[info.type];
	}
	return "clsact";	/* a filter is no link */
}

int main(void)
{
	union {
		struct bpf_prog_info info;
		uint32_t word[64];
	} u;
	uint32_t id = 0;
	int fd;

	while ((fd = next(BPF_PROG_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID, &id)) >= 0) {
		if (!info_of(fd, &u, sizeof(u)) && !strncmp(u.info.name, "oh_", 3))
			printf("%s %s %u\n", u.info.name, attachment(id), u.word[VERIFIED_INSNS]);
		close(fd);
	}
	return 0;
}
