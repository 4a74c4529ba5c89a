/* SPDX-License-Identifier: GPL-2.0-only */
/* A TCP connection whose payload is judged, as transitions: where a segment stands, and what each side may change.
 * This file reads no map and no packet, so that a proof can take every step in any order.
 *
 * A guarded socket's TCP is this kernel's: it resends the same bytes. A flow has no such socket and may be crafted by
 * hand. So a flow is what the far side says it is. It begins when a SYN-ACK acknowledges exactly the number of a SYN
 * that was let out. A segment leaves only if it acknowledges what came in of that connection: the far side accepts
 * none of another. Judged bytes must be resent unchanged until the far side has acknowledged them. So the far side
 * assembles exactly the bytes that were judged, whatever is sent, lost, repeated or left out. */
#ifndef OHGUARD_BPF_STREAM_H
#define OHGUARD_BPF_STREAM_H

#include "decide/flow.h"

/* Numbers wrap around: compared as TCP compares them (RFC 9293, 3.4). */
static __always_inline bool oh_is_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

static __always_inline bool oh_is_within(__u32 number, __u32 from, __u32 to)
{
	return number - from <= to - from;
}

static __always_inline bool oh_opens(const struct oh_flow *f)
{
	return (f->tcp_flags & (OH_TCP_SYN | OH_TCP_ACK)) == OH_TCP_SYN;
}

static __always_inline void oh_stream_open(struct oh_stream *s, __u32 first)
{
	s->first = first;
	s->judged = first;
	s->sent = first;
	s->acked = first;
}

/* ---- what the sender says ---- */

enum oh_place {
	OH_PLACE_HOLD,		/* it may not leave: as it is, or not yet */
	OH_PLACE_KNOWN,		/* all of it may leave, if span's known bytes are unchanged */
	OH_PLACE_NEW,		/* the same, and the bytes after span's known ones must be judged */
};

/* A segment's payload: what was judged before, and what of that the far side already has. */
struct oh_span {
	__u32 known;
	__u32 gone;
};

/* Whether a segment belongs to the connection that the far side accepted, and to no other it might accept. */
static __always_inline bool oh_is_of_flow(const struct oh_stream *s, const struct oh_flow *f)
{
	if (f->tcp_flags & OH_TCP_RST && !f->payload_length)
		return true;
	if (!(f->tcp_flags & OH_TCP_ACK) || !oh_is_within(f->acknowledged, s->answer, s->heard))
		return false;
	/* With SYN cookies the first segment says where it begins. Until the far side has acknowledged a byte, a
	 * segment starts at the first byte, or follows what has left. */
	return s->acked != s->first || f->sequence == s->first || oh_is_within(f->sequence, s->judged, s->sent);
}

/* Places a segment in the connection c; `flow`: no guarded socket is behind it. */
static __always_inline enum oh_place oh_place_of(const struct oh_connection *c, const struct oh_flow *f, bool flow,
						 struct oh_span *span)
{
	const struct oh_stream *s = &c->stream;
	__u32 known = s->judged - f->sequence, gone = s->acked - f->sequence, length = f->payload_length;
	bool over = c->look == OH_LOOK_SENT;

	span->known = 0;
	span->gone = 0;
	if (f->tcp_flags & OH_TCP_SYN)
		return OH_PLACE_HOLD;
	if (flow && !oh_is_of_flow(s, f))
		return OH_PLACE_HOLD;
	if (!length)
		return OH_PLACE_KNOWN;
	if ((__s32)known < 0 || (over && !known))	/* after the look's end anything may stand; before it, no gap */
		return over ? OH_PLACE_KNOWN : OH_PLACE_HOLD;
	if (known && c->look == OH_LOOK_HELLO)
		return OH_PLACE_HOLD;
	span->known = known < length ? known : length;
	span->gone = (__s32)gone < 0 ? 0 : gone < span->known ? gone : span->known;
	if (!flow)
		span->gone = span->known;
	return span->known == length || over ? OH_PLACE_KNOWN : OH_PLACE_NEW;
}

/* A parser has judged `read` bytes after the known ones: all of them, unless it is over. In that case the rest is not
 * to be judged. */
static __always_inline void oh_stream_judged(struct oh_connection *c, const struct oh_flow *f,
					     const struct oh_span *span, __u32 read, enum oh_look look, bool flow)
{
	c->stream.judged = f->sequence + span->known + read;
	if (look == OH_LOOK_NONE && flow && c->stream.acked != c->stream.judged)
		look = OH_LOOK_SENT;
	c->look = look;
}

/* Records that a flow's segment is let out. */
static __always_inline void oh_stream_left(struct oh_connection *c, const struct oh_flow *f)
{
	__u32 end = f->sequence + f->payload_length;

	if (f->payload_length && oh_is_before(c->stream.sent, end))
		c->stream.sent = end;
}

/* A SYN changes nothing. But a second one with the same number could be taken for the first after bytes have followed
 * that: it does not leave. */
static __always_inline bool oh_syn_may_leave(const struct oh_connection *flow, const struct oh_flow *f)
{
	return !flow || flow->look == OH_LOOK_NONE || f->sequence + 1 != flow->stream.first ||
	       flow->stream.sent == flow->stream.first;
}

/* ---- what the far side says ---- */

enum oh_welcome {
	OH_WELCOME_NOT,		/* it answers no SYN that was let out */
	OH_WELCOME_AGAIN,	/* it is the one that the flow began with */
	OH_WELCOME_OPENS,	/* the opening's connection replaces the flow */
};

/* Judges a SYN-ACK that came in; flow and opening may be NULL. */
static __always_inline enum oh_welcome oh_welcome_of(const struct oh_connection *flow, const struct oh_opening *opening,
						     __u32 sequence, __u32 acknowledged)
{
	if (opening && opening->syn && acknowledged == opening->first)
		return OH_WELCOME_OPENS;
	if (flow && acknowledged == flow->stream.first && sequence + 1 == flow->stream.answer)
		return OH_WELCOME_AGAIN;
	return OH_WELCOME_NOT;
}

/* Another segment from the far side: `length` bytes at `sequence`, its FIN included. */
static __always_inline void oh_stream_heard(struct oh_connection *c, __u32 sequence, __u32 length)
{
	if (oh_is_before(c->stream.heard, sequence + length))
		c->stream.heard = sequence + length;
}

/* It acknowledges a number between its last one and what was let out, or is ignored. */
static __always_inline void oh_stream_acknowledged(struct oh_connection *c, __u32 acknowledged)
{
	struct oh_stream *s = &c->stream;

	if (!oh_is_within(acknowledged, s->acked, s->sent))
		return;
	s->acked = oh_is_before(acknowledged, s->judged) ? acknowledged : s->judged;
	if (c->look == OH_LOOK_SENT && s->acked == s->judged)
		c->look = OH_LOOK_NONE;
}

#endif
