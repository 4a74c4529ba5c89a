// SPDX-License-Identifier: MIT
#include "aws/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef __aarch64__
#define OWN_ARCH ARCH_ARM
#else
#define OWN_ARCH ARCH_X86
#endif

/* Both architectures are little-endian, as this machine is. */
static int check_machine(const char *path, enum arch arch, struct error *e)
{
	Elf64_Ehdr header;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, &header, sizeof(header));
	int problem = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return error_set(e, problem, "program = %s: %s", path, strerror(problem));
	if (n < (ssize_t)sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG) ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != archs[arch].elf)
		return error_set(e, EINVAL, "program = %s: no program for %s", path, archs[arch].people);
	return 0;
}

int program_find(const struct stack *stack, const char *type, char ret[PROGRAM_PATH_MAX], struct error *e)
{
	enum arch arch = stack_arch(type);
	ssize_t n;

	if (arch != OWN_ARCH) {
		if (!*stack->program)
			return error_set(e, EINVAL, "%s has %s processors, and this ohguard is for %s: build one for "
					 "%s (on such a machine, or with `make ARCH=arm64`), and write `program = "
					 "FILE` in [stack]", type, archs[arch].people, archs[OWN_ARCH].people,
					 archs[arch].people);
		snprintf(ret, PROGRAM_PATH_MAX, "%s", stack->program);
		return check_machine(ret, arch, e);
	}
	n = readlink("/proc/self/exe", ret, PROGRAM_PATH_MAX - 1);
	if (n < 0)
		return error_set(e, errno, "/proc/self/exe: %s", strerror(errno));
	ret[n] = '\0';
	return 0;
}
