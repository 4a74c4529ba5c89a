/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The reasons of all verdicts, in one list. It makes the enum, the names in every output and the manual's table.
 * OH_REASON(number, SYMBOL, "name", "what it means")
 * Numbers and names are permanent: a retired one stays as a tombstone, a new one gets the next number.
 * 1 to 15 admit, and are the rules of DESIGN section 2 by their numbers; 16 and up refuse. */
#ifndef OHGUARD_REASONS_H
#define OHGUARD_REASONS_H

#define OH_REASONS \
	OH_REASON(0, NONE, "none", "not judged") \
	OH_REASON(1, LOOPBACK, "loopback", "stays on the loopback interface") \
	OH_REASON(2, HOST_NEED, "host-need", "IPv6 neighbour discovery or a DHCP client's renewal") \
	OH_REASON(3, INBOUND_REPLY, "inbound-reply", "answers a connection that an inbound rule let in") \
	OH_REASON(4, DNS, "dns", "a DNS query to a configured resolver") \
	OH_REASON(5, NTP, "ntp", "a plain client request to a configured time server") \
	OH_REASON(6, TARGET, "target", "an allowed port of an allowed address, or of a connection admitted to it") \
	OH_REASON(16, ADDRESS_NOT_ALLOWED, "address-not-allowed", "no allowed target has this address") \
	OH_REASON(17, ADDRESS_EXPIRED, "address-expired", "the address was allowed, but has expired") \
	OH_REASON(18, PORT_NOT_ALLOWED, "port-not-allowed", "the address is allowed on another port") \
	OH_REASON(19, PROTOCOL_NOT_ALLOWED, "protocol-not-allowed", "neither TCP, nor DNS or NTP over UDP") \
	OH_REASON(20, DNS_RESOLVER_NOT_ALLOWED, "dns-resolver-not-allowed", "DNS to a server that is not configured") \
	OH_REASON(21, DNS_NAME_NOT_ALLOWED, "dns-name-not-allowed", "a query for a name that is not allowed") \
	OH_REASON(22, DNS_MALFORMED, "dns-malformed", "not one well-formed standard query") \
	OH_REASON(23, NTP_SERVER_NOT_ALLOWED, "ntp-server-not-allowed", "NTP to a server that is not configured") \
	OH_REASON(24, NTP_MALFORMED, "ntp-malformed", "not a plain client request") \
	OH_REASON(25, TLS_NAME_NOT_ALLOWED, "tls-name-not-allowed", "a TLS server name that is not allowed") \
	OH_REASON(26, TLS_NO_NAME, "tls-no-name", "a TLS hello with no server name, or with an address or final dot") \
	OH_REASON(27, TLS_ENCRYPTED_HELLO, "tls-encrypted-hello", "a TLS hello whose server name is encrypted") \
	OH_REASON(28, TLS_NOT_TLS, "tls-not-tls", "a connection that does not start with a TLS hello") \
	OH_REASON(29, TLS_INCOMPLETE, "tls-incomplete", "a TLS hello that is not complete yet") \
	OH_REASON(30, FRAGMENT, "fragment", "an IP fragment") \
	OH_REASON(31, PACKET_MALFORMED, "packet-malformed", "headers that are cut short, unreadable or contradictory") \
	OH_REASON(32, RAW_SOCKET, "raw-socket", "a raw socket, or another that the connect hooks do not see") \
	OH_REASON(33, PACKET_SOCKET, "packet-socket", "a packet socket") \
	OH_REASON(34, FORWARDED, "forwarded", "a forwarded packet to where this machine itself may not connect") \
	OH_REASON(35, INBOUND_NOT_ALLOWED, "inbound-not-allowed", "an unsolicited packet from outside") \
	OH_REASON(36, METADATA_SERVICE, "metadata-service", "the instance metadata service") \
	OH_REASON(37, LOCKDOWN, "lockdown", "no policy is loaded yet") \
	OH_REASON(38, SOURCE_ROUTE, "source-route", "a source route or routing header, which leads elsewhere") \
	OH_REASON(39, TLS_IN_SYN, "tls-in-syn", "data in the SYN of a connection that must start with a TLS hello") \
	OH_REASON(40, NTP_RATE, "ntp-rate", "more requests to one time server than its clients send") \
	OH_REASON(41, SHARED_PAGES, "shared-pages", "content to be judged, in pages that its sender can still write") \
	OH_REASON(42, SOURCE_NOT_OURS, "source-not-ours", "a source address that is not the sender's own") \
	OH_REASON(43, FAMILY_NOT_ALLOWED, "family-not-allowed", "a socket of a family that no other hook sees")

enum oh_reason {
#define OH_REASON(number, symbol, name, text) OH_##symbol = number,
	OH_REASONS
#undef OH_REASON
	OH_REASON_MAX = 64	/* counters are sized by it */
};

#define OH_REASON_FIRST_REFUSAL 16

#endif
