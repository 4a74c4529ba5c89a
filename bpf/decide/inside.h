/* SPDX-License-Identifier: GPL-2.0-only */
/* Part of rule 1: packets to a network on this machine, or from there to the machine itself. An address alone does not
 * prove that, since routes and sockets bound to a device lead elsewhere. So the packet must leave over the network's
 * own bridge, which user space found to have no way out: directly, or through a container's veth that is a port of it.
 * This is checked only for what would be refused, so that nothing else gets slower. */
#ifndef OHGUARD_BPF_INSIDE_H
#define OHGUARD_BPF_INSIDE_H

#include "decide/kernel_memory.h"
#include "maps.h"

#define OH_KIND_VETH 0x68746576		/* "veth", as its bytes stand in memory */

/* Whether a device, struct net_device, is in the network namespace that the guard was loaded from. */
static __always_inline bool oh_is_home_device(__u64 device)
{
	__u64 net = oh_kernel_word((void *)(device + oh_settings.own.device_net));

	return net && oh_kernel_number((void *)(net + oh_settings.links.net_inode)) == oh_settings.netns_inode;
}

static __always_inline bool oh_is_veth(__u64 device)
{
	__u64 operations = oh_kernel_word((void *)(device + oh_settings.links.device_link_ops));
	__u64 kind = operations ? oh_kernel_word((void *)(operations + oh_settings.links.link_ops_kind)) : 0;

	return kind && oh_kernel_number((void *)kind) == OH_KIND_VETH && !(oh_kernel_number((void *)(kind + 4)) & 0xff);
}

/* The interface, in the guard's namespace, that carries what leaves by a device: the device itself if it is there;
 * otherwise the bridge that a veth's peer is a port of. 0: none, or unknown. A global function of scalars: the verifier
 * checks it once. */
__attribute__((noinline)) int oh_leads_to(__u64 device)
{
	__u64 first, upper;

	if (!oh_settings.links.known || !device)
		return 0;
	if (!oh_is_home_device(device)) {
		if (!oh_is_veth(device))
			return 0;
		/* struct veth_priv begins with the peer */
		device = oh_kernel_word((void *)(device + oh_settings.links.device_private));
		if (!device || !oh_is_home_device(device))
			return 0;
		/* the master is the first of several */
		first = oh_kernel_word((void *)(device + oh_settings.links.device_uppers));
		if (!first || first == device + oh_settings.links.device_uppers)
			return 0;
		upper = first - oh_settings.links.adjacent_list;
		device = oh_kernel_word((void *)(upper + oh_settings.links.adjacent_device));
		if (!device)
			return 0;
	}
	return oh_kernel_number((void *)(device + oh_settings.links.device_index));
}

#define OH_OUTSIDE (~0ULL)

/* The bridge of the local network that has the address; 0: it is an own address, asked for from a container;
 * OH_OUTSIDE. */
__attribute__((noinline)) __u64 oh_find_inside(__u64 high, __u64 low)
{
	const struct oh_range range = { .prefix = 128, .address.word = { high, high >> 32, low, low >> 32 } };
	const __u32 *bridge = NULL;

	if (oh_settings.inside && oh_settings.links.known)
		bridge = bpf_map_lookup_elem(&oh_inside, &range);
	return bridge ? *bridge : OH_OUTSIDE;
}

static __always_inline __u64 oh_bridge_of(const struct oh_address *a)
{
	return oh_find_inside(oh_high(a), oh_low(a));
}

/* Refusals by destination. Refusals by kind, and of the metadata service, stand inside too. */
static __always_inline bool oh_is_for_place(enum oh_reason reason)
{
	return (reason >= OH_ADDRESS_NOT_ALLOWED && reason <= OH_DNS_RESOLVER_NOT_ALLOWED) ||
	       reason == OH_NTP_SERVER_NOT_ALLOWED;
}

/* connect() and sendmsg() know no device yet: their packets do. */
static __always_inline bool oh_may_stay_inside(const struct oh_flow *f, enum oh_reason reason)
{
	return oh_is_for_place(reason) && oh_bridge_of(&f->destination) != OH_OUTSIDE;
}

/* Over the network's own bridge, where routes do not matter; the machine itself over any device. */
static __always_inline bool oh_stays_inside(struct __sk_buff *skb, const struct oh_flow *f, enum oh_reason reason)
{
	__u64 device = 0, bridge;
	__u32 over;

	if (!oh_settings.inside || !oh_settings.links.known || !oh_is_for_place(reason))
		return false;
	bridge = oh_bridge_of(&f->destination);
	if (bridge == OH_OUTSIDE ||
	    bpf_probe_read_kernel(&device, sizeof(device), (void *)skb + oh_settings.own.skb_device))
		return false;
	over = oh_leads_to(device);
	return over && (!bridge || bridge == over) && bpf_map_lookup_elem(&oh_bridges, &over);
}

#endif
