/* SPDX-License-Identifier: MIT */
/* libbpf before 1.0 (Ubuntu 22.04 has 0.5) gives up at the first of the kernel's types whose kind it does not know:
 * 64-bit enums from Linux 6.0 on, and tags. BPF LSM programs are loaded by those types. */
#ifndef OHGUARD_OLD_LIBBPF_H
#define OHGUARD_OLD_LIBBPF_H

#include <stddef.h>

/* Gives such types other kinds, of the same size in the file and of no use to us: ids and all others stay. 0, or
 * -EPROTO if this is no BTF or has still newer kinds. */
int old_libbpf_make_known(void *btf, size_t size);

#endif
