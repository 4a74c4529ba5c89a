// SPDX-License-Identifier: MIT
#include "policy/address.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "parse/special.h"

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool address_is_ip4(const struct oh_address *a)
{
	return !memcmp(a->byte, mapped, sizeof(mapped));
}

struct oh_address address_from_ip4(const void *four_bytes)
{
	struct oh_address a;

	memcpy(a.byte, mapped, sizeof(mapped));
	memcpy(a.byte + 12, four_bytes, 4);
	return a;
}

int address_parse(const char *text, struct oh_address *ret)
{
	struct in_addr ip4;
	struct oh_address a;

	if (inet_pton(AF_INET, text, &ip4) == 1) {
		*ret = address_from_ip4(&ip4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &a) != 1)
		return -EINVAL;
	*ret = a;
	return 0;
}

void range_mask(struct oh_range *r)
{
	for (unsigned int i = 0; i < 16; i++) {
		unsigned int bits = r->prefix > i * 8 ? r->prefix - i * 8 : 0;

		if (bits < 8)
			r->address.byte[i] &= (unsigned char)(0xff00 >> bits);
	}
}

int range_parse(const char *text, struct oh_range *ret)
{
	char address[ADDRESS_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct oh_range r = { .prefix = 128 }, masked;
	uint64_t bits;

	if (len >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, len);
	address[len] = '\0';
	if (address_parse(address, &r.address))
		return -EINVAL;
	if (slash) {
		bool ip4 = address_is_ip4(&r.address) && !strchr(address, ':');

		if ((slash[1] == '0' && slash[2]) || text_parse_number(slash + 1, 0, ip4 ? 32 : 128, &bits))
			return -EINVAL;
		r.prefix = (ip4 ? 96 : 0) + (__u32)bits;
	}
	masked = r;
	range_mask(&masked);
	if (memcmp(&masked, &r, sizeof(r)))
		return -EDOM;
	*ret = r;
	return 0;
}

const char *address_format(const struct oh_address *a, char buffer[ADDRESS_TEXT_MAX])
{
	char *at = buffer;

	if (!address_is_ip4(a))
		return inet_ntop(AF_INET6, a, buffer, ADDRESS_TEXT_MAX);
	for (int i = 12; i < 16; i++) {
		at = text_put_number(at, a->byte[i]);
		*at++ = i < 15 ? '.' : '\0';
	}
	return buffer;
}

const char *range_format(const struct oh_range *r, char buffer[ADDRESS_TEXT_MAX])
{
	bool ip4 = address_is_ip4(&r->address) && r->prefix >= 96;
	size_t len;

	if (r->prefix == 128)
		return address_format(&r->address, buffer);
	address_format(&r->address, buffer);
	len = strlen(buffer);
	snprintf(buffer + len, ADDRESS_TEXT_MAX - len, "/%u", r->prefix - (ip4 ? 96 : 0));
	return buffer;
}

bool range_contains(const struct oh_range *r, const struct oh_address *a)
{
	uint64_t x[2], y[2], differ[2];

	memcpy(x, &r->address, sizeof(x));
	memcpy(y, a, sizeof(y));
	differ[0] = be64toh(x[0] ^ y[0]);
	differ[1] = be64toh(x[1] ^ y[1]);
	if (r->prefix <= 64)
		return !(r->prefix && differ[0] >> (64 - r->prefix));
	return !differ[0] && !(differ[1] >> (128 - r->prefix));
}

bool range_covers(const struct oh_range *outer, const struct oh_range *inner)
{
	return outer->prefix <= inner->prefix && range_contains(outer, &inner->address);
}

bool range_holds_ip4(const struct oh_range *r)
{
	struct oh_range all_ip4 = { .prefix = 96 };

	memcpy(all_ip4.address.byte, mapped, sizeof(mapped));
	return range_covers(r, &all_ip4);
}

static struct {
	const char *text;
	const char *what;
	struct oh_range range;	/* of the text, once it was parsed */
} special[] = {
	{ "0.0.0.0/8", "this network's", { 0 } },
	{ "10.0.0.0/8", "private", { 0 } },
	{ "100.64.0.0/10", "shared (carrier)", { 0 } },
	{ "127.0.0.0/8", "loopback", { 0 } },
	{ "169.254.0.0/16", "link-local", { 0 } },
	{ "172.16.0.0/12", "private", { 0 } },
	{ "192.0.0.0/24", "protocol", { 0 } },
	{ "192.88.99.0/24", "6to4 relay's", { 0 } },
	{ "192.168.0.0/16", "private", { 0 } },
	{ "198.18.0.0/15", "benchmark", { 0 } },
	{ "224.0.0.0/4", "multicast", { 0 } },
	{ "240.0.0.0/4", "reserved", { 0 } },
	{ "::/96", "loopback or IPv4-compatible", { 0 } },
	{ "::ffff:0:0:0/96", "translated IPv4", { 0 } },
	{ "64:ff9b:1::/48", "local translation", { 0 } },
	{ "100::/64", "discard", { 0 } },
	{ "2001::/32", "Teredo", { 0 } },
	{ "2001:10::/28", "ORCHID", { 0 } },
	{ "2001:20::/28", "ORCHID", { 0 } },
	{ "2002::/16", "6to4", { 0 } },
	{ "3fff::/20", "documentation", { 0 } },
	{ "5f00::/16", "segment routing", { 0 } },
	{ "fc00::/7", "private", { 0 } },
	{ "fe80::/10", "link-local", { 0 } },
	{ "fec0::/10", "site-local", { 0 } },
	{ "ff00::/8", "multicast", { 0 } },
};

/* In host byte order, as parse/special.h has it. */
static uint64_t half(const unsigned char *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return be64toh(word);
}

/* An address behind two prefixes would mean two IPv4 addresses, of which one would be looked at. */
static bool overlap(const struct oh_nat64 *a, const struct oh_nat64 *b)
{
	return oh_is_behind(a->high, a->low, b->high, b->low, a->prefix < b->prefix ? a->prefix : b->prefix);
}

int nat64_add(struct nat64 *nat64, const struct oh_range *prefix)
{
	static const uint32_t lengths[] = { 32, 40, 48, 56, 64, 96 };
	const struct oh_nat64 new = { .high = half(prefix->address.byte), .low = half(prefix->address.byte + 8),
				      .prefix = prefix->prefix };
	bool known = false;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		known = known || new.prefix == lengths[i];
	if (!known)
		return -EINVAL;
	if (nat64->count == OH_NAT64_MAX)
		return -E2BIG;
	for (size_t i = 0; i < nat64->count; i++) {
		if (overlap(&nat64->list[i], &new))
			return -EEXIST;
	}
	nat64->list[nat64->count++] = new;
	return 0;
}

/* The IPv4 address that a configured translator makes of it; 0: none does. */
static uint32_t translated(const struct oh_address *a, const struct nat64 *nat64)
{
	for (size_t i = 0; nat64 && i < nat64->count; i++) {
		const struct oh_nat64 *n = &nat64->list[i];

		if (oh_is_behind(half(a->byte), half(a->byte + 8), n->high, n->low, n->prefix))
			return oh_ip4_behind(half(a->byte), half(a->byte + 8), n->prefix);
	}
	return 0;
}

static const char *find_special(const struct oh_address *a)
{
	for (size_t i = 0; i < sizeof(special) / sizeof(*special); i++) {
		if (!special[i].range.prefix)
			range_parse(special[i].text, &special[i].range);
		if (range_contains(&special[i].range, a))
			return special[i].what;
	}
	return NULL;
}

const char *address_special(const struct oh_address *a, const struct nat64 *nat64)
{
	static const unsigned char well_known[12] = { 0x00, 0x64, 0xff, 0x9b };	/* RFC 6052, 2.1 */
	uint32_t behind = htobe32(translated(a, nat64));
	struct oh_address ip4 = address_from_ip4(behind ? (const void *)&behind : a->byte + 12);
	const char *what = NULL;

	if (address_is_metadata(a, nat64))
		return "metadata service";
	if (behind || !memcmp(a->byte, well_known, sizeof(well_known)))
		what = find_special(&ip4);
	return what ? what : find_special(a);
}

bool address_is_loopback(const struct oh_address *a)
{
	static const struct oh_address ip6 = { .byte[15] = 1 };

	return address_is_ip4(a) ? a->byte[12] == 127 : !memcmp(a, &ip6, sizeof(ip6));
}

bool address_is_metadata(const struct oh_address *a, const struct nat64 *nat64)
{
	return oh_is_metadata(half(a->byte), half(a->byte + 8)) || oh_is_metadata_ip4(translated(a, nat64));
}

bool address_is_imds(const struct oh_address *a)
{
	/* fd00:ec2::254 */
	static const unsigned char ip6[16] = { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 };
	static const unsigned char ip4[4] = { 169, 254, 169, 254 };

	return address_is_ip4(a) ? !memcmp(a->byte + 12, ip4, sizeof(ip4)) : !memcmp(a->byte, ip6, sizeof(ip6));
}
