// SPDX-License-Identifier: GPL-2.0-only
/* The hooks. Each fills a flow from its context, asks oh_decide() and oh_inspect() and reports; none has a rule of its
 * own. */
#include "decide/decide.h"
#include "decide/flow.h"
#include "decide/inside.h"
#include "uplink/answer.h"
#include "uplink/inbound.h"
#include "payload/hand_over.h"
#include "payload/inspect.h"
#include "maps.h"
#include "payload/observe.h"
#include "payload/question.h"
#include "payload/quick_error.h"
#include "decide/report.h"
#include "decide/source.h"
#include "uplink/uplink.h"

char LICENSE[] SEC("license") = "GPL";

#define OH_PROTOCOL_MPTCP 262

/* Counts, reports and remembers a verdict. */
static __always_inline int oh_conclude(struct __sk_buff *skb, struct bpf_sock *sk, struct oh_connection *c,
				       const struct oh_flow *f, enum oh_reason reason,
				       const struct oh_admission *admission)
{
	oh_count_verdict(reason, skb->len);
	if (reason >= OH_REASON_FIRST_REFUSAL) {
		if (c && (c->look != OH_LOOK_NONE || (c->asked && oh_opens(f))))
			c->refused = !oh_settings.observe;
		if (!f->kernel_raw && !admission->told)	/* nobody's attempt, or told before */
			oh_tell(f, OH_HOOK_EGRESS, reason, c ? &c->owner : NULL, admission->slot);
		return oh_verdict(reason);
	}
	if (admission->target)
		oh_count_use(admission, skb->len, admission->fresh);
	if (admission->fresh && sk && f->protocol == OH_PROTOCOL_TCP)
		oh_admit_connection(sk, c, f, oh_settings.inspect ? oh_look_for(reason, admission) : OH_LOOK_NONE,
				    admission);
	return oh_verdict(reason);
}

SEC("cgroup_skb/egress")
int oh_egress(struct __sk_buff *skb)
{
	struct oh_admission admission = { .slot = OH_SLOTS };
	struct oh_connection *c = NULL;
	struct oh_question *q = NULL;
	struct oh_flow f = {};
	enum oh_reason reason;
	struct bpf_sock *sk;
	int verdict;

	if (skb->ifindex == OH_LOOPBACK_IFINDEX) {
		oh_count(OH_LOOPBACK, skb->len);
		return 1;
	}
	sk = skb->sk;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (sk) {
		f.socket = 1;
		f.socket_type = sk->type;
		c = bpf_sk_storage_get(&oh_connections, sk, NULL, 0);
		if (sk->type == SOCK_RAW)
			oh_note_raw(skb, c, &f);
	}
	reason = oh_parse(skb, 0, &f);
	oh_forget(skb, &f);
	if (!reason)
		reason = oh_forget_verdict(skb, &admission, oh_decide(&f, c, &admission));
	if (oh_must_own_source(&f, reason, &admission) && !oh_is_chosen(sk, c, &f) &&
	    !oh_is_source_own(skb, &f, c && c->home))
		reason = OH_SOURCE_NOT_OURS;
	if (oh_stays_inside(skb, &f, reason))
		reason = OH_LOOPBACK;
	if (oh_settings.inspect && f.protocol == OH_PROTOCOL_TCP && (admission.fresh || (c && c->look != OH_LOOK_NONE)))
		oh_read_sequence(skb, &f);
	if (oh_settings.inspect && reason < OH_REASON_FIRST_REFUSAL)
		reason = oh_inspect(skb, &f, c, reason, &admission);
	reason = oh_forget_verdict(skb, &admission, reason);
	if (oh_settings.observe)
		reason = oh_let_through(skb, sk, c, &f, reason, &admission);
	if (oh_settings.ask)
		q = oh_waits_for(&f, OH_HOOK_EGRESS, reason, c ? &c->owner : NULL, admission.slot);
	if (q)
		verdict = oh_hold_back(skb, &f, c, q, admission.slot);
	else if (reason == OH_HOLD)
		verdict = oh_observes();
	else
		verdict = oh_conclude(skb, sk, c, &f, reason, &admission);
	if (!verdict && !q && reason != OH_HOLD)
		verdict = oh_answer_refused(skb, &f, c, reason);
	if (admission.slot < OH_SLOTS)
		oh_scratch_release(admission.slot);
	return verdict;
}

SEC("classifier")	/* "tc" is not known to libbpf 0.5 */
int oh_uplink_egress(struct __sk_buff *skb)
{
	return oh_pass_uplink(skb) ? OH_TC_GO_ON : oh_answer_at_uplink(skb);
}

/* How much of a frame must be readable. Of a TCP segment no payload: the stack does not join segments of which some has
 * been moved, and a download takes half as long again. */
static __always_inline __u32 oh_arrival_head(struct __sk_buff *skb)
{
	bool six = skb->protocol == bpf_htons(OH_ETH_P_IPV6);
	__u32 head = OH_ARRIVAL_HEAD;
	__u8 protocol = 0;

	if (!bpf_skb_load_bytes(skb, OH_ETHERNET + (six ? 6 : 9), &protocol, 1) && protocol == OH_PROTOCOL_TCP)
		head = OH_ETHERNET + (six ? sizeof(struct oh_ip6_header) : sizeof(struct oh_ip4_header)) +
		       OH_TCP_HEADER;
	return skb->len < head ? skb->len : head;
}

/* A driver may leave headers in unreadable pages. Not inline: learning needs the stack. */
__attribute__((noinline)) int oh_let_in_frame(struct __sk_buff *skb)
{
	__u32 head = oh_arrival_head(skb);

	if (!oh_is_linear(skb, head))
		bpf_skb_pull_data(skb, head);
	return oh_let_in(skb, (void *)(long)skb->data, (void *)(long)skb->data_end, skb->len, OH_HOOK_UPLINK_INGRESS);
}

/* Judges and learns from what comes in: here no workload or container can have forged an answer. */
SEC("classifier")
int oh_uplink_ingress(struct __sk_buff *skb)
{
	struct oh_frame *fr;

	if (!oh_let_in_frame(skb))
		return OH_TC_DROP;
	if (!oh_settings.inspect || !oh_may_be_answer(skb, OH_ETHERNET))
		return OH_TC_GO_ON;
	fr = oh_frame_start(skb, OH_STAGE_UPLINK);
	if (fr && !oh_parse(skb, OH_ETHERNET, &fr->flow))
		oh_learn(skb, &fr->flow, oh_flow_answered(&fr->flow), OH_WIRE);
	return OH_TC_GO_ON;
}

/* The same before the stack has the frame, if configured. */
SEC("xdp")
int oh_inbound(struct xdp_md *ctx)
{
	void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	return oh_let_in(ctx, at, end, end - at, OH_HOOK_INBOUND) ? XDP_PASS : XDP_DROP;
}

/* Refuses nothing. */
SEC("cgroup_skb/ingress")
int oh_ingress(struct __sk_buff *skb)
{
	struct oh_frame *fr;
	struct bpf_sock *sk;

	if (!oh_settings.inspect || skb->ifindex == OH_LOOPBACK_IFINDEX || !oh_may_be_answer(skb, 0))
		return 1;
	fr = oh_frame_start(skb, OH_STAGE_PACKET);	/* not on the stack, since learning needs most of it */
	sk = skb->sk;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (fr && !oh_parse(skb, 0, &fr->flow))
		oh_learn(skb, &fr->flow, sk ? bpf_sk_storage_get(&oh_connections, sk, NULL, 0) : NULL, 0);
	return 1;
}

/* A bound socket has its source before there is a packet. */
static __always_inline bool oh_is_attempt_own(struct bpf_sock_addr *ctx, const struct oh_flow *f)
{
	if (oh_is_listed_source(&f->source))
		return true;
	if (!oh_settings.own.known)
		return f->away;
	return oh_is_kernels_source(&f->source, 0, oh_kernel_word((void *)ctx + oh_settings.own.attempt_sock));
}

/* connect(), sendto() and sendmsg(): judged before there is a packet, so that the program learns at once. */
static __always_inline int oh_attempt(struct bpf_sock_addr *ctx, struct oh_flow *f, enum oh_stage stage,
				      enum oh_hook hook)
{
	struct oh_admission admission = {};
	struct oh_connection *c;
	struct oh_owner who = {};
	enum oh_reason reason;
	__u64 netns;
	bool bound;

	f->stage = stage;
	f->protocol = ctx->type == SOCK_STREAM ? OH_PROTOCOL_TCP : ctx->protocol;
	f->tcp_flags = OH_TCP_SYN;
	f->destination_port = bpf_ntohs((__u16)ctx->user_port);
	netns = bpf_get_netns_cookie(ctx);
	f->away = netns != (oh_settings.netns ? oh_settings.netns : bpf_get_netns_cookie(NULL));
	if (ctx->sk)
		oh_socket_source(ctx->sk, f->family == 6, &f->source);
	bound = !oh_is_unspecified(&f->source);
	if (!bound)
		f->source = (struct oh_address){};
	reason = oh_decide(f, NULL, &admission);
	if (bound && stage == OH_STAGE_CONNECT && oh_must_own_source(f, reason, &admission) &&
	    !oh_is_attempt_own(ctx, f))
		reason = OH_SOURCE_NOT_OURS;
	if (oh_may_stay_inside(f, reason))
		reason = OH_LOOPBACK;
	c = ctx->sk ? bpf_sk_storage_get(&oh_connections, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE) : NULL;
	oh_note_owner(&who);
	if (c) {
		c->owner = who;
		if (stage == OH_STAGE_CONNECT)	/* a new connection, even if TCP_REPAIR makes it without a SYN */
			c->admitted = 0;
		c->home = !f->away;
		c->netns = netns;
		if (bound)	/* by bind(), perhaps before the guard; or by an earlier connect(), which is harmless */
			c->bound = 1;
	}
	if (oh_settings.ask && c && stage == OH_STAGE_CONNECT) {
		c->asked = oh_waits_for(f, hook, reason, &who, OH_SLOTS) != NULL;
		c->refused = 0;
		if (c->asked)	/* its SYN comes to nothing but the other hooks */
			return 1;
	}
	if (reason >= OH_REASON_FIRST_REFUSAL) {
		oh_count_verdict(reason, 0);
		oh_tell(f, hook, reason, &who, OH_SLOTS);
	}
	return oh_verdict(reason);
}

static __always_inline int oh_attempt4(struct bpf_sock_addr *ctx, enum oh_stage stage, enum oh_hook hook)
{
	struct oh_flow f = { .family = 4 };

	oh_address_from_ip4(&f.destination, ctx->user_ip4);
	return oh_attempt(ctx, &f, stage, hook);
}

static __always_inline int oh_attempt6(struct bpf_sock_addr *ctx, enum oh_stage stage, enum oh_hook hook)
{
	struct oh_flow f = { .family = 6 };

	f.destination.word[0] = ctx->user_ip6[0];
	f.destination.word[1] = ctx->user_ip6[1];
	f.destination.word[2] = ctx->user_ip6[2];
	f.destination.word[3] = ctx->user_ip6[3];
	return oh_attempt(ctx, &f, stage, hook);
}

/* Refuses nothing: a server may bind to an address that comes later. But its packets are not trusted for that. */
static __always_inline int oh_note_bind(struct bpf_sock_addr *ctx, bool any)
{
	struct oh_connection *c;

	if (any || !ctx->sk)
		return 1;
	c = bpf_sk_storage_get(&oh_connections, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (c)
		c->bound = 1;
	return c != NULL;	/* no memory: the program gets EPERM */
}

SEC("cgroup/bind4")
int oh_bind4(struct bpf_sock_addr *ctx)
{
	return oh_note_bind(ctx, !ctx->user_ip4);
}

SEC("cgroup/bind6")
int oh_bind6(struct bpf_sock_addr *ctx)
{
	return oh_note_bind(ctx, !(ctx->user_ip6[0] | ctx->user_ip6[1] | ctx->user_ip6[2] | ctx->user_ip6[3]));
}

SEC("cgroup/connect4")
int oh_connect4(struct bpf_sock_addr *ctx)
{
	return oh_attempt4(ctx, OH_STAGE_CONNECT, OH_HOOK_CONNECT4);
}

SEC("cgroup/connect6")
int oh_connect6(struct bpf_sock_addr *ctx)
{
	return oh_attempt6(ctx, OH_STAGE_CONNECT, OH_HOOK_CONNECT6);
}

SEC("cgroup/sendmsg4")
int oh_sendmsg4(struct bpf_sock_addr *ctx)
{
	return oh_attempt4(ctx, OH_STAGE_SEND, OH_HOOK_SENDMSG4);
}

SEC("cgroup/sendmsg6")
int oh_sendmsg6(struct bpf_sock_addr *ctx)
{
	return oh_attempt6(ctx, OH_STAGE_SEND, OH_HOOK_SENDMSG6);
}

/* The kinds of socket whose packets the other hooks judge completely: TCP, MPTCP, UDP and ping. */
static __always_inline bool oh_is_known_socket(const struct bpf_sock *sk)
{
	if (sk->family != OH_FAMILY_INET && sk->family != OH_FAMILY_INET6)
		return false;
	if (sk->type == SOCK_STREAM)
		return sk->protocol == IPPROTO_IP || sk->protocol == OH_PROTOCOL_TCP ||
		       sk->protocol == OH_PROTOCOL_MPTCP;
	if (sk->type == SOCK_DGRAM)
		return sk->protocol == IPPROTO_IP || sk->protocol == OH_PROTOCOL_UDP ||
		       sk->protocol == OH_PROTOCOL_ICMP || sk->protocol == OH_PROTOCOL_ICMPV6;
	return false;
}

/* A network manager on the host receives router advertisements through a raw ICMPv6 socket, and drops the interface
 * without it. What it sends there is judged like any packet: rule 2 or nothing. */
static __always_inline bool oh_is_router_discovery(struct bpf_sock *sk)
{
	return sk->family == OH_FAMILY_INET6 && sk->type == SOCK_RAW && sk->protocol == OH_PROTOCOL_ICMPV6 &&
	       bpf_get_netns_cookie(sk) == bpf_get_netns_cookie(NULL);
}

SEC("cgroup/sock_create")
int oh_sock_create(struct bpf_sock *sk)
{
	struct oh_owner who = {};
	struct oh_flow f = {};

	if (oh_is_known_socket(sk) || oh_is_answerer())
		return 1;
	if (oh_is_router_discovery(sk)) {
		struct oh_connection *c = bpf_sk_storage_get(&oh_connections, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

		if (c) {	/* this distinguishes its packets from the kernel's */
			oh_note_owner(&c->owner);
			return 1;
		}
	}
	f.protocol = sk->protocol;
	oh_note_owner(&who);
	oh_count_verdict(OH_RAW_SOCKET, 0);
	oh_tell(&f, OH_HOOK_SOCK_CREATE, OH_RAW_SOCKET, &who, OH_SLOTS);
	return oh_verdict(OH_RAW_SOCKET);
}

/* Judges nothing. */
SEC("cgroup/setsockopt")
int oh_sockopt(struct bpf_sockopt *ctx)
{
	int length = oh_filter_option(ctx);

	if (length != ctx->optlen)
		ctx->optlen = length;
	return 1;
}

/* Judges nothing. */
SEC("sockops")
int oh_sock_ops(struct bpf_sock_ops *ctx)
{
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB && oh_settings.ask)
		oh_be_patient(ctx);
	else if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		oh_watch(ctx);
	else if (ctx->op == BPF_SOCK_OPS_HDR_OPT_LEN_CB)
		oh_before_segment(ctx);
	return 1;
}
