/* SPDX-License-Identifier: MIT */
/* The eBPF objects inside this binary. */
#ifndef OHGUARD_OBJECT_H
#define OHGUARD_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct bpf_object;
struct btf;

enum object {
	OBJECT_ENGINE,	/* bpf/ohguard.bpf.c */
	OBJECT_LOCK,	/* bpf/lock.bpf.c */
};

#define OBJECT_SETTINGS "oh_settings"	/* the engine's constant: struct oh_settings */

/* Unpacks and opens one without loading it. From then on libbpf is silent, unless OHGUARD_DEBUG is set. */
int object_open(enum object which, struct bpf_object **ret, struct error *e);
/* Tells the programs of one build from another's: made of their SHA-256. */
uint64_t object_build(void);
/* Gives a constant of the programs its value, before they are loaded. */
int object_set_constant(struct bpf_object *object, const char *name, const void *value, size_t size, struct error *e);
/* Where a constant is in read-only data, whose type is `section` in btf: the compiler may put tables there too. The
 * offset in bytes, -EPROTO (it has another size) or -ENOENT (no such name). */
int object_find_constant(const struct btf *btf, uint32_t section, const char *name, size_t size);
/* True if a map of that name holds read-only data. */
bool object_is_constants(const char *map);

/* libbpf's last warning, which is the reason for its last failure; "" if there was none. */
const char *object_warning(void);

#endif
