/* SPDX-License-Identifier: MIT */
/* Where this kernel keeps what programs read of its own memory: see bpf/payload/shared_pages.h and
 * bpf/decide/. */
#ifndef OHGUARD_KERNEL_TYPES_H
#define OHGUARD_KERNEL_TYPES_H

#include <ohguard/abi.h>

/* Fills skb_head to shared_mask, own and links. Masks and what says "known" stay 0 where the kernel tells nothing of
 * its types (no BTF), or lets no program read its memory (lockdown=confidentiality). */
void kernel_types_find(struct oh_settings *settings);

#endif
