/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* An inbound rule: for the kernel's verdict, and for `load`, which looks for sessions that it would cut. */
#ifndef OHGUARD_BPF_INBOUND_RULE_H
#define OHGUARD_BPF_INBOUND_RULE_H

#include "parse/bytes.h"

/* Whether a rule takes connections from an address to one of this machine's ports (host byte order). */
OH_INLINE int oh_inbound_takes(const volatile struct oh_inbound *rule, const struct oh_address *from, __u32 port)
{
	__u32 differ = 0;

	for (int w = 0; w < 4; w++)
		differ |= (from->word[w] ^ rule->address.word[w]) & rule->mask.word[w];
	return port - rule->port <= rule->more && !differ;
}

#endif
