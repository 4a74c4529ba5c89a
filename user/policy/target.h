/* SPDX-License-Identifier: MIT */
/* What a user allows: a name, a suffix, an address or a range, with a port. */
#ifndef OHGUARD_TARGET_H
#define OHGUARD_TARGET_H

#include <ohguard/abi.h>
#include <stdbool.h>

#include "base/error.h"

#define TARGET_NAME_MAX 253	/* RFC 1035, 2.3.4: 255 bytes on the wire */
#define TARGET_PORT_DEFAULT 443

enum target_kind { TARGET_NAME, TARGET_SUFFIX, TARGET_ADDRESS, TARGET_RANGE };

struct target {
	enum target_kind kind;
	enum oh_service service;
	__u16 port;			/* host byte order */
	__u16 more;			/* how many ports after it are meant too; addresses and ranges alone have any */
	bool plain;			/* connections need not begin with a TLS hello; not part of its identity */
	bool wide;			/* a suffix with "wide": anyone can have a name below it; not part either */
	bool on_demand;			/* `refresh` leaves it alone: answers to others teach it; not part either */
	struct oh_range range;		/* TARGET_ADDRESS (prefix 128) and TARGET_RANGE */
	/* TARGET_NAME and TARGET_SUFFIX (without "*."): lower case, A-labels, no last dot */
	char name[TARGET_NAME_MAX + 1];
};

/* "PORT" or "FIRST-LAST". 0 or -EINVAL. */
int target_parse_ports(const char *text, __u16 *ret_port, __u16 *ret_more);

/* NAME, *.SUFFIX, ADDRESS or ADDRESS/BITS, each with an optional :PORT (IPv6 then in brackets). A name that is not
 * ASCII is refused: its A-label is needed. 0, or -EINVAL with *e filled in. */
int target_parse(const char *text, struct target *ret, struct error *e);

/* The same, followed by words: " sni=off" for servers that do not speak TLS, " wide" for a suffix below which anyone
 * can have a name. */
int target_parse_options(const char *text, struct target *ret, struct error *e);

/* The same without a port, for a resolver or a time server. */
int target_parse_server(const char *text, enum oh_service service, struct target *ret, struct error *e);

/* The name, suffix, address or range alone, as `list` shows it. Returns buffer. */
const char *target_format(const struct target *t, char buffer[OH_TARGET_TEXT_MAX]);
/* The target's identity: with port, and service if it is not TCP: "name:443", "[2001:db8::/32]:443", "10.0.0.2:53/dns".
 * Two targets with the same identity are the same. Returns buffer. */
const char *target_identity(const struct target *t, char buffer[OH_TARGET_TEXT_MAX]);

/* True if a name or suffix covers all that another one covers. */
bool target_covers(const struct target *outer, const struct target *inner);

/* What the words say. shown: the target as it was written. 0, or -EINVAL where it is none that can have them. */
int target_set_plain(struct target *t, const char *shown, struct error *e);
int target_set_wide(struct target *t, const char *shown, struct error *e);
/* Those words, as they stand behind a target: "" where there are none. */
const char *target_options(const struct target *t);

/* Reads an identity back. 0, or -EINVAL. */
int target_parse_identity(const char *text, struct target *ret);

/* True if its connections must begin with a TLS hello for an allowed name. */
bool target_is_named(const struct target *t);

/* Orders targets. 0: they are the same. */
int target_compare(const struct target *a, const struct target *b);

const char *target_service_name(enum oh_service service);

#endif
