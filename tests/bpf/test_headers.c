// SPDX-License-Identifier: MIT
/* The parser: whatever it cannot read, or contradicts itself, is refused; whatever it must walk over, it walks over. */
#include "table.h"

#define V4 "198.51.100.1"
#define V6 "2001:db8:1::1"
#define RESOLVER_4 "198.51.100.53"
#define RESOLVER_6 "2001:db8:1::53"
#define T_API 1
#define T_DNS 2

#define SYN_TO(where, ...) { .to = where, .protocol = TCP, .port = 443, .flags = SYN, __VA_ARGS__ }
#define QUERY_TO(where, ...) { .to = where, .protocol = UDP, .port = 53, __VA_ARGS__ }
#define BAD .reason = OH_PACKET_MALFORMED
#define GOOD .reason = OH_TARGET, .target = T_API
#define GOOD_DNS .reason = OH_DNS, .target = T_DNS

static const struct row length_rows[] = {
	{ "IPv4 with a total length one too large", SYN_TO(V4, .length = 1), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 with a total length one too small", SYN_TO(V4, .length = -1), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 with a total length of the header", SYN_TO(V4, .length = -20), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 with a total length below the header", SYN_TO(V4, .length = -21), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 with a total length of 65535", SYN_TO(V4, .length = 65535 - 40), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 with a total length of 0, which only a BIG TCP segment has", SYN_TO(V4, .length_zero = true), BAD,
	  .seen = SEEN_NOTHING },
	{ "IPv4 with a byte behind it", SYN_TO(V4, .behind = 1), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 with a frame's padding behind it", SYN_TO(V4, .behind = 6), BAD, .seen = SEEN_NOTHING },
	{ "IPv6 with a payload length one too large", SYN_TO(V6, .length = 1), BAD, .seen = SEEN_NOTHING },
	{ "IPv6 with a payload length one too small", SYN_TO(V6, .length = -1), BAD, .seen = SEEN_NOTHING },
	{ "IPv6 with a payload length that counts the header", SYN_TO(V6, .length = 40), BAD, .seen = SEEN_NOTHING },
	{ "IPv6 with a payload length of 65535", SYN_TO(V6, .length = 65535 - 20), BAD, .seen = SEEN_NOTHING },
	{ "IPv6 with a payload length of 0, which only a jumbogram has", SYN_TO(V6, .length_zero = true), BAD,
	  .seen = SEEN_NOTHING },
	{ "IPv6 with a byte behind it", SYN_TO(V6, .behind = 1), BAD, .seen = SEEN_NOTHING },
	{ "UDP with a length one too large", QUERY_TO(RESOLVER_4, .udp_length = 1), BAD, .seen = SEEN_ADDRESSES },
	{ "UDP with a length one too small", QUERY_TO(RESOLVER_4, .udp_length = -1), BAD, .seen = SEEN_ADDRESSES },
	{ "UDP with a length of its header", QUERY_TO(RESOLVER_4, .udp_length = -32), BAD, .seen = SEEN_ADDRESSES },
	{ "UDP with a length of 0", QUERY_TO(RESOLVER_4, .udp_length = -40), BAD, .seen = SEEN_ADDRESSES },
	{ "UDP over IPv6 with a length one too large", QUERY_TO(RESOLVER_6, .udp_length = 1), BAD,
		.seen = SEEN_ADDRESSES },
	{ "UDP over IPv6 with a length one too small", QUERY_TO(RESOLVER_6, .udp_length = -1), BAD,
		.seen = SEEN_ADDRESSES },
	{ "UDP over IPv6 with a length of 0", QUERY_TO(RESOLVER_6, .udp_length = -40), BAD, .seen = SEEN_ADDRESSES },
	{ "TCP with a header of four words", SYN_TO(V4, .offset = 16 + 4), BAD, .seen = SEEN_ADDRESSES },
	{ "TCP with a header of no words", SYN_TO(V4, .offset = 16), BAD, .seen = SEEN_ADDRESSES },
	{ "TCP with a header of five words", SYN_TO(V4, .offset = 16 + 5), GOOD },
	{ "TCP with a header behind the end", SYN_TO(V4, .offset = 16 + 6), BAD, .seen = SEEN_ADDRESSES },
	{ "TCP with a header a byte behind the end", SYN_TO(V4, .offset = 16 + 6, .payload = 3), BAD,
		.seen = SEEN_ADDRESSES },
	{ "TCP with a header to the end", SYN_TO(V4, .offset = 16 + 6, .payload = 4), GOOD },
	{ "TCP with the longest header", SYN_TO(V4, .offset = 16 + 15, .payload = 40), GOOD },
	{ "TCP with the longest header, cut", SYN_TO(V4, .offset = 16 + 15, .payload = 39), BAD,
		.seen = SEEN_ADDRESSES },
	{ "TCP over IPv6 with a header of four words", SYN_TO(V6, .offset = 16 + 4), BAD, .seen = SEEN_ADDRESSES },
	{ "TCP over IPv6 with a header behind the end", SYN_TO(V6, .offset = 16 + 6), BAD, .seen = SEEN_ADDRESSES },
	{ "TCP over IPv6 with a header to the end", SYN_TO(V6, .offset = 16 + 6, .payload = 4), GOOD },
};

static const struct row version_rows[] = {
	{ "IPv4 that says version 6", SYN_TO(V4, .version = 6), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 that says version 5", SYN_TO(V4, .version = 5), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 that says version 15", SYN_TO(V4, .version = 15), BAD, .seen = SEEN_NOTHING },
	{ "IPv6 that says version 4", SYN_TO(V6, .version = 4), BAD, .seen = SEEN_NOTHING },
	{ "IPv6 that says version 7", SYN_TO(V6, .version = 7), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 in a frame for IPv6", SYN_TO(V4, .ethertype = ETH_IP6, .payload = 40), BAD, .seen = SEEN_NOTHING },
	{ "IPv6 in a frame for IPv4", SYN_TO(V6, .ethertype = ETH_IP4), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 in a frame for ARP", SYN_TO(V4, .ethertype = 0x0806), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 in a frame for a VLAN", SYN_TO(V4, .ethertype = 0x8100), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 in a frame for a provider's VLAN", SYN_TO(V4, .ethertype = 0x88a8), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 in a frame for MPLS", SYN_TO(V4, .ethertype = 0x8847), BAD, .seen = SEEN_NOTHING },
	{ "IPv6 in a frame for PPPoE", SYN_TO(V6, .ethertype = 0x8864), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 in a frame of 802.3", SYN_TO(V4, .ethertype = 0x0004), BAD, .seen = SEEN_NOTHING },
	{ "IPv6 in a frame of no type", SYN_TO(V6, .ethertype = 0xffff), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 with a header of four words", SYN_TO(V4, .header = 16 + 4), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 with a header of no words", SYN_TO(V4, .header = 16), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 with a header that takes in all of TCP", SYN_TO(V4, .header = 16 + 10), BAD, .seen = SEEN_ADDRESSES },
	{ "IPv4 with a header behind the end", SYN_TO(V4, .header = 16 + 11), BAD, .seen = SEEN_NOTHING },
	{ "IPv4 with the longest header, behind the end", SYN_TO(V4, .header = 16 + 15), BAD, .seen = SEEN_NOTHING },
	{ "a mapped address as IPv6 destination",
		{ .from = V6, .to = "::ffff:198.51.100.1", .protocol = TCP, .port = 443,
	  .flags = SYN }, BAD, .seen = SEEN_ADDRESSES },
	{ "a mapped address as IPv6 source", { .from = "::ffff:10.0.1.10", .to = V6, .protocol = TCP, .port = 443,
	  .flags = SYN }, BAD, .seen = SEEN_ADDRESSES },
	{ "mapped addresses as both",
		{ .from = "::ffff:10.0.1.10", .to = "::ffff:198.51.100.53", .protocol = UDP, .port = 53 },
	  BAD, .seen = SEEN_ADDRESSES },
	{ "an IPv4-compatible address", SYN_TO("::198.51.100.1"), .reason = OH_ADDRESS_NOT_ALLOWED },
	{ "an IPv4-translated address", SYN_TO("::ffff:0:198.51.100.1"), .reason = OH_ADDRESS_NOT_ALLOWED },
	{ "the allowed IPv4 address behind NAT64", SYN_TO("64:ff9b::198.51.100.1"), .reason = OH_ADDRESS_NOT_ALLOWED },
	{ "the allowed IPv4 address behind 6to4", SYN_TO("2002:c633:6401::1"), .reason = OH_ADDRESS_NOT_ALLOWED },
	{ "loopback on the wire", SYN_TO("127.0.0.1"), .reason = OH_ADDRESS_NOT_ALLOWED },
	{ "IPv6 loopback on the wire", SYN_TO("::1"), .reason = OH_ADDRESS_NOT_ALLOWED },
	{ "the unspecified address", SYN_TO("0.0.0.0"), .reason = OH_ADDRESS_NOT_ALLOWED },
	{ "broadcast", QUERY_TO("255.255.255.255"), .reason = OH_DNS_RESOLVER_NOT_ALLOWED },
	{ "multicast", QUERY_TO("224.0.0.251"), .reason = OH_DNS_RESOLVER_NOT_ALLOWED },
};

static const struct row fragment_rows[] = {
	{ "do not fragment", SYN_TO(V4, .fragment = 0x4000), GOOD },
	{ "first fragment", SYN_TO(V4, .fragment = 0x2000), .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES },
	{ "later fragment", SYN_TO(V4, .fragment = 0x2001), .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES },
	{ "last fragment", SYN_TO(V4, .fragment = 0x0001), .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES },
	{ "last fragment with the highest offset bit", SYN_TO(V4, .fragment = 0x1000), .reason = OH_FRAGMENT,
		.seen = SEEN_ADDRESSES },
	{ "last fragment far behind", SYN_TO(V4, .fragment = 0x1fff), .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES },
	{ "fragment that must not be one", SYN_TO(V4, .fragment = 0x6000), .reason = OH_FRAGMENT,
		.seen = SEEN_ADDRESSES },
	{ "reserved flag", SYN_TO(V4, .fragment = 0x8000), BAD, .seen = SEEN_NOTHING },
	{ "reserved flag on a fragment", SYN_TO(V4, .fragment = 0xa000), BAD, .seen = SEEN_NOTHING },
	{ "first fragment to a resolver", QUERY_TO(RESOLVER_4, .fragment = 0x2000), .reason = OH_FRAGMENT,
		.seen = SEEN_ADDRESSES },
	{ "later fragment of ping", { .to = V4, .protocol = ICMP, .fragment = 0x00b9, .payload = 100 },
		.reason = OH_FRAGMENT,
	  .seen = SEEN_ADDRESSES },
	{ "fragment with a DHCP client's ports", { .to = "10.0.0.1", .protocol = UDP, .source_port = 68, .port = 67,
	  .fragment = 0x2000 }, .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES },
	{ "fragment with options", SYN_TO(V4, .fragment = 0x2000, .options = "01010101"), .reason = OH_FRAGMENT,
	  .seen = SEEN_ADDRESSES },
};

static const struct row option_rows[] = {
	{ "no operation", SYN_TO(V4, .options = "01010101"), GOOD },
	{ "no operation, all 40 bytes", SYN_TO(V4, .options = "0101010101010101010101010101010101010101"
						"0101010101010101010101010101010101010101"), GOOD },
	{ "end of options", SYN_TO(V4, .options = "00000000"), GOOD },
	{ "a source route behind the end of options", SYN_TO(V4, .options = "0000000083070408080808"), GOOD },
	{ "timestamp", SYN_TO(V4, .options = "44080500 00000000"), GOOD },
	{ "record route", SYN_TO(V4, .options = "07070400000000"), GOOD },
	{ "record route of 40 bytes, the longest", SYN_TO(V4, .options = "0728040000000000000000000000000000000000"
						       "0000000000000000000000000000000000000000"), GOOD },
	{ "router alert", SYN_TO(V4, .options = "94040000"), GOOD },
	{ "an unknown option", SYN_TO(V4, .options = "de04abcd"), GOOD },
	{ "loose source route", SYN_TO(V4, .options = "83070408080808"), .reason = OH_SOURCE_ROUTE,
		.seen = SEEN_ADDRESSES },
	{ "strict source route", SYN_TO(V4, .options = "89070408080808"), .reason = OH_SOURCE_ROUTE,
		.seen = SEEN_ADDRESSES },
	{ "loose source route behind no operation", SYN_TO(V4, .options = "01010183070408080808"),
		.reason = OH_SOURCE_ROUTE,
	  .seen = SEEN_ADDRESSES },
	{ "strict source route behind a timestamp", SYN_TO(V4, .options = "4408050000000000 89070408080808"),
	  .reason = OH_SOURCE_ROUTE, .seen = SEEN_ADDRESSES },
	{ "loose source route in the last bytes", SYN_TO(V4, .options = "0721040000000000000000000000000000000000"
						"00000000000000000000000000 83070408080808"),
	  .reason = OH_SOURCE_ROUTE, .seen = SEEN_ADDRESSES },
	{ "source route in an option's data", SYN_TO(V4, .options = "de0b 830704080808080000"), GOOD },
	{ "an option of length 0", SYN_TO(V4, .options = "44000000"), BAD, .seen = SEEN_ADDRESSES },
	{ "an option of length 1", SYN_TO(V4, .options = "44010000"), BAD, .seen = SEEN_ADDRESSES },
	{ "an option of length 2", SYN_TO(V4, .options = "de020101"), GOOD },
	{ "an option to the end", SYN_TO(V4, .options = "de040000"), GOOD },
	{ "an option a byte behind the end", SYN_TO(V4, .options = "de050000"), BAD, .seen = SEEN_ADDRESSES },
	{ "an option of length 255", SYN_TO(V4, .options = "deff0000"), BAD, .seen = SEEN_ADDRESSES },
	{ "an option without its length", SYN_TO(V4, .options = "010101de"), BAD, .seen = SEEN_ADDRESSES },
	{ "an option without its length in byte 40", SYN_TO(V4, .options = "0727040000000000000000000000000000000000"
						"00000000000000000000000000000000000000 de"), BAD,
						.seen = SEEN_ADDRESSES },
	{ "a source route of length 0", SYN_TO(V4, .options = "83000000"), .reason = OH_SOURCE_ROUTE,
		.seen = SEEN_ADDRESSES },
	{ "ports are read behind the options", QUERY_TO(RESOLVER_4, .options = "01010101"), GOOD_DNS },
	{ "a header that is longer than its options say", SYN_TO(V4, .header = 16 + 6), BAD, .seen = SEEN_ADDRESSES },
};

static const struct row chain_rows[] = {
	{ "hop-by-hop options", SYN_TO(V6, .chain = "H"), GOOD },
	{ "destination options", SYN_TO(V6, .chain = "D"), GOOD },
	{ "both", SYN_TO(V6, .chain = "HD"), GOOD },
	{ "destination options before DNS", QUERY_TO(RESOLVER_6, .chain = "D"), GOOD_DNS },
	{ "seven headers", SYN_TO(V6, .chain = "HDDDDDD"), GOOD },
	{ "an atomic fragment", SYN_TO(V6, .chain = "a"), .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES, .told = ANY },
	{ "a first fragment", SYN_TO(V6, .chain = "f"), .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES, .told = ANY },
	{ "a later fragment", SYN_TO(V6, .chain = "l"), .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES, .told = ANY },
	{ "a fragment behind other headers", SYN_TO(V6, .chain = "HDf"), .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES,
		.told = ANY },
	{ "a fragment of DNS", QUERY_TO(RESOLVER_6, .chain = "f"), .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES,
		.told = ANY },
	{ "routing header 0", SYN_TO(V6, .chain = "0"), .reason = OH_SOURCE_ROUTE, .seen = SEEN_ADDRESSES,
		.told = ANY },
	{ "routing header 2", SYN_TO(V6, .chain = "2"), .reason = OH_SOURCE_ROUTE, .seen = SEEN_ADDRESSES,
		.told = ANY },
	{ "routing header 4", SYN_TO(V6, .chain = "4"), .reason = OH_SOURCE_ROUTE, .seen = SEEN_ADDRESSES,
		.told = ANY },
	{ "routing header behind others", SYN_TO(V6, .chain = "HD4"), .reason = OH_SOURCE_ROUTE, .seen = SEEN_ADDRESSES,
		.told = ANY },
	{ "authentication header", SYN_TO(V6, .chain = "A"), .reason = OH_PROTOCOL_NOT_ALLOWED, .seen = SEEN_ADDRESSES,
		.told = 51 },
	{ "no next header", SYN_TO(V6, .chain = "N"), .reason = OH_PROTOCOL_NOT_ALLOWED, .seen = SEEN_ADDRESSES,
		.told = 59 },
	{ "no next header behind another", SYN_TO(V6, .chain = "DN"), .reason = OH_PROTOCOL_NOT_ALLOWED,
		.seen = SEEN_ADDRESSES,
	  .told = 59 },
	{ "ports are read behind the chain", { .to = V6, .protocol = TCP, .port = 80, .flags = SYN, .chain = "HD" },
	  .reason = OH_PORT_NOT_ALLOWED },
	{ "a header that takes in the next",
		{ .to = V6, .protocol = TCP, .port = 443, .flags = SYN, .payload = 8, .chain = "D",
	  .chain_length = 1 }, BAD, .seen = SEEN_ADDRESSES },
	{ "ping behind a chain", { .to = V6, .protocol = ICMPV6, .type = 128, .chain = "H" },
		.reason = OH_PROTOCOL_NOT_ALLOWED },
};

static const struct row broken_chain_rows[] = {
	{ "eight headers", SYN_TO(V6, .chain = "HDDDDDDD"), BAD, .seen = SEEN_ADDRESSES, .told = ANY },
	{ "nine headers", SYN_TO(V6, .chain = "HDDDDDDDD"), BAD, .seen = SEEN_ADDRESSES, .told = ANY },
	{ "a header to the end", SYN_TO(V6, .chain = "D", .keep = 48), BAD, .seen = SEEN_ADDRESSES, .told = ANY },
	{ "a header that ends a byte early", SYN_TO(V6, .chain = "D", .keep = 47), BAD, .seen = SEEN_ADDRESSES,
		.told = ANY },
	{ "a header of one byte", SYN_TO(V6, .chain = "D", .keep = 41), BAD, .seen = SEEN_ADDRESSES, .told = ANY },
	{ "no header where one is announced", SYN_TO(V6, .chain = "D", .keep = 40), BAD, .seen = SEEN_ADDRESSES,
		.told = ANY },
	{ "a header of 2,048 bytes in a packet of 68", SYN_TO(V6, .chain = "D", .chain_length = 255), BAD,
		.seen = SEEN_ADDRESSES, .told = ANY },
	{ "a header over the end by its eight bytes", SYN_TO(V6, .chain = "D", .chain_length = 3), BAD,
		.seen = SEEN_ADDRESSES, .told = ANY },
	{ "the last of three lies", SYN_TO(V6, .chain = "HDD", .chain_length = 200), BAD, .seen = SEEN_ADDRESSES,
		.told = ANY },
	{ "a header over the end before a protocol that is not read",
		{ .to = V6, .protocol = 99, .payload = 8, .chain = "D",
	  .chain_length = 255 }, BAD, .seen = SEEN_ADDRESSES, .told = ANY },
};

/* What an event of a refused chain tells as protocol: the header that it was refused for. */
static const struct row told_chain_rows[] = {
	{ "a fragment", SYN_TO(V6, .chain = "f"), .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES, .told = 44 },
	{ "a fragment behind another header", SYN_TO(V6, .chain = "Hf"), .reason = OH_FRAGMENT, .seen = SEEN_ADDRESSES,
		.told = 44 },
	{ "a routing header", SYN_TO(V6, .chain = "4"), .reason = OH_SOURCE_ROUTE, .seen = SEEN_ADDRESSES, .told = 43 },
};

static struct lab lab;

static void run_both(const struct row *rows, size_t count)
{
	run_table(&lab, rows, count, NULL, MODE_ENFORCE);
	lab_ready(&lab, false);
	run_table(&lab, rows, count, NULL, MODE_LOCKDOWN);
}

static int make_ready(void **state)
{
	(void)state;
	lab_ready(&lab, true);
	return 0;
}

#define TABLE_TEST(name, rows) \
	static void name(void **state) { (void)state; run_both(rows, sizeof(rows) / sizeof(*(rows))); }

TABLE_TEST(lengths_must_agree, length_rows)
TABLE_TEST(versions_and_addresses, version_rows)
TABLE_TEST(ip4_fragments_refused, fragment_rows)
TABLE_TEST(ip4_options_walked, option_rows)
TABLE_TEST(ip6_chains_walked, chain_rows)
TABLE_TEST(broken_ip6_chains_refused, broken_chain_rows)
TABLE_TEST(events_tell_the_refused_header, told_chain_rows)

/* Cuts a packet after each of its bytes, with lengths that know of it and with lengths that do not. */
static unsigned int cut(const char *name, struct packet p, size_t least, const struct row *whole)
{
	unsigned int wrong = 0;
	struct frame f;
	size_t ip, total;

	packet_build(&p, &f);
	total = f.length - ETHERNET;
	ip = f.headers;
	for (size_t keep = 1; keep <= total; keep++) {
		struct row row = { name, p, BAD, .seen = keep < ip ? SEEN_NOTHING : SEEN_ADDRESSES };

		p.keep = keep;
		p.keep_lengths = false;
		if (keep >= least) {
			row = *whole;
			row.name = name;
		}
		wrong += !check_packet(&lab, &row, &p, MODE_ENFORCE);
		if (keep == total)
			break;
		p.keep_lengths = true;
		row = (struct row){ name, p, BAD, .seen = SEEN_NOTHING };
		wrong += !check_packet(&lab, &row, &p, MODE_ENFORCE);
	}
	return wrong;
}

static void cut_packets_refused(void **state)
{
	const struct row tcp = { .reason = OH_TARGET, .target = T_API }, dns = { .reason = OH_DNS, .target = T_DNS };
	const struct row need = { .reason = OH_HOST_NEED }, no_protocol = { .reason = OH_PROTOCOL_NOT_ALLOWED };
	unsigned int wrong = 0;

	(void)state;
	wrong += cut("TCP, cut", (struct packet)SYN_TO(V4, .payload = 30), 40, &tcp);
	wrong += cut("TCP, cut", (struct packet)SYN_TO(V6, .payload = 30), 60, &tcp);
	wrong += cut("UDP, cut", (struct packet)QUERY_TO(RESOLVER_4, .payload = 30), 28, &dns);
	wrong += cut("UDP, cut", (struct packet)QUERY_TO(RESOLVER_6, .payload = 30), 48, &dns);
	wrong += cut("TCP behind options, cut", (struct packet)SYN_TO(V4, .options = "44080500 00000000"), 48, &tcp);
	wrong += cut("router solicitation, cut", (struct packet){ .to = "ff02::2", .protocol = ICMPV6, .type = 133,
								  .hop_limit = 255, .payload = 8 }, 48, &need);
	wrong += cut("ping, cut", (struct packet){ .to = V6, .protocol = ICMPV6, .type = 128, .payload = 8 }, 48,
		&no_protocol);
	assert_int_equal(wrong, 0);
}

/* What the Ethernet header says of the addresses is nothing to the verdict. */
static void ethernet_addresses_do_not_matter(void **state)
{
	const struct row row = { "a frame to all ones", SYN_TO(V4), GOOD };
	struct frame f;

	(void)state;
	packet_build(&row.packet, &f);
	memset(f.byte, 0xff, 12);
	assert_true(check_frame(&lab, &row, &f, MODE_ENFORCE));
}

static void fill(void)
{
	static const struct {
		const char *address;
		__u32 target;
	} list[] = { { V4, T_API }, { V6, T_API }, { RESOLVER_4, T_DNS }, { RESOLVER_6, T_DNS } };

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
		bool dns = list[i].target == T_DNS;
		struct oh_address a = packet_address(list[i].address);
		const struct oh_entry entry = { .grant[0] = { .expires = OH_FOREVER, .target = list[i].target,
			.generation = 1,
							      .port = dns ? 53 : 443,
							      .service = dns ? OH_SERVICE_DNS : OH_SERVICE_TCP } };

		lab_target(&lab, list[i].target, 1, OH_FOREVER);
		lab_set(&lab, ENGINE_ADDRESSES, &a, &entry);
	}
	lab_ready(&lab, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(lengths_must_agree, make_ready),
		cmocka_unit_test_teardown(versions_and_addresses, make_ready),
		cmocka_unit_test_teardown(ip4_fragments_refused, make_ready),
		cmocka_unit_test_teardown(ip4_options_walked, make_ready),
		cmocka_unit_test_teardown(ip6_chains_walked, make_ready),
		cmocka_unit_test_teardown(broken_ip6_chains_refused, make_ready),
		cmocka_unit_test_teardown(events_tell_the_refused_header, make_ready),
		cmocka_unit_test(cut_packets_refused),
		cmocka_unit_test(ethernet_addresses_do_not_matter),
	};
	const struct config c = { .max_addresses = 1024 };
	int failed;

	table_lab(&lab, &c, false);
	fill();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	lab_stop(&lab);
	return table_end(failed, &lab);
}
