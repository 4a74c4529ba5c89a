/* SPDX-License-Identifier: MIT */
/* For CBMC: what libbpf's header of this name has. A proof defines the helpers that its subject calls. */
#ifndef OHGUARD_PROOF_HELPERS_H
#define OHGUARD_PROOF_HELPERS_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define SEC(name)
#define __uint(name, value) int (*name)[value]
#define __type(name, value) value *name
#undef __always_inline
#define __always_inline inline

void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);
long bpf_map_delete_elem(void *map, const void *key);
__u64 bpf_ktime_get_boot_ns(void);
__u64 bpf_jiffies64(void);
long bpf_skb_load_bytes(const void *skb, __u32 at, void *to, __u32 size);

#endif
