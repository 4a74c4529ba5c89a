/* SPDX-License-Identifier: MIT */
/* Asks the kernel's tables what its decision would find there: for `explain`. */
#ifndef OHGUARD_LOOKUP_H
#define OHGUARD_LOOKUP_H

#include "engine/engine.h"

struct lookup {
	uint8_t reason;			/* OH_TARGET, or why it is refused: enum oh_reason */
	struct oh_target target;	/* that admits it, or that is nearest; text "": none */
	uint32_t expires;		/* of the address: seconds of CLOCK_BOOTTIME, or OH_FOREVER */
	uint8_t learned;		/* enum oh_learned */
};

/* Whether a name may be asked for and given as a TLS server name for that port. */
int lookup_name(const struct engine *engine, const char *name, uint16_t port, struct lookup *ret, struct error *e);
/* Whether TCP to that address and port is admitted, as oh_lookup() of bpf/decide/decide.h finds. */
int lookup_address(const struct engine *engine, const struct oh_address *address, uint16_t port, struct lookup *ret,
		   struct error *e);

#endif
