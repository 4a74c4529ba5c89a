// SPDX-License-Identifier: MIT
#include "engine/interfaces.h"

#include <errno.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/netlink.h"

#define DEPTH_MAX 16	/* of interfaces on interfaces: the kernel allows 8 */

struct search {
	struct interfaces *found;
	bool full, by_object;	/* out of memory; a route names its next hops by a number alone */
};

static struct interface *find(const struct interfaces *all, unsigned int index)
{
	for (size_t i = 0; index && i < all->count; i++) {
		if (all->list[i].index == index)
			return &all->list[i];
	}
	return NULL;
}

static struct interface *add(struct search *s, unsigned int index)
{
	struct interfaces *w = s->found;
	struct interface *found = find(w, index), *grown;

	if (found)
		return found;
	grown = list_grow(w->list, w->count, sizeof(*grown));
	if (!grown) {
		s->full = true;
		return NULL;
	}
	w->list = grown;
	return &w->list[w->count++];
}

/* Of these the link is the other end of a cable, and not what they stand on. */
static bool is_cable(const char *kind)
{
	return !strcmp(kind, "veth") || !strcmp(kind, "netkit") || !strcmp(kind, "vxcan");
}

static bool is_hardware(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/class/net/%s/device", name);
	return !access(path, F_OK);
}

static void take_link(const void *head, const void *attributes, size_t size, void *context)
{
	const struct ifinfomsg *link = head;
	size_t length, info_size = 0, there;
	const void *info = netlink_find(attributes, size, IFLA_LINKINFO, &info_size);
	const char *name = netlink_find(attributes, size, IFLA_IFNAME, &length);
	const char *kind = info ? netlink_find(info, info_size, IFLA_INFO_KIND, &there) : NULL;
	unsigned int index = (unsigned int)link->ifi_index;
	struct interface *way = link->ifi_flags & IFF_LOOPBACK || !name ? NULL : add(context, index);

	if (!way)
		return;
	*way = (struct interface){ .index = index, .type = link->ifi_type, .up = link->ifi_flags & IFF_UP,
				   .master = netlink_number(attributes, size, IFLA_MASTER),
				   .lower = netlink_number(attributes, size, IFLA_LINK) };
	snprintf(way->name, sizeof(way->name), "%.*s", (int)length, name);
	way->hardware = is_hardware(way->name);
	/* the number of an interface in another namespace says nothing; the name of a kind ends with NUL */
	if ((kind && is_cable(kind)) || netlink_find(attributes, size, IFLA_LINK_NETNSID, &there))
		way->lower = 0;
}

static bool has_gateway(const void *attributes, size_t size)
{
	size_t ignored;

	return netlink_find(attributes, size, RTA_GATEWAY, &ignored) ||
	       netlink_find(attributes, size, RTA_VIA, &ignored);
}

static void mark(const struct search *s, unsigned int index)
{
	struct interface *way = find(s->found, index);

	if (way)
		way->routed = true;
}

/* The next hops of a multipath route. */
static void mark_hops(const struct search *s, const void *from, size_t size, bool beyond)
{
	const struct rtnexthop *hop = from;

	for (; size >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= size; hop = RTNH_NEXT(hop)) {
		size_t rest = hop->rtnh_len - sizeof(*hop), step = (size_t)RTNH_ALIGN(hop->rtnh_len);

		if (beyond || has_gateway(hop + 1, rest))
			mark(s, (unsigned int)hop->rtnh_ifindex);
		if (step > size)
			return;
		size -= step;
	}
}

/* To an address of its own as to a container's by a cable. What is no Ethernet has neighbours beyond the machine. */
static bool is_neighbour(const struct search *s, const struct rtmsg *route, unsigned int index)
{
	const struct interface *way = find(s->found, index);

	return way && way->type == ARPHRD_ETHER && route->rtm_dst_len == (route->rtm_family == AF_INET ? 32 : 128);
}

/* It leads beyond its link by a gateway, or where it is not the kernel's own, which is to a network of the interface's
 * own addresses. */
static void take_route(const void *head, const void *attributes, size_t size, void *context)
{
	const struct rtmsg *route = head;
	struct search *s = context;
	unsigned int index = netlink_number(attributes, size, RTA_OIF);
	size_t length;
	const void *hops = netlink_find(attributes, size, RTA_MULTIPATH, &length);
	bool beyond = route->rtm_protocol != RTPROT_KERNEL && !is_neighbour(s, route, index);

	if (route->rtm_type != RTN_UNICAST || route->rtm_family >= RTNL_FAMILY_IPMR ||
	    route->rtm_flags & RTM_F_CLONED)
		return;
	if (hops)
		mark_hops(s, hops, length, beyond);
	if (beyond || has_gateway(attributes, size))
		mark(s, index);
	s->by_object |= beyond && !hops && !index && netlink_number(attributes, size, RTA_NH_ID);
}

/* A next hop that routes share. One with no gateway counts where a route may mean it. */
static void take_object(const void *head, const void *attributes, size_t size, void *context)
{
	const struct search *s = context;
	size_t ignored;

	(void)head;
	if (s->by_object || netlink_find(attributes, size, NHA_GATEWAY, &ignored))
		mark(s, netlink_number(attributes, size, NHA_OIF));
}

static bool is_below(const struct interface *way, const struct interface *upper)
{
	return way->master == upper->index || (upper->lower == way->index && way != upper);
}

static bool has_hardware(const struct interfaces *all, const struct interface *way, int depth)
{
	if (way->hardware)
		return true;
	for (size_t i = 0; depth < DEPTH_MAX && i < all->count; i++) {
		if (is_below(&all->list[i], way) && has_hardware(all, &all->list[i], depth + 1))
			return true;
	}
	return false;
}

/* Down to what stands on nothing: there frames of whatever is above go by, and those of who goes round it. Of a bridge
 * with hardware among its ports, the others are containers' and VMs'. */
static void mark_lowest(const struct interfaces *all, struct interface *way, int depth)
{
	bool hardware = has_hardware(all, way, 0), lower = false;

	for (size_t i = 0; depth < DEPTH_MAX && !way->hardware && i < all->count; i++) {
		struct interface *below = &all->list[i];

		if (!is_below(below, way) || (hardware && !has_hardware(all, below, 0)))
			continue;
		mark_lowest(all, below, depth + 1);
		lower = true;
	}
	if (!lower)
		way->out = true;
}

int interfaces_find(struct interfaces *ret, struct error *e)
{
	const struct ifinfomsg links = { .ifi_family = AF_UNSPEC };
	const struct rtmsg routes = { .rtm_family = AF_UNSPEC };
	const struct nhmsg objects = { .nh_family = AF_UNSPEC };
	struct interfaces all = { 0 };
	struct search s = { .found = &all };
	int r = netlink_dump(RTM_GETLINK, &links, sizeof(links), take_link, &s, e);

	if (!r)
		r = netlink_dump(RTM_GETROUTE, &routes, sizeof(routes), take_route, &s, e);
	if (!r)
		r = netlink_dump(RTM_GETNEXTHOP, &objects, sizeof(objects), take_object, &s, e);
	if (!r && s.full)
		r = error_set(e, ENOMEM, "out of memory");
	if (r) {
		interfaces_free(&all);
		return error_prefix(e, -r, "ways out");
	}
	for (size_t i = 0; i < all.count; i++) {
		if (all.list[i].hardware || all.list[i].routed)
			mark_lowest(&all, &all.list[i], 0);
	}
	*ret = all;
	return 0;
}

void interfaces_free(struct interfaces *all)
{
	free(all->list);
	*all = (struct interfaces){ 0 };
}
