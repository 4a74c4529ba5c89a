/* SPDX-License-Identifier: GPL-2.0-only */
/* Inspects packets whose destination is allowed: DNS queries, NTP requests, the name in a TLS hello. */
#ifndef OHGUARD_BPF_INSPECT_H
#define OHGUARD_BPF_INSPECT_H

#include "decide/decide.h"
#include "parse/dns_query.h"
#include "payload/learn.h"
#include "parse/ntp.h"
#include "payload/resent.h"
#include "payload/shared_pages.h"
#include "parse/tls_client.h"

/* Replaces a reason: the segment is dropped and not counted. The sender's TCP keeps its bytes, appends what is written
 * later, and sends it all again. */
#define OH_HOLD OH_REASON_MAX

_Static_assert(sizeof(struct oh_tls_rest) == 8 * OH_REST_WORDS, "rest of struct oh_connection");

#define OH_FRAMES_MAX 16	/* DNS queries in one segment: clients that pipeline send a few */
#define OH_LOOK_BYTES 20480	/* a hello with the headers of its records, or so many queries */
#define OH_NTP_BURST 8
#define OH_NTP_KEEP 7200	/* seconds: pollers pause for 34 minutes at most (systemd-timesyncd) */

/* Added to a reason, in place of a parser's result. */
#define OH_REFUSED 0x100

/* Where inspection of a packet ends: no parser goes further into a segment. Early data is skipped as it comes. */
static __always_inline __u32 oh_looked_at(const struct oh_flow *f, const struct oh_connection *c)
{
	const struct oh_tls_rest *rest = c ? (const struct oh_tls_rest *)c->rest : NULL;
	bool early = c && c->look == OH_LOOK_TLS && rest->offers & OH_TLS_OFFERS_EARLY && f->stage == OH_STAGE_PACKET;

	return f->payload + (f->payload_length < OH_LOOK_BYTES || early ? f->payload_length : OH_LOOK_BYTES);
}

static __always_inline const struct oh_name_entry *oh_find_name(__u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);

	return s ? bpf_map_lookup_elem(&oh_names, oh_key(s)) : NULL;
}

/* The DNS query of `length` bytes at `at`: OH_DNS, or why it is refused. */
__attribute__((noinline)) int oh_inspect_query(struct __sk_buff *skb, __u32 at, __u32 length, __u32 slot)
{
	struct oh_scratch *s = oh_scratch(slot);

	if (!s || oh_dns_query(skb, at, length, slot))
		return OH_DNS_MALFORMED;
	return oh_may_ask(slot, s->query.qtype) ? OH_DNS : OH_DNS_NAME_NOT_ALLOWED;
}

/* Observing notes a forbidden name's query too, since its answer tells which addresses are meant by that name. */
static __always_inline bool oh_lets_query_pass(enum oh_reason reason)
{
	return reason == OH_DNS || (oh_settings.observe && reason == OH_DNS_NAME_NOT_ALLOWED);
}

/* Each request costs a second, and a burst of them may be owed: clients begin with four to eight (iburst), and poll at
 * most every 16 seconds. A sender can choose 64 bits of a request, so this bounds them. */
__attribute__((noinline)) int oh_ntp_pay(__u64 high, __u64 low, __u32 target)
{
	struct oh_address server = { .word = { high, high >> 32, low, low >> 32 } };
	__u64 now = bpf_ktime_get_boot_ns(), cost = 1000000000, first = now + cost, debt = OH_NTP_BURST * cost;
	__u64 *paid = bpf_map_lookup_elem(&oh_ntp_paid, &server);

	if (paid)
		return oh_pay(paid, now, cost, debt);
	/* if the map is full the oldest entry goes, its debt over; if that fails too, nothing would be counted */
	return oh_has_room(OH_SHARED_PAID, target, now, debt, OH_TIME_SERVERS_MAX) &&
	       !bpf_map_update_elem(&oh_ntp_paid, &server, &first, BPF_ANY);
}

/* The NTP request of `length` bytes at `at`: OH_NTP, or why it is refused. */
__attribute__((noinline)) int oh_inspect_ntp(struct __sk_buff *skb, __u32 at, __u32 length)
{
	if (skb->gso_size || oh_ntp_request(skb, at, length, oh_settings.nts ? OH_NTP_NTS : 0))
		return OH_NTP_MALFORMED;
	return OH_NTP;
}

/* Queries over TCP: all must be complete and allowed. */
__attribute__((noinline)) int oh_inspect_queries(struct __sk_buff *skb, __u32 at, __u32 length, __u32 slot,
						 __u32 answer_port)
{
	for (int i = 0; i < OH_FRAMES_MAX; i++) {
		__u32 size = 0;
		int r;

		if (!length)
			return OH_DNS;
		r = oh_dns_frame(skb, at, length, &size);
		if (r)
			return r == OH_DNS_FRAME_HOLD ? OH_HOLD : OH_DNS_MALFORMED;
		r = oh_inspect_query(skb, at + 2, size, slot);
		if (oh_lets_query_pass(r))
			oh_note_query(skb, answer_port, slot);
		if (r != OH_DNS)
			return r;
		at += 2 + size;
		length -= 2 + size;
	}
	return length ? OH_DNS_MALFORMED : OH_DNS;
}

static __always_inline enum oh_reason oh_hello_reason(int result)
{
	switch (result) {
	case OH_HELLO_INCOMPLETE:
		return OH_HOLD;
	case OH_HELLO_TOO_LARGE:
		return OH_TLS_INCOMPLETE;
	case OH_HELLO_NO_NAME:
	case OH_HELLO_BAD_NAME:
		return OH_TLS_NO_NAME;
	case OH_HELLO_ENCRYPTED:
		return OH_TLS_ENCRYPTED_HELLO;
	}
	return OH_TLS_NOT_TLS;
}

/* Judges a hello to a port, `length` bytes at `at`. Returns a word like oh_lookup()'s, with the target whose name the
 * hello gives. */
__attribute__((noinline)) __u64 oh_inspect_hello(struct __sk_buff *skb, __u32 at, __u32 length, __u32 slot, __u32 port)
{
	const struct oh_name_entry *entry;
	int r = oh_tls_hello(skb, at, length, slot);

	if (r && r != OH_HELLO_NAMED)
		return oh_hello_reason(r);
	entry = oh_find_name(slot);
	for (int i = 0; entry && i < OH_GRANTS_MAX; i++) {
		const struct oh_name_rule *rule = &entry->rule[i];

		if (rule->service == OH_SERVICE_TCP && rule->port == port && !rule->ask &&
		    oh_target_life(rule->target, rule->generation))
			return OH_FOUND(OH_TARGET, rule);
	}
	return OH_TLS_NAME_NOT_ALLOWED;
}

static __always_inline enum oh_reason oh_inspect_ntp_packet(struct __sk_buff *skb, const struct oh_flow *f,
							    const struct oh_admission *admission)
{
	__u64 high = oh_high(&f->destination), low = oh_low(&f->destination);
	enum oh_reason reason;

	if (oh_can_change(skb, f, oh_looked_at(f, NULL)))
		return OH_SHARED_PAGES;
	reason = oh_inspect_ntp(skb, f->payload, f->payload_length);
	if (reason == OH_NTP && !oh_ntp_pay(high, low, admission->target))
		return OH_NTP_RATE;
	/* Clients resolve once and poll for days: like a connection, it lives for as long as it is used. */
	if (reason == OH_NTP)
		oh_prolong(high, low, (__u64)admission->generation << 32 | admission->target,
			   OH_SERVICE_NTP << 16 | OH_PORT_NTP, oh_now() + OH_NTP_KEEP);
	return reason;
}

static __always_inline enum oh_reason oh_inspect_dns_segment(struct __sk_buff *skb, const struct oh_flow *f,
							     struct oh_connection *c, const struct oh_span *span,
							     const struct oh_admission *admission, __u32 slot)
{
	__u32 length = f->payload_length - span->known;
	enum oh_reason reason = oh_inspect_queries(skb, f->payload + span->known, length, slot, oh_answer_port(f, c));

	if (reason != OH_DNS)
		return reason;
	if (admission->flow && oh_keep(skb, c, span->known, length, slot))
		return OH_HOLD;
	oh_stream_judged(c, f, span, length, OH_LOOK_QUERIES, admission->flow);
	return OH_DNS;
}

static __always_inline void oh_copy_rest(__u64 *to, const __u64 *from)
{
	for (int i = 0; i < OH_REST_WORDS; i++)
		to[i] = from[i];
}

/* Parses a hello in `length` bytes at `at`. Returns what oh_tls_client() says of it and what follows, or OH_REFUSED and
 * a reason. The connection belongs to the name in its first hello; a second one must give the same. */
static __always_inline int oh_inspect_name(struct __sk_buff *skb, const struct oh_flow *f, struct oh_connection *c,
					   __u32 at, __u32 length, struct oh_admission *admission, __u32 slot)
{
	bool second = c->look == OH_LOOK_TLS;
	struct oh_scratch *s = oh_scratch(slot);
	__u64 found = oh_inspect_hello(skb, at, length, slot, f->destination_port);
	__u32 mark = oh_name_mark(slot);

	if (!s)
		return OH_REFUSED | OH_HOLD;
	if (OH_FOUND_REASON(found) != OH_TARGET)
		return OH_REFUSED | OH_FOUND_REASON(found);
	if (second && mark != OH_MEM(s->rest.mark))
		return OH_REFUSED | OH_TLS_NAME_NOT_ALLOWED;
	OH_MEM(s->rest.mark) = mark;
	admission->target = OH_FOUND_TARGET(found);
	admission->generation = found >> 32;
	return OH_MEM(s->rest.hello) ? OH_HELLO_NAMED : OH_HELLO_COMPLETE;
}

/* A partial hello may leave: its name is allowed, and the rest is inspected as it comes. So is what follows it, until
 * the client sends no more plaintext. */
static __always_inline enum oh_reason oh_inspect_tls_segment(struct __sk_buff *skb, const struct oh_flow *f,
							     struct oh_connection *c, const struct oh_span *span,
							     struct oh_admission *admission, __u32 slot)
{
	__u32 at = f->payload + span->known, end = oh_looked_at(f, c), read = 0;
	struct oh_scratch *s = oh_scratch(slot);
	int r = OH_HELLO_BEGINS;

	if (!s || end <= at)
		return OH_HOLD;
	if (c->look == OH_LOOK_TLS) {
		oh_copy_rest((__u64 *)&s->rest, c->rest);
		r = oh_tls_client(skb, at, end - at, slot);
		read = OH_MEM(s->read);
	}
	if (r == OH_HELLO_BEGINS) {
		r = oh_inspect_name(skb, f, c, at + read, end - at - read, admission, slot);
		if (r & OH_REFUSED)
			return r & ~OH_REFUSED;
		read += OH_MEM(s->read);
	}
	if (r == OH_HELLO_COMPLETE) {
		r = oh_tls_client(skb, at + read, end - at - read, slot);
		read += OH_MEM(s->read);
	}
	if (r != OH_HELLO_NAMED && r != OH_HELLO_OVER)	/* no client sends two hellos at once */
		return oh_hello_reason(r);
	if (r == OH_HELLO_NAMED) {
		if (end - f->payload < f->payload_length)	/* nor so many records */
			return OH_TLS_NOT_TLS;
		read = f->payload_length - span->known;
	}
	if (admission->flow && oh_keep(skb, c, span->known, read, slot))
		return OH_HOLD;
	/* From its hello on, the connection belongs to the name it gave. */
	c->target = admission->target;
	c->generation = admission->generation;
	oh_copy_rest(c->rest, (const __u64 *)&s->rest);
	oh_stream_judged(c, f, span, read, r == OH_HELLO_OVER ? OH_LOOK_NONE : OH_LOOK_TLS, admission->flow);
	return OH_TARGET;
}

/* What a TCP connection must open with, under the rule that admitted it. */
static __always_inline enum oh_look oh_look_for(enum oh_reason reason, const struct oh_admission *admission)
{
	return reason == OH_DNS ? OH_LOOK_QUERIES : admission->named ? OH_LOOK_HELLO : OH_LOOK_NONE;
}

/* Inspects the segment's payload, whose place in the connection `span` gives. */
static __always_inline enum oh_reason oh_inspect_segment(struct __sk_buff *skb, const struct oh_flow *f,
							 struct oh_connection *c, enum oh_reason reason,
							 enum oh_place place, const struct oh_span *span,
							 struct oh_admission *admission)
{
	if (place == OH_PLACE_KNOWN && span->gone == span->known)
		return reason;
	if (oh_can_change(skb, f, oh_looked_at(f, c)))
		return OH_SHARED_PAGES;
	admission->slot = oh_scratch_take();
	if (admission->slot >= OH_SLOTS)
		return OH_HOLD;
	if (span->gone != span->known &&
	    !oh_is_same_again(skb, f->payload + span->gone, f->sequence + span->gone, span->known - span->gone,
			      admission->slot))
		return reason == OH_DNS ? OH_DNS_MALFORMED : OH_TLS_NOT_TLS;
	if (place == OH_PLACE_KNOWN)
		return reason;
	if (reason == OH_DNS)
		return oh_inspect_dns_segment(skb, f, c, span, admission, admission->slot);
	return oh_inspect_tls_segment(skb, f, c, span, admission, admission->slot);
}

static __always_inline enum oh_reason oh_inspect_tcp(struct __sk_buff *skb, const struct oh_flow *f,
						     struct oh_connection *c, enum oh_reason reason,
						     struct oh_admission *admission)
{
	struct oh_span span;
	enum oh_place place;

	/* The receiver takes an urgent byte out of its stream, so it would read different bytes from those read here.
	 * The urgent pointer may come before the byte. */
	if (f->tcp_flags & OH_TCP_URG)
		return reason == OH_DNS ? OH_DNS_MALFORMED : OH_TLS_NOT_TLS;
	if (oh_opens(f)) {
		if (f->payload_length)	/* fast open falls back to a plain SYN at once, and sends the data after it */
			return reason == OH_DNS ? OH_HOLD : OH_TLS_IN_SYN;
		return admission->flow && !oh_syn_may_leave(c, f) ? OH_HOLD : reason;
	}
	/* Nobody saw it begin: the connection is older than the guard, or there was no memory for its state. */
	if (admission->fresh || !c)
		return !f->payload_length ? reason : reason == OH_DNS ? OH_DNS_MALFORMED : OH_TLS_INCOMPLETE;
	if (c->served && c->look == OH_LOOK_TLS)
		c->look = c->stream.acked == c->stream.judged ? OH_LOOK_NONE : OH_LOOK_SENT;
	if (c->look == OH_LOOK_NONE)
		return reason;
	place = oh_place_of(c, f, admission->flow, &span);
	if (place == OH_PLACE_HOLD)
		return OH_HOLD;
	reason = oh_inspect_segment(skb, f, c, reason, place, &span, admission);
	if (reason < OH_REASON_FIRST_REFUSAL && admission->flow)
		oh_stream_left(c, f);
	return reason;
}

/* Whether oh_inspect() inspects the packet. */
static __always_inline bool oh_is_looked_at(const struct oh_connection *c, enum oh_reason reason,
					    const struct oh_admission *admission)
{
	if (reason == OH_TARGET)
		return admission->fresh ? admission->named : c && c->look != OH_LOOK_NONE;
	return reason == OH_DNS || reason == OH_NTP;
}

/* The verdict on the content of a packet that oh_decide() admits for `reason`: the same reason, the one to refuse it
 * for, or OH_HOLD. Leaves the scratch with the name in admission->slot; the caller releases it. */
static __always_inline enum oh_reason oh_inspect(struct __sk_buff *skb, const struct oh_flow *f,
						 struct oh_connection *c, enum oh_reason reason,
						 struct oh_admission *admission)
{
	if (!oh_is_looked_at(c, reason, admission))
		return reason;
	if (reason == OH_NTP)
		return oh_inspect_ntp_packet(skb, f, admission);
	if (reason == OH_TARGET || f->protocol == OH_PROTOCOL_TCP)
		return oh_inspect_tcp(skb, f, c, reason, admission);
	/* UDP segmentation would split it into several datagrams, and each could be another query. */
	if ((!f->socket && f->stage != OH_STAGE_UPLINK) || skb->gso_size)
		return OH_DNS_MALFORMED;
	if (oh_can_change(skb, f, oh_looked_at(f, c)))
		return OH_SHARED_PAGES;
	admission->slot = oh_scratch_take();
	if (admission->slot >= OH_SLOTS)
		return OH_HOLD;
	reason = oh_inspect_query(skb, f->payload, f->payload_length, admission->slot);
	if (oh_lets_query_pass(reason))
		oh_note_query(skb, oh_answer_port(f, c), admission->slot);
	return reason;
}

#endif
