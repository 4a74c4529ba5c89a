/* SPDX-License-Identifier: MIT */
/* What `verify` tries: "https github.com", "dns NAME", "http NAME", "tcp HOST:PORT", "ntp [SERVER]", "ping ADDRESS". */
#ifndef OHGUARD_CHECK_H
#define OHGUARD_CHECK_H

#include "policy/target.h"

enum check_kind { CHECK_DNS, CHECK_HTTPS, CHECK_HTTP, CHECK_TCP, CHECK_NTP, CHECK_PING, CHECK_KINDS };

struct check {
	bool works;		/* it must work; else it must fail */
	enum check_kind kind;
	bool any;		/* CHECK_NTP: a time server that is configured */
	struct target target;	/* a name or an address, with its port */
};

/* 0, or -EINVAL with *e filled in. */
int check_parse(const char *text, bool works, struct check *ret, struct error *e);

#define CHECK_TEXT_MAX (OH_TARGET_TEXT_MAX + 8)
const char *check_format(const struct check *c, char buffer[CHECK_TEXT_MAX]);

#endif
