/* SPDX-License-Identifier: MIT */
/* What wire.bpf.c and its runner agree on. */
#ifndef WIRE_H
#define WIRE_H

#define WIRE_REFUSED 100 /* parsed, but no rule covers the name */
#define WIRE_BUSY 101

/* PROG_TEST_RUN wants an Ethernet header; tc counts from it, cgroup_skb from behind it, but len is without it in
 * both. */
#define WIRE_ETH 14
#define WIRE_OFF(skb) WIRE_ETH
#define WIRE_LEN(skb) ((skb)->len - WIRE_ETH)

#endif
