/* SPDX-License-Identifier: MIT */
/* Addresses, ranges, and which of them may not be learned from DNS. */
#ifndef OHGUARD_ADDRESS_H
#define OHGUARD_ADDRESS_H

#include <ohguard/abi.h>
#include <stdbool.h>
#include <stddef.h>

/* Room for the longest IPv6 text, a prefix and a NUL. */
#define ADDRESS_TEXT_MAX 52

/* An IPv4 or IPv6 address and nothing else. 0 or -EINVAL. */
int address_parse(const char *text, struct oh_address *ret);

/* ADDRESS/BITS, or an ADDRESS alone, which is a range of one. The prefix counts IPv4 bits behind 96.
 * 0, -EINVAL (not a range), or -EDOM (bits are set behind the prefix). */
int range_parse(const char *text, struct oh_range *ret);

bool address_is_ip4(const struct oh_address *a);
struct oh_address address_from_ip4(const void *four_bytes);

/* Writes an address, or a range as ADDRESS/BITS (without /BITS if it is one address). Returns buffer. */
const char *address_format(const struct oh_address *a, char buffer[ADDRESS_TEXT_MAX]);
const char *range_format(const struct oh_range *r, char buffer[ADDRESS_TEXT_MAX]);

bool range_contains(const struct oh_range *r, const struct oh_address *a);
/* True if inner lies in outer, or is the same. */
bool range_covers(const struct oh_range *outer, const struct oh_range *inner);
/* True for a range that holds all IPv4 addresses, as an IPv6 one like ::/0 does. */
bool range_holds_ip4(const struct oh_range *r);
/* Sets all bits of the address behind the prefix to 0. */
void range_mask(struct oh_range *r);

/* Translators' prefixes besides the well-known ones ([dns] nat64). */
struct nat64 {
	struct oh_nat64 list[OH_NAT64_MAX];
	size_t count;
};

/* Adds a prefix. 0, -EINVAL (RFC 6052 knows no translator with a prefix of that length), -E2BIG, or -EEXIST (one that
 * is there overlaps it). */
int nat64_add(struct nat64 *nat64, const struct oh_range *prefix);

/* What the address is for, where it is not one of a host on the internet ("private", "loopback", ...): such an
 * address is not believed in an answer. NULL for a public one. Ranges of RFC 6890 and its successors.
 * Behind a translator it is for what its IPv4 address is for. nat64: NULL is none. */
const char *address_special(const struct oh_address *a, const struct nat64 *nat64);

bool address_is_loopback(const struct oh_address *a);

/* True for an address of the metadata service (the instance's, an ECS task's, an EKS pod's), and for one that a
 * translator or a tunnel takes there. */
bool address_is_metadata(const struct oh_address *a, const struct nat64 *nat64);

/* True for the instance's own two: [imds] access opens no other. */
bool address_is_imds(const struct oh_address *a);

#endif
