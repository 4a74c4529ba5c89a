/* SPDX-License-Identifier: MIT */
/* Programs at one hook of one interface: which one runs first, and how ours becomes the first. Only that one is sure
 * to be asked: a program before it can let a packet pass and end the run. */
#ifndef OHGUARD_DEVICE_H
#define OHGUARD_DEVICE_H

#include "engine/hooks.h"

struct device_first {
	uint32_t program;	/* its id, 0: it is not a BPF program, or there is none */
	char name[64];		/* its name for people, "": there is none */
};

/* What runs first at a hook. filters: the kernel has no links there. */
void device_first(const struct hook *kind, unsigned int index, bool filters, struct device_first *ret);

/* Makes a link before all others (XDP: in the driver, which has room for only one): a descriptor or -errno. -EEXIST:
 * the program is there already; -EINVAL: this kernel has no such links. */
int device_link(int program, const struct hook *kind, unsigned int index);
/* Makes the program of a link the first again, by a new link in its place: a descriptor or -errno. Packets that come
 * meanwhile are dropped. */
int device_link_first(int link, int program, const struct hook *kind, unsigned int index);

/* True if our filter at the interface has that program. */
bool device_has_filter(const struct hook *kind, unsigned int index, uint32_t program);
/* True if there is a filter of ours, with any program. */
bool device_has_any_filter(const struct hook *kind, unsigned int index);
/* Adds a filter of the program before all others, in place of our old one. 0 or -errno. */
int device_filter(int program, const struct hook *kind, unsigned int index);
int device_remove_filter(const struct hook *kind, unsigned int index);

#endif
