/* SPDX-License-Identifier: MIT */
/* What libbpf before 0.8 lacks (Ubuntu 22.04 has 0.5). */
#ifndef OHGUARD_LIBBPF_COMPAT_H
#define OHGUARD_LIBBPF_COMPAT_H

#include <bpf/libbpf.h>
#include <errno.h>

#if !defined(LIBBPF_MAJOR_VERSION) || (LIBBPF_MAJOR_VERSION == 0 && LIBBPF_MINOR_VERSION < 8)
static inline int bpf_xdp_query_id(int index, int flags, __u32 *ret_program)
{
	return bpf_get_link_xdp_id(index, ret_program, (__u32)flags);
}

/* Without these, the verifier's output is not visible. */
static inline int bpf_program__set_log_buf(struct bpf_program *program, char *buffer, size_t size)
{
	(void)program;
	(void)buffer;
	(void)size;
	return -EOPNOTSUPP;
}

static inline int bpf_program__set_log_level(struct bpf_program *program, __u32 level)
{
	(void)program;
	(void)level;
	return -EOPNOTSUPP;
}

/* Maps that nobody needs are made anyway. */
static inline int bpf_map__set_autocreate(struct bpf_map *map, bool create)
{
	(void)map;
	(void)create;
	return 0;
}
#endif

#endif
