// SPDX-License-Identifier: MIT
#include "engine/old_libbpf.h"

#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/kernel_btf.h"
#include "engine/libbpf_compat.h"

/* The linker leads all calls of libbpf's function to the first, libbpf's own too, and the second is that function. */
struct btf *__wrap_btf__load_vmlinux_btf(void);
struct btf *__real_btf__load_vmlinux_btf(void);

static void change_kind(struct btf_type *t, __u32 kind, __u32 members)
{
	t->info = kind << 24 | members;
}

/* An enum's values become members without a type: both are of three words. */
static void make_union(struct btf_type *t)
{
	struct btf_member *m = (struct btf_member *)(t + 1);

	change_kind(t, BTF_KIND_UNION, BTF_INFO_VLEN(t->info));
	for (__u32 i = 0; i < BTF_INFO_VLEN(t->info); i++)
		m[i].type = m[i].offset = 0;
}

static void make_variable(struct btf_type *t)
{
	change_kind(t, BTF_KIND_VAR, 0);
	((struct btf_var *)(t + 1))->linkage = BTF_VAR_STATIC;
}

int old_libbpf_make_known(void *btf, size_t size)
{
	const struct btf_header *h = btf;
	char *at, *end;

	if (size < sizeof(*h) || h->magic != BTF_MAGIC || (__u64)h->hdr_len + h->type_off + h->type_len > size)
		return -EPROTO;
	at = (char *)btf + h->hdr_len + h->type_off;
	end = at + h->type_len;
	while ((size_t)(end - at) >= sizeof(struct btf_type)) {
		struct btf_type *t = (struct btf_type *)at;
		__u32 kind = BTF_INFO_KIND(t->info);
		size_t whole = sizeof(*t) + kernel_btf_behind(t);

		if (kind > KERNEL_BTF_ENUM64 || whole > (size_t)(end - at))
			return -EPROTO;
		if (kind == KERNEL_BTF_ENUM64)
			make_union(t);
		else if (kind == KERNEL_BTF_DECL_TAG)
			make_variable(t);
		else if (kind == KERNEL_BTF_TYPE_TAG)
			change_kind(t, BTF_KIND_CONST, 0);
		at += whole;
	}
	return at == end ? 0 : -EPROTO;
}

#if !defined(LIBBPF_MAJOR_VERSION) || LIBBPF_MAJOR_VERSION < 1
struct btf *__wrap_btf__load_vmlinux_btf(void)
{
	int fd = open(KERNEL_BTF, O_RDONLY | O_CLOEXEC);
	struct btf *btf = NULL;
	char *bytes = NULL;
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st))
		bytes = malloc((size_t)st.st_size);
	if (bytes && !kernel_btf_read_at(fd, bytes, (size_t)st.st_size, 0) &&
	    !old_libbpf_make_known(bytes, (size_t)st.st_size))
		btf = btf__new(bytes, (__u32)st.st_size);
	else
		errno = errno ? errno : EPROTO;
	free(bytes);
	if (fd >= 0)
		close(fd);
	return btf;
}
#else
struct btf *__wrap_btf__load_vmlinux_btf(void)
{
	return __real_btf__load_vmlinux_btf();
}
#endif
