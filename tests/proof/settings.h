/* SPDX-License-Identifier: MIT */
/* bpf/maps.h for CBMC, with settings that can be anything; and what CBMC makes up. */
#ifndef OHGUARD_PROOF_SETTINGS_H
#define OHGUARD_PROOF_SETTINGS_H

#include <bpf/bpf_helpers.h>

#include <ohguard/abi.h>

#include "counters.h"
#include "parse/name_key.h"

/* the one constant there is loses its qualifiers, so that a proof can write to it */
#define const
#define volatile
#include "maps.h"
#undef const
#undef volatile

bool nondet_bool(void);
__u8 nondet_u8(void);
__u16 nondet_u16(void);
__u32 nondet_u32(void);
__u64 nondet_u64(void);

#endif
