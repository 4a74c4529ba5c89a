/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Addresses that no public host has: not believed in an answer. The user side's list is in user/policy/address.c, and a test
 * holds the two against each other. */
#ifndef OHGUARD_BPF_SPECIAL_H
#define OHGUARD_BPF_SPECIAL_H

#include "parse/bytes.h"

/* In host byte order. */
OH_INLINE int oh_special_ip4(__u32 a)
{
	return a >> 24 == 0 || a >> 24 == 10 || a >> 24 == 127 || a >> 28 == 14 || a >> 28 == 15 ||
	       a >> 22 == (100 << 2 | 1) || a >> 16 == 0xa9fe || a >> 20 == 0xac1 || a >> 8 == 0xc00000 ||
	       a >> 16 == 0xc0a8 || a >> 17 == 0xc612 >> 1;
}

/* The address as sixteen bytes, an IPv4 one mapped. */
OH_INLINE int oh_special(const __u8 *a)
{
	__u32 first = oh_be32(a), second = oh_be32(a + 4), third = oh_be32(a + 8), last = oh_be32(a + 12);

	if (!first && !second && third == 0xffff)
		return oh_special_ip4(last);
	if (first == 0x0064ff9b && !second && !third)	/* RFC 6052: what stands behind the translator */
		return oh_special_ip4(last);
	if (!first && !second && !third)
		return 1;
	if (first == 0x0064ff9b && second >> 16 == 1)
		return 1;
	return (first == 0x01000000 && !second) ||	/* 100::/64 */
	       first == 0x20010000 || first >> 16 == 0x2002 ||
	       first >> 25 == 0xfc >> 1 ||		/* fc00::/7 */
	       first >> 22 == 0xfe80 >> 6 || first >> 22 == 0xfec0 >> 6 || first >> 24 == 0xff;
}

#endif
