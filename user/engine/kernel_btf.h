/* SPDX-License-Identifier: MIT */
/* The kernel's types as it shows them, read piece by piece: libbpf keeps all of them in memory, and twice while it
 * parses them, which is 14 MB for the few offsets that we need. */
#ifndef OHGUARD_KERNEL_BTF_H
#define OHGUARD_KERNEL_BTF_H

#include <linux/btf.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"
#define KERNEL_BTF_NAMES_MAX 64

/* Kinds that older headers lack: linux/btf.h has them since 5.16, 5.17 and 6.0. The second has nothing behind it. */
#define KERNEL_BTF_DECL_TAG 17
#define KERNEL_BTF_TYPE_TAG 18
#define KERNEL_BTF_ENUM64 19

struct kernel_btf {
	int fd;
	uint32_t types, types_end;	/* positions in the file */
	uint32_t names, names_end;
	uint32_t *at, count;		/* where each type is, by its id */
	struct kernel_btf_name {
		const char *text;
		uint32_t at;		/* among the names, 0: no type has it */
		uint32_t id;		/* the first struct that bears it, 0: none */
	} name[KERNEL_BTF_NAMES_MAX];
	size_t name_count;
};

/* Adds a name, of a struct or of a field, that will be asked for. Before kernel_btf_read(). */
void kernel_btf_want(struct kernel_btf *b, const char *name);
/* 0 or -errno. kernel_btf_close() in either case. */
int kernel_btf_read(struct kernel_btf *b, const char *path);
void kernel_btf_close(struct kernel_btf *b);

/* Reads size bytes from `at` on. 0, or -errno: -EPROTO where the file ends before. */
int kernel_btf_read_at(int fd, void *to, size_t size, uint32_t at);

/* What stands behind a type, in bytes. */
uint32_t kernel_btf_behind(const struct btf_type *t);

/* The size of a struct in bytes, or -1. */
int kernel_btf_size(const struct kernel_btf *b, const char *type);
/* The offset in bits of a field, those of the unions and structs without a name in it included; or -1. */
int kernel_btf_bits(const struct kernel_btf *b, const char *type, const char *field);

#endif
