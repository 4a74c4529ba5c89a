/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a packet's source belongs to its sender. IP_TRANSPARENT, and for IPv6 IP_FREEBIND without any privilege, let
 * a socket send from any source: an allowed server's answer would then carry bits to the owner of that address. A
 * socket's options prove nothing, since they can be reset. So the kernel's lists of a network namespace's addresses are
 * read: they are always current, also in a container. */
#ifndef OHGUARD_BPF_SOURCE_H
#define OHGUARD_BPF_SOURCE_H

#include "decide/decide.h"
#include "decide/kernel_memory.h"

#define OH_SOURCE_DEVICES 64	/* walked per network namespace, and addresses per device */
#define OH_SOURCE_ADDRESSES 64

/* Whether the address at `at`, as the kernel stores it, has these halves; see oh_lookup_in(). A global function of
 * scalars, like the next: the verifier checks it once, and not for each step of a list. */
__attribute__((noinline)) int oh_is_stored(__u64 at, __u32 six, __u64 high, __u64 low)
{
	__u64 half[2] = {};

	if (!oh_settings.own.known)	/* nor has a program that helper then, where the kernel is locked down */
		return 0;
	if (!six) {
		__u32 ip4 = 0;

		return !bpf_probe_read_kernel(&ip4, sizeof(ip4), (const void *)at) && ip4 == low >> 32;
	}
	return !bpf_probe_read_kernel(half, sizeof(half), (const void *)at) && half[0] == high && half[1] == low;
}

/* Whether a device, struct net_device, has an address. */
__attribute__((noinline)) int oh_device_has(__u64 device, __u64 high, __u64 low)
{
	bool six = high || (__u32)low != bpf_htonl(0xffff);
	const volatile struct oh_kernel_list *list = &oh_settings.own.list[six];
	__u64 at, end, link = list->link, value = list->value, next = list->next;

	if (!oh_settings.own.known || !device)
		return 0;
	at = oh_kernel_word((void *)device + list->device);
	if (!at)
		return 0;
	at += list->first;
	end = six ? at : 0;
	for (int i = 0; i < OH_SOURCE_ADDRESSES; i++) {
		__u64 entry = oh_kernel_word((void *)at);

		if (!entry || entry == end)
			return 0;
		entry -= link;
		if (oh_is_stored(entry + value, six, high, low))
			return 1;
		at = entry + next;
	}
	return 0;
}

/* Whether any device in the network namespace of a socket, or without a socket in that of a device, has an address. */
__attribute__((noinline)) int oh_namespace_has(__u64 device, __u64 sock, __u64 high, __u64 low)
{
	const void *net;	/* where the namespace stands */
	__u64 devices, next;

	if (!oh_settings.own.known || (!device && !sock))
		return 0;
	net = sock ? (void *)sock + oh_settings.own.sock_net : (void *)device + oh_settings.own.device_net;
	devices = oh_kernel_word(net) + oh_settings.own.net_devices;
	next = devices;
	for (int i = 0; i < OH_SOURCE_DEVICES; i++) {
		next = oh_kernel_word((void *)next);
		if (!next || next == devices)
			return 0;
		if (oh_device_has(next - oh_settings.own.device_next, high, low))
			return 1;
	}
	return 0;
}

static __always_inline bool oh_is_unspecified(const struct oh_address *a)
{
	return !a->word[0] && !a->word[1] && (!a->word[2] || a->word[2] == bpf_htonl(0xffff)) && !a->word[3];
}

/* All fields are read before one is chosen: otherwise the compiler would read through a pointer, which the verifier
 * refuses. */
static __always_inline void oh_socket_source(const struct bpf_sock *sk, bool six, struct oh_address *ret)
{
	__u32 ip4 = OH_MEM(sk->src_ip4);

	for (int i = 0; i < 4; i++)
		ret->word[i] = OH_MEM(sk->src_ip6[i]);
	if (!six)
		oh_address_from_ip4(ret, ip4);
}

/* Whether the kernel chose the source for the socket. It almost always did, and then no other check is needed. A socket
 * that was never bound gets an address only by connect(). */
static __always_inline bool oh_is_chosen(const struct bpf_sock *sk, const struct oh_connection *c,
					 const struct oh_flow *f)
{
	struct oh_address own;

	if (!sk || !c || OH_MEM(c->bound))
		return false;
	oh_socket_source(sk, f->family == 6, &own);
	return oh_address_equal(&own, &f->source);
}

/* Whether a source is unspecified, as before a host has an address, or one of the host's at the last publish. Checked
 * first: reading the kernel's memory costs several times as much. */
static __always_inline bool oh_is_listed_source(const struct oh_address *a)
{
	return oh_is_unspecified(a) || bpf_map_lookup_elem(&oh_local, a);
}

/* Whether a device, or the network namespace of it or of a socket, has that source. Each may be 0. */
static __always_inline bool oh_is_kernels_source(const struct oh_address *a, __u64 device, __u64 sock)
{
	__u64 high = oh_high(a), low = oh_low(a);

	return oh_device_has(device, high, low) || oh_namespace_has(device, sock, high, low);
}

static __always_inline bool oh_is_source_own(struct __sk_buff *skb, const struct oh_flow *f, bool home)
{
	__u64 device, sock = 0;

	if (oh_is_listed_source(&f->source))
		return true;
	if (!oh_settings.own.known)
		return !home;	/* a container's addresses cannot be seen: `status` says so */
	device = oh_kernel_word((void *)skb + oh_settings.own.skb_device);
	if (f->socket)
		sock = oh_kernel_word((void *)skb + oh_settings.own.skb_sock);
	return oh_is_kernels_source(&f->source, device, sock);
}

/* Whether the rule that admitted f leaves open who gets its answer. Asked once per connection, whose later packets have
 * the same source. Not asked: what stays here; answers to neighbour discovery, which stay on the link; and segments of
 * a socket's inbound connection, which exists only by a packet that came to its address. */
static __always_inline bool oh_must_own_source(const struct oh_flow *f, enum oh_reason reason,
					       const struct oh_admission *admission)
{
	if (reason >= OH_REASON_FIRST_REFUSAL || reason == OH_LOOPBACK || (admission->target && !admission->fresh))
		return false;
	if (reason == OH_INBOUND_REPLY)
		return !f->socket || f->forwarded;
	return reason != OH_HOST_NEED || f->protocol == OH_PROTOCOL_UDP;
}

#endif
