/* SPDX-License-Identifier: MIT */
/* bpf/decide/stream.h, oh_inspect_tcp() and the flows of bpf/uplink/: one step from any state that holds() allows. The
 * sender sends what it likes, and the far side is an honest TCP, with or without SYN cookies. What that takes as the
 * byte of one number, any, is what a parser has judged as that byte of one stream, which begins where the far side's
 * begins; or it stands behind the end of the look. Parsers say anything. Packets are lost, and maps forget. See
 * docs/proof.md.
 *
 * options: --unwind 12 --no-standard-checks
 * options: --replace oh_parse_frame:any_frame --replace oh_read_sequence:any_sequence --replace oh_judge:judge
 * options: --replace oh_target_life:target_life --replace oh_can_change:cannot_change
 * options: --replace oh_make_linear:make_linear --replace oh_scratch_take:scratch_take
 * options: --replace oh_scratch_release:scratch_release --replace oh_scratch:scratch
 * options: --replace oh_copy_rest:copy_rest --replace oh_refuse_uplink:refuse --replace oh_tls_client:any_client
 * options: --replace oh_inspect_name:any_name --replace oh_inspect_queries:any_queries
 * options: --replace oh_keep_sent:keep_sent --replace oh_is_same_again:is_same_again
 * options: --replace oh_is_last_hello:any_last_hello --replace oh_count:count
 * options: --replace oh_is_frame_own:is_frame_own --replace oh_count_use:count_use
 * options: --replace oh_add_opening:add_opening --replace oh_give_back:give_back
 * proof first: -DFIRST
 * proof tls-sends: -DSENDS
 * proof tls-hears:
 * proof dns-sends: -DDNS -DSENDS
 * proof dns-hears: -DDNS
 * reach taken: -DSENDS -DREACH=taken
 * reach free: -DSENDS -DREACH=free_taken
 * reach opened: -DREACH=opened
 * reach taken-dns: -DDNS -DSENDS -DREACH=taken
 */
#include "settings.h"

#include "uplink/uplink.h"
#include "uplink/inbound.h"

#include "connection_state.h"

#ifdef DNS
#define PORT OH_PORT_DNS
#else
#define PORT 443
#endif

static void give(__u32 at, __u32 read, bool over)
{
	if (given) {
		__CPROVER_assert(at == given_to, "a parser goes on where it was");
	} else {
		__CPROVER_assert(judged.there && out.sequence + at == judged.next, "a parser is given the next byte");
		given_from = at;
	}
	given = true;
	given_to = at + read;
	given_over = over;
}

static void commit(void)
{
	if (!given)
		return;
	if (covers(out.sequence + given_from, given_to - given_from)) {
		judged.seen = true;
		judged.byte = out.byte;
	}
	judged.next = out.sequence + given_to;
	judged.over = given_over;
}

/* ---- what the guard's code calls ---- */

void *bpf_map_lookup_elem(void *map, const void *key)
{
	if (map == (void *)&oh_frames)
		return &frame;
	if (map == (void *)&oh_flows)
		return flow_there ? &flow : NULL;
	__CPROVER_assert(map == (void *)&oh_openings, "no other map is asked");
	return opening_there ? &opening : NULL;
}

long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags)
{
	__CPROVER_assert(map == (void *)&oh_flows, "no other map is written to");
	if (nondet_bool())
		return -1;
	flow = *(const struct oh_connection *)value;
	flow_there = true;
	return 0;
}

int add_opening(struct __sk_buff *skb, __u64 word0, __u64 word1)
{
	__u64 value[] = { word0, word1, 0 };

	if (nondet_bool())	/* its sender has no room */
		return 0;
	if (nondet_bool()) {
		opening = *(const struct oh_opening *)value;
		opening_there = true;
	}
	return 1;
}

__u64 bpf_jiffies64(void) { return nondet_u64(); }
void give_back(enum oh_shared table, __u32 payer, __u64 payers, enum oh_room from, __u32 paid, __u32 room) { }

long bpf_map_delete_elem(void *map, const void *key)
{
	__CPROVER_assert(map == (void *)&oh_openings, "nothing else is deleted");
	opening_there = false;
	return 0;
}

enum oh_reason any_frame(struct __sk_buff *skb, struct oh_flow *f)
{
	f->protocol = OH_PROTOCOL_TCP;
	f->tcp_flags = out.flags;
	f->payload_length = out.length;
	f->destination_port = PORT;
	return OH_NONE;
}

void any_sequence(struct __sk_buff *skb, struct oh_flow *f)
{
	f->sequence = out.sequence;
	f->acknowledged = out.acknowledged;
}

__u64 judge(__u64 word0, __u64 word1, __u64 word2, __u64 word3, __u64 word4)
{
#ifdef DNS
	return 1ULL << 32 | 1 << 8 | OH_DNS;
#else
	return 1ULL << 32 | OH_FOUND_NAMED | 1 << 8 | OH_TARGET;
#endif
}

int target_life(__u32 id, __u32 generation)
{
	return OH_TARGET_HOLDS_NAMED;
}

bool is_frame_own(struct __sk_buff *skb, const struct oh_frame *fr, enum oh_reason reason) { return nondet_bool(); }
bool cannot_change(struct __sk_buff *skb, const struct oh_flow *f, __u32 end) { return false; }
void make_linear(struct __sk_buff *skb, __u32 end) { }
int scratch_take(void) { return nondet_bool() ? 0 : OH_SLOTS; }
void scratch_release(__u32 slot) { }
void count(__u32 index, __u32 bytes) { }
void count_use(const struct oh_admission *admission, __u32 bytes, bool connection) { }
void copy_rest(__u64 *to, const __u64 *from) { }

bool refuse(struct __sk_buff *skb, struct oh_frame *fr, enum oh_reason reason, const struct oh_connection *own)
{
	return false;
}

struct oh_scratch *scratch(__u32 slot)
{
	static struct oh_scratch one;

	return &one;
}

/* ---- parsers ---- */

#define LEAST 4		/* bytes of the shortest hello that is named, and of the shortest query */

int any_client(oh_bytes skb, __u32 at, __u32 length, __u32 slot)
{
	__u32 read = any_length();
	int r = nondet_bool() ? OH_HELLO_NAMED : nondet_bool() ? OH_HELLO_OVER : nondet_bool() ? OH_HELLO_BEGINS :
		nondet_bool() ? OH_HELLO_INCOMPLETE : OH_HELLO_NOT_TLS;

	__CPROVER_assume(read <= length && (r != OH_HELLO_NAMED || read == length));
	give(at, read, r == OH_HELLO_OVER);
	scratch(0)->read = read;
	return r;
}

int any_name(struct __sk_buff *skb, const struct oh_flow *f, struct oh_connection *c, __u32 at, __u32 length,
		    struct oh_admission *admission, __u32 slot)
{
	__u32 read = any_length();
	bool whole = nondet_bool();

	if (nondet_bool())
		return OH_REFUSED | (nondet_bool() ? OH_HOLD : OH_TLS_NAME_NOT_ALLOWED);
	__CPROVER_assume(read <= length && read >= LEAST && (whole || read == length));
	give(at, read, false);
	scratch(0)->read = read;
	return whole ? OH_HELLO_COMPLETE : OH_HELLO_NAMED;
}

int any_queries(struct __sk_buff *skb, __u32 at, __u32 length, __u32 slot, __u32 answer_port)
{
	if (nondet_bool() || length < LEAST)
		return nondet_bool() ? OH_HOLD : OH_DNS_MALFORMED;
	give(at, length, false);
	return OH_DNS;
}

/* ---- the bytes that are kept: what resent.h does, for the watched one ---- */

int keep_sent(struct __sk_buff *skb, __u32 at, __u32 length, __u64 sequence, __u32 slot)
{
	__u32 from = sequence;

	__CPROVER_assert(from == out.sequence + at && at + length <= out.length, "bytes of the segment");
	if (nondet_bool() || !length)
		return -1;
	if (sequence & OH_KEEP_ALONE) {
		kept.from = from;
		kept.length = 0;
		kept.there = true;
	}
	if (!kept.there || from != kept.from + kept.length)
		return -1;
	kept.length += length;
	if (covers(from, length))
		kept.byte = out.byte;
	return 0;
}

int is_same_again(struct __sk_buff *skb, __u32 at, __u32 sequence, __u32 length, __u32 slot)
{
	__CPROVER_assert(sequence == out.sequence + at && at + length <= out.length, "bytes of the segment");
	if (!kept.there || !length || sequence - kept.from >= kept.length ||
	    length > kept.length - (sequence - kept.from))
		return 0;
	return covers(sequence, length) ? kept.byte == out.byte : nondet_bool();
}

/* What the far side says: that it asks for no second hello. */
bool any_last_hello(void *ctx, const struct oh_arrival *a, enum oh_hook hook)
{
	bool last = nondet_bool();

	judged.over |= last;
	return last;
}

/* ---- the far side ---- */

static struct {
	bool open;		/* a connection is established: */
	__u32 first, next;	/* the sender's first byte, and the next one that it waits for */
	__u32 most;		/* behind the last byte that it has, with gaps before it */
	__u32 answer, said;	/* its own first byte, and behind the last that it has sent */
} far;
static struct {
	bool there, told;	/* it has answered a SYN; and the answer has come in, so that the sender knows it */
	__u32 first, answer;
} pair;

static bool taken, free_taken, opened;

/* A server that keeps what a SYN said begins where that did. One with SYN cookies begins where the first segment of the
 * connection says: Linux takes numbers that are up to three off, since a cookie has room for a few segment sizes. */
static void far_opens(void)
{
	bool cookies = nondet_bool();
	__u32 off = out.sequence - pair.first;

	if (far.open || !pair.there || !pair.told || out.acknowledged != pair.answer ||
	    (cookies ? off + LEAST - 1 > 2 * (LEAST - 1) : off >= SPAN))
		return;
	far.open = true;
	far.first = cookies ? out.sequence : pair.first;
	far.next = far.first;
	far.most = far.first;
	far.answer = pair.answer;
	far.said = far.answer;
	pair.there = false;
	pair.told = false;
}

static void far_takes(void)
{
	__u32 end = out.sequence + out.length;

	if (covers(out.sequence, out.length) && watched - far.next < 0x40000000) {
		bool known = judged.there && judged.first == far.first;

		__CPROVER_assert(known, "what is taken is of the stream that is judged");
		if (watched - judged.first < judged.next - judged.first) {
			__CPROVER_assert(judged.seen && judged.byte == out.byte, "a byte that is taken was judged");
			taken = true;
		} else {
			__CPROVER_assert(judged.over, "a byte that was not judged stands behind the look's end");
			free_taken = true;
		}
		__CPROVER_assert(!(out.flags & OH_TCP_URG) || flow.look == OH_LOOK_NONE,
				 "no byte is taken out of the stream");
	}
	if (!out.length || nondet_bool())	/* damaged on its way */
		return;
	if (oh_is_before(far.most, end))
		far.most = end;
	if (far.next - out.sequence < out.length) {
		far.next = any_number();
		__CPROVER_assume(oh_is_within(far.next, end, far.most));
	}
}

/* A segment that was let out reaches it. */
static void far_hears(void)
{
	if (out.flags & OH_TCP_RST) {
		far.open = far.open && nondet_bool();
	} else if (out.flags & OH_TCP_SYN) {
		if (far.open || out.flags & OH_TCP_ACK)
			return;
		pair.there = true;	/* in the place of one that it has forgotten */
		pair.told = false;
		pair.first = out.sequence + 1;
		pair.answer = any_number();
		__CPROVER_assume(!flow_there || pair.answer != flow.stream.answer);
	} else if (out.flags & OH_TCP_ACK) {
		far_opens();
		if (far.open)
			far_takes();
	}
}

/* ---- steps ---- */

static void sender_sends(void)
{
	static struct __sk_buff skb;

	out.sequence = any_number();
	out.acknowledged = any_number();
	out.length = any_length();
	out.flags = nondet_u8();
	out.byte = nondet_u8();
	given = false;
	skb.len = OH_ETHERNET + 40 + out.length;
	if (!oh_pass_uplink(&skb))
		return;
	commit();
	if (nondet_bool())
		far_hears();
}

static void comes_in(__u32 sequence, __u32 acknowledged, __u32 length, __u8 flags)
{
	static struct oh_arrival a;
	bool opens = opening_there && opening.syn && flags & OH_TCP_SYN;

	__builtin_memset(&a, 0, sizeof(a));
	a.seen.protocol = OH_PROTOCOL_TCP;
	a.seen.sequence = sequence;
	a.seen.acknowledged = acknowledged;
	a.seen.payload_length = length;
	a.flags = flags;
	a.answer.destination_port = PORT;
	if (!oh_is_known_flow(NULL, &a, OH_HOOK_INBOUND))
		return;
	pair.told |= (flags & OH_TCP_SYN) != 0;
	if (opens && !opening_there) {
		judged.there = true;
		judged.first = flow.stream.first;
		judged.next = judged.first;
		judged.over = false;
		judged.seen = false;
		opened = true;
	}
}

static void far_says(void)
{
	__u32 sequence = any_number(), acknowledged = any_number(), length = any_length();

	if (nondet_bool()) {	/* a segment that was turned round at the uplink, or a reset of its own: any numbers */
		comes_in(sequence, acknowledged, 0, OH_TCP_RST | OH_TCP_ACK);
	} else if (pair.there) {
		comes_in(pair.answer - 1, pair.first, 0, OH_TCP_SYN | OH_TCP_ACK);
	} else if (far.open) {
		__CPROVER_assume(oh_is_within(acknowledged, far.first, far.next) &&
				 oh_is_within(sequence, far.answer, far.said));
		if (far.said - sequence < length)
			far.said = sequence + length;
		comes_in(sequence, acknowledged, length, OH_TCP_ACK);
	}
}

static void maps_forget(void)
{
	if (nondet_bool())
		kept.there = false;
	if (nondet_bool())
		opening_there = false;
	if (nondet_bool()) {
		flow_there = false;
		judged.there = false;
	}
}

/* ---- what holds before and after each step ---- */

static bool is_ordered(const struct oh_stream *s)
{
	__u32 acked = s->acked - s->first, has = s->judged - s->first, sent = s->sent - s->first;

	return acked <= has && has <= sent && sent < SPAN && s->heard - s->answer < SPAN;
}

static bool flow_is_right(void)
{
	const struct oh_stream *s = &flow.stream;
	bool over = flow.look == OH_LOOK_SENT || flow.look == OH_LOOK_NONE;

#ifdef DNS
	if (flow.look != OH_LOOK_QUERIES)
		return false;
#else
	if (flow.look != OH_LOOK_HELLO && flow.look != OH_LOOK_TLS && !over)
		return false;
#endif
	if (!flow.admitted || flow.busy || !is_ordered(s) || !judged.there || judged.first != s->first ||
	    judged.next != s->judged || judged.over != (over || flow.served) || flow.served > 1 ||
	    judged.seen != covers(s->first, s->judged - s->first))
		return false;
	if (flow.look == OH_LOOK_HELLO || s->judged == s->first) {
		if (flow.served || s->sent != s->first || (flow.look != OH_LOOK_HELLO && flow.look != OH_LOOK_QUERIES))
			return false;
	} else if (s->judged - s->first < LEAST) {
		return false;
	}
	if ((flow.look == OH_LOOK_QUERIES && flow.served) || (flow.look == OH_LOOK_NONE && s->acked != s->judged) ||
	    (!over && s->sent != s->judged))
		return false;
	/* what is kept reaches from what is not acknowledged to what is judged */
	if (kept.there && s->acked != s->judged &&
	    (kept.from + kept.length != s->judged || kept.from - s->first > s->acked - s->first ||
	     (covers(kept.from, kept.length) && kept.byte != judged.byte)))
		return false;
	/* a question that is open is known to be */
	return !opening_there || !opening.syn || flow.reopened;
}

static bool holds(void)
{
	if (far.open && (pair.there || far.most - far.first >= SPAN || far.said - far.answer >= SPAN ||
			 !oh_is_within(far.next, far.first, far.most)))
		return false;
	if (pair.told && !pair.there)
		return false;
#ifdef DNS
	if (opening_there && (opening.look != OH_LOOK_QUERIES || !opening.syn))
		return false;
#else
	if (opening_there && (opening.look != OH_LOOK_HELLO || !opening.syn))
		return false;
#endif
	if (!flow_there)
		return true;
	if (!flow_is_right())
		return false;
	if (far.open)	/* it is the guard's connection, and has what the guard thinks that it has */
		return far.first == flow.stream.first && far.answer == flow.stream.answer &&
		       oh_is_within(flow.stream.acked, far.first, far.next) &&
		       (flow.look == OH_LOOK_NONE || oh_is_within(far.most, far.first, flow.stream.sent)) &&
		       oh_is_within(flow.stream.heard, far.answer, far.said);
	if (pair.there && !pair.told)	/* a new answer */
		return pair.answer != flow.stream.answer;
	if (pair.there)	/* what it is about to open is */
		return pair.first == flow.stream.first && pair.answer == flow.stream.answer &&
		       flow.stream.acked == flow.stream.first && flow.stream.heard == flow.stream.answer;
	return true;
}

static void any_state(void)
{
	flow_there = nondet_bool();
	flow = (struct oh_connection){
		.port = PORT, .admitted = 1, .look = nondet_u8(), .reopened = nondet_bool(), .served = nondet_u8(),
		.stream = { any_number(), any_number(), any_number(), any_number(), any_number(), any_number() },
	};
	((struct oh_tls_rest *)flow.rest)->offers = nondet_u8();
	opening_there = nondet_bool();
	opening = (struct oh_opening){ .first = any_number(), .syn = nondet_bool(), .look = nondet_u8() };
	kept.there = nondet_bool();
	kept.from = any_number();
	kept.length = nondet_u8();
	kept.byte = nondet_u8();
	judged.there = nondet_bool();
	judged.first = any_number();
	judged.next = any_number();
	judged.over = nondet_bool();
	judged.seen = nondet_bool();
	judged.byte = nondet_u8();
	far.open = nondet_bool();
	far.first = any_number();
	far.next = any_number();
	far.most = any_number();
	far.answer = any_number();
	far.said = any_number();
	pair.there = nondet_bool();
	pair.told = nondet_bool();
	pair.first = any_number();
	pair.answer = any_number();
}

/* Numbers that have run away from each other are not looked at further. */
static bool is_near(void)
{
	const struct oh_stream *s = &flow.stream;

	return (!flow_there || (s->sent - s->first < SPAN && s->heard - s->answer < SPAN)) &&
	       (!far.open || (far.most - far.first < SPAN && far.said - far.answer < SPAN));
}

int main(void)
{
	oh_settings.inspect = 1;
	oh_settings.observe = 0;
#ifdef FIRST
	__CPROVER_assert(holds(), "it holds in the beginning");
	return 0;
#endif
	any_state();
	__CPROVER_assume(holds());
#ifdef SENDS
	sender_sends();
#else
	if (nondet_bool())
		far_says();
	else
		maps_forget();
#endif
#ifdef REACH
	__CPROVER_assert(!(REACH), "reached");
#else
	__CPROVER_assume(is_near());
	__CPROVER_assert(holds(), "it holds after the step");
#endif
	return 0;
}
