/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Addresses that no public host has: not believed in an answer. The user side's list is in user/policy/address.c, and a
 * test holds the two against each other. */
#ifndef OHGUARD_BPF_SPECIAL_H
#define OHGUARD_BPF_SPECIAL_H

#include "parse/bytes.h"

/* In host byte order. */
OH_INLINE int oh_special_ip4(__u32 a)
{
	return a >> 24 == 0 || a >> 24 == 10 || a >> 24 == 127 || a >> 28 == 14 || a >> 28 == 15 ||
	       a >> 22 == (100 << 2 | 1) || a >> 16 == 0xa9fe || a >> 20 == 0xac1 || a >> 8 == 0xc00000 ||
	       a >> 16 == 0xc0a8 || a >> 17 == 0xc612 >> 1 || a >> 8 == 0xc05863;
}

/* Halves of addresses, and IPv4 addresses, are in host byte order below. */
OH_INLINE int oh_is_behind(__u64 high, __u64 low, __u64 prefix_high, __u64 prefix_low, __u32 prefix)
{
	if (prefix == 96)
		return high == prefix_high && low >> 32 == prefix_low >> 32;
	return !((high ^ prefix_high) >> (64 - prefix));
}

/* RFC 6052, 2.2: the IPv4 address behind a translator's prefix of 32, 40, 48, 56, 64 or 96 bits. Bits 64 to 71 of the
 * address hold none of it. */
OH_INLINE __u32 oh_ip4_behind(__u64 high, __u64 low, __u32 prefix)
{
	if (prefix == 96)
		return low;
	if (prefix == 32)
		return high;
	return high << (prefix - 32) | low << 8 >> (96 - prefix);
}

/* The IPv4 address at which what is sent to an IPv6 one arrives, where translators and tunnels go by the address
 * itself; 0: nowhere in IPv4. */
OH_INLINE __u32 oh_ip4_meant(__u64 high, __u64 low)
{
	if (high >> 48 == 0x2002)			/* 6to4: RFC 3056, 2 */
		return high >> 16;
	if (high >> 32 == 0x20010000)			/* Teredo: RFC 4380, 4; the client's, inverted */
		return ~low;
	if (high >> 16 == 0x0064ff9b0001)		/* 64:ff9b:1::/48, for local translation: RFC 8215 */
		return low;
	if (high == 0x0064ff9b00000000 && !(low >> 32))	/* NAT64: RFC 6052, 2.1 */
		return low;
	/* compatible, mapped, and translated: RFC 4291, 2.5.5; RFC 2765, 2.1 */
	if (!high && (!(low >> 32) || low >> 32 == 0xffff || low >> 32 == 0xffff0000))
		return low;
	return 0;
}

/* Where a machine asks for its cloud's credentials: the instance's, an ECS task's, an EKS pod's. */
OH_INLINE int oh_is_metadata_ip4(__u32 a)
{
	return a == 0xa9fea9fe || a == 0xa9feaa02 || a == 0xa9feaa17;	/* 169.254.169.254, .170.2, .170.23 */
}

/* True if what is sent to it arrives at such an address: fd00:ec2::254 is the instance's, fd00:ec2::23 a pod's. */
OH_INLINE int oh_is_metadata(__u64 high, __u64 low)
{
	return oh_is_metadata_ip4(oh_ip4_meant(high, low)) ||
	       (high == 0xfd000ec200000000 && (low == 0x254 || low == 0x23));
}

/* The address as sixteen bytes, an IPv4 one mapped. */
OH_INLINE int oh_special(const __u8 *a)
{
	__u32 first = oh_be32(a), second = oh_be32(a + 4), third = oh_be32(a + 8), last = oh_be32(a + 12);

	if (!first && !second && third == 0xffff)
		return oh_special_ip4(last);
	if (first == 0x0064ff9b && !second && !third)	/* RFC 6052: what stands behind the translator */
		return oh_special_ip4(last);
	if (!first && !second && (!third || third == 0xffff0000))
		return 1;
	if (first == 0x0064ff9b && second >> 16 == 1)
		return 1;
	return (first == 0x01000000 && !second) ||	/* 100::/64 */
	       first == 0x20010000 || first >> 16 == 0x2002 ||
	       first >> 4 == 0x2001001 || first >> 4 == 0x2001002 ||	/* ORCHID, both versions */
	       first >> 12 == 0x3fff0 || first >> 16 == 0x5f00 ||	/* documentation, SRv6 */
	       first >> 25 == 0xfc >> 1 ||		/* fc00::/7 */
	       first >> 22 == 0xfe80 >> 6 || first >> 22 == 0xfec0 >> 6 || first >> 24 == 0xff;
}

#endif
