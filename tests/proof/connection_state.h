/* SPDX-License-Identifier: MIT */
/* What connection.c knows of one connection: the guard's memory of it, the sender's segment, and what was judged. */
#ifndef OHGUARD_PROOF_CONNECTION_STATE_H
#define OHGUARD_PROOF_CONNECTION_STATE_H

/* ---- the guard's memory, for these ends ---- */

static struct oh_frame frame;
static struct oh_connection flow;
static struct oh_opening opening;
static bool flow_there, opening_there;
static struct {
	bool there;
	__u32 from, length;
	__u8 byte;	/* the watched one, where it is among them */
} kept;

/* ---- one segment of the sender's ---- */

static struct {
	__u32 sequence, acknowledged, length;
	__u8 flags, byte;
} out;

static __u32 watched;	/* number of the byte that is watched */

/* Numbers on both sides of 0, where they wrap around. Only differences count, so the watched one can be 0. */
static __u32 any_number(void)
{
	return (__s32)(__s8)nondet_u8();
}

#define SPAN 0x40	/* numbers of one connection lie so near */
#define LENGTH_MAX 31	/* of a segment */

static __u32 any_length(void)
{
	return nondet_u8() & LENGTH_MAX;
}

static bool covers(__u32 from, __u32 length)
{
	return watched - from < length;
}

/* ---- what a parser has judged ---- */

static struct {
	bool there;		/* the guard knows a stream */
	__u32 first, next;	/* where it began, and the next byte that a parser is to be given */
	bool over;		/* it has said that what is behind is free */
	bool seen;		/* it was given the watched byte: */
	__u8 byte;
} judged;
static bool given;		/* a parser was given something of the segment: */
static __u32 given_from, given_to;
static bool given_over;

#endif
