/* SPDX-License-Identifier: MIT */
/* For CBMC: what libbpf's header of this name has, on a little-endian machine. */
#ifndef OHGUARD_PROOF_ENDIAN_H
#define OHGUARD_PROOF_ENDIAN_H

#define bpf_htons(x) ((__u16)((__u16)(x) >> 8 | (__u16)(x) << 8))
#define bpf_ntohs(x) bpf_htons(x)
#define bpf_htonl(x)                                                                                                   \
	((__u32)((__u32)(x) >> 24 | ((__u32)(x) >> 8 & 0xff00) | ((__u32)(x) << 8 & 0xff0000) | (__u32)(x) << 24))
#define bpf_ntohl(x) bpf_htonl(x)

#endif
