/* SPDX-License-Identifier: MIT */
/* Where this kernel keeps the marks of pages that user space can still write: see bpf/payload/shared_pages.h. */
#ifndef OHGUARD_SHARED_PAGES_H
#define OHGUARD_SHARED_PAGES_H

#include <ohguard/abi.h>

/* Fills skb_head to shared_mask; shared_mask stays 0 where the kernel tells nothing of its types (no BTF), or lets no
 * program read its memory (lockdown=confidentiality). */
void shared_pages_find(struct oh_settings *settings);

#endif
