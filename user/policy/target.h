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
	bool plain;			/* its connections need not open with a TLS hello; no part of its identity */
	/* a suffix that is meant although anyone can have a name below it; nor is this */
	bool wide;
	bool on_demand;			/* a name that `refresh` leaves to answers that others get; nor is this */
	struct oh_range range;		/* TARGET_ADDRESS (prefix 128) and TARGET_RANGE */
	/* TARGET_NAME and TARGET_SUFFIX (without "*."): lower case, A-labels, no last dot */
	char name[TARGET_NAME_MAX + 1];
};

/* NAME, *.SUFFIX, ADDRESS or ADDRESS/BITS, each with an optional :PORT (an IPv6 one then in brackets). A name in
 * other letters than ASCII is converted (IDNA 2008). 0, or -EINVAL with *e filled in. */
int target_parse(const char *text, struct target *ret, struct error *e);

/* The same, with words behind it: " sni=off" for what does not speak TLS, " wide" for a suffix below which anyone can
 * have a name. */
int target_parse_options(const char *text, struct target *ret, struct error *e);

/* The same for a server that is named without a port: a resolver or a time server. */
int target_parse_server(const char *text, enum oh_service service, struct target *ret, struct error *e);

/* The name, suffix, address or range alone, as `list` shows it. Returns buffer. */
const char *target_format(const struct target *t, char buffer[OH_TARGET_TEXT_MAX]);
/* With port, and service where it is not TCP: "name:443", "[2001:db8::/32]:443", "10.0.0.2:53/dns". It is the
 * target's identity: two targets are the same where these are. Returns buffer. */
const char *target_identity(const struct target *t, char buffer[OH_TARGET_TEXT_MAX]);

/* Whether a name or suffix holds all that another does. */
bool target_covers(const struct target *outer, const struct target *inner);

/* What the words say. shown: the target as it was written. 0, or -EINVAL where it is none that can have them. */
int target_set_plain(struct target *t, const char *shown, struct error *e);
int target_set_wide(struct target *t, const char *shown, struct error *e);
/* Those words, as they stand behind a target: "" where there are none. */
const char *target_options(const struct target *t);

/* Reads an identity back. 0, or -EINVAL. */
int target_parse_identity(const char *text, struct target *ret);

/* Whether its connections must open with a TLS hello for an allowed name. */
bool target_is_named(const struct target *t);

/* Orders targets; 0 where they are the same. */
int target_compare(const struct target *a, const struct target *b);

const char *target_service_name(enum oh_service service);

#endif
