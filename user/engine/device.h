/* SPDX-License-Identifier: MIT */
/* A program at one hook of one interface: which one runs first there, and how ours comes to be that. Only the first is
 * sure to be asked: one before it can let a packet pass and end the run. */
#ifndef OHGUARD_DEVICE_H
#define OHGUARD_DEVICE_H

#include "engine/hooks.h"

struct device_first {
	uint32_t program;	/* its id, 0: it is none of BPF, or there is nothing */
	char name[64];		/* what an operator knows it by, "": there is nothing */
};

/* What runs first at a hook; filters: where the kernel has no links there. */
void device_first(const struct hook *kind, unsigned int index, bool filters, struct device_first *ret);

/* A link that stands before all others (XDP: in the driver, which has room for one alone): a descriptor or -errno.
 * -EEXIST: the program is there already, -EINVAL: this kernel has no such links. */
int device_link(int program, const struct hook *kind, unsigned int index);
/* Makes the program of a link first again, by a new link in place of it: a descriptor or -errno. What comes meanwhile
 * is dropped. */
int device_link_first(int link, int program, const struct hook *kind, unsigned int index);

/* Whether the filter at the interface is of that program. */
bool device_has_filter(const struct hook *kind, unsigned int index, uint32_t program);
/* Whether there is a filter of ours, of whatever program. */
bool device_has_any_filter(const struct hook *kind, unsigned int index);
/* A filter of the program that stands before all others, in place of the one that was ours. 0 or -errno. */
int device_filter(int program, const struct hook *kind, unsigned int index);
int device_remove_filter(const struct hook *kind, unsigned int index);

#endif
