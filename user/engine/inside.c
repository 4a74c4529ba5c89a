// SPDX-License-Identifier: MIT
#include "engine/inside.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/netlink.h"
#include "engine/uplink.h"
#include "policy/address.h"

struct link {
	unsigned int index, master;
	unsigned int peer;	/* the other end of a veth, in this namespace; 0: elsewhere */
	bool up, bridge;
	bool closed;		/* of a kind by which no frame leaves the machine */
	bool onward;		/* a route goes on by a gateway behind it */
	bool inside;		/* a bridge that leads to nothing else */
};

struct route {
	struct oh_range to;
	unsigned int index;	/* 0: by several ways, or another that is not told */
	bool gateway;
};

/* Arrays that grow by one. */
struct look {
	struct link *links;
	size_t link_count;
	struct route *routes;
	size_t route_count;
	struct inside_network *addresses;	/* with their networks' prefix, the bits behind it kept */
	size_t address_count;
	bool full;
};

static void *grow(void *list, size_t *count, size_t size, bool *full)
{
	void *grown = list_grow(list, *count, size);

	if (grown)
		++*count;
	else
		*full = true;
	return grown;
}

static struct link *find_link(const struct look *l, unsigned int index)
{
	for (size_t i = 0; index && i < l->link_count; i++) {
		if (l->links[i].index == index)
			return &l->links[i];
	}
	return NULL;
}

static void take_link(const void *head, const void *attributes, size_t size, void *context)
{
	const struct ifinfomsg *message = head;
	struct look *l = context;
	size_t info_size = 0, kind_size = 0, ignored;
	const void *info = netlink_find(attributes, size, IFLA_LINKINFO, &info_size);
	const char *kind = info ? netlink_find(info, info_size, IFLA_INFO_KIND, &kind_size) : NULL;
	bool veth = kind && !strcmp(kind, "veth");	/* the kernel ends it with NUL */
	struct link new = {
		.index = (unsigned int)message->ifi_index, .master = netlink_number(attributes, size, IFLA_MASTER),
		.up = message->ifi_flags & IFF_UP, .bridge = kind && !strcmp(kind, "bridge"),
		.closed = veth || (kind && (!strcmp(kind, "tun") || !strcmp(kind, "dummy"))),
	};
	struct link *grown = find_link(l, new.index);

	if (veth && !netlink_find(attributes, size, IFLA_LINK_NETNSID, &ignored))
		new.peer = netlink_number(attributes, size, IFLA_LINK);
	if (grown) {	/* it comes twice where something changed meanwhile */
		*grown = new;
		return;
	}
	grown = grow(l->links, &l->link_count, sizeof(*l->links), &l->full);
	if (!grown)
		return;
	l->links = grown;
	l->links[l->link_count - 1] = new;
}

static bool read_address(int family, const void *attributes, size_t size, int type, struct oh_address *ret)
{
	size_t length;
	const void *at = netlink_find(attributes, size, type, &length);

	if (at && family == AF_INET && length == 4)
		*ret = address_from_ip4(at);
	else if (at && family == AF_INET6 && length == sizeof(*ret))
		memcpy(ret, at, sizeof(*ret));
	else
		return false;
	return true;
}

static unsigned int whole_prefix(int family, unsigned int prefix)
{
	return (family == AF_INET ? 96 : 0) + prefix;
}

static void take_address(const void *head, const void *attributes, size_t size, void *context)
{
	const struct ifaddrmsg *message = head;
	struct look *l = context;
	struct inside_network new = { .index = message->ifa_index,
				      .range.prefix = whole_prefix(message->ifa_family, message->ifa_prefixlen) };
	struct inside_network *grown;

	if (!read_address(message->ifa_family, attributes, size, IFA_LOCAL, &new.range.address) &&
	    !read_address(message->ifa_family, attributes, size, IFA_ADDRESS, &new.range.address))
		return;
	grown = grow(l->addresses, &l->address_count, sizeof(*l->addresses), &l->full);
	if (!grown)
		return;
	l->addresses = grown;
	l->addresses[l->address_count - 1] = new;
}

/* The ways of a multipath route: whatever is among them leads on. */
static void mark_hops(const struct look *l, const void *from, size_t size)
{
	const struct rtnexthop *hop = from;

	while (size >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= size) {
		size_t step = (size_t)RTNH_ALIGN(hop->rtnh_len);
		struct link *link = find_link(l, (unsigned int)hop->rtnh_ifindex);

		if (link)
			link->onward = true;
		if (step > size)
			return;
		size -= step;
		hop = RTNH_NEXT(hop);
	}
}

static void take_route(const void *head, const void *attributes, size_t size, void *context)
{
	const struct rtmsg *message = head;
	struct look *l = context;
	struct route new = { .index = netlink_number(attributes, size, RTA_OIF) }, *grown;
	size_t length;
	const void *hops = netlink_find(attributes, size, RTA_MULTIPATH, &length);
	struct link *link = find_link(l, new.index);
	size_t ignored;

	if (message->rtm_type != RTN_UNICAST || message->rtm_flags & RTM_F_CLONED ||
	    (message->rtm_family != AF_INET && message->rtm_family != AF_INET6))
		return;
	if (hops)
		mark_hops(l, hops, length);
	new.gateway = hops || netlink_find(attributes, size, RTA_GATEWAY, &ignored) ||
		      netlink_find(attributes, size, RTA_VIA, &ignored);
	if (link)
		link->onward |= new.gateway;
	new.to.prefix = whole_prefix(message->rtm_family, message->rtm_dst_len);
	if (!message->rtm_dst_len || !read_address(message->rtm_family, attributes, size, RTA_DST, &new.to.address))
		return;	/* to anywhere: what is more exact goes before it */
	grown = grow(l->routes, &l->route_count, sizeof(*l->routes), &l->full);
	if (!grown)
		return;
	l->routes = grown;
	l->routes[l->route_count - 1] = new;
}

static int look_around(struct look *l, struct error *e)
{
	const struct ifinfomsg links = { .ifi_family = AF_UNSPEC };
	const struct ifaddrmsg addresses = { .ifa_family = AF_UNSPEC };
	const struct rtmsg routes = { .rtm_family = AF_UNSPEC };
	int r = netlink_dump(RTM_GETLINK, &links, sizeof(links), take_link, l, e);

	if (!r)
		r = netlink_dump(RTM_GETADDR, &addresses, sizeof(addresses), take_address, l, e);
	if (!r)
		r = netlink_dump(RTM_GETROUTE, &routes, sizeof(routes), take_route, l, e);
	return r ? r : l->full ? error_set(e, ENOMEM, "out of memory") : 0;
}

/* Of a veth that has both ends here, the other end must not be a port of anything. */
static bool is_closed_port(const struct look *l, const struct link *port, const struct uplinks *uplinks)
{
	const struct link *peer = find_link(l, port->peer);

	return port->closed && !(peer && peer->master) && !uplink_is_in(uplinks, port->index);
}

static bool leads_nowhere_else(const struct look *l, const struct link *bridge, const struct uplinks *uplinks)
{
	if (!bridge->bridge || !bridge->up || bridge->master || bridge->onward || uplink_is_in(uplinks, bridge->index))
		return false;
	for (size_t i = 0; i < l->link_count; i++) {
		if (l->links[i].master == bridge->index && !is_closed_port(l, &l->links[i], uplinks))
			return false;
	}
	return true;
}

/* Whether packets to a part of the network take another way, or another interface has that network too. */
static bool is_elsewhere_too(const struct look *l, const struct oh_range *network)
{
	for (size_t i = 0; i < l->route_count; i++) {
		const struct route *r = &l->routes[i];
		const struct link *link = find_link(l, r->index);

		if (link && link->inside)
			continue;
		if (range_covers(network, &r->to) || (range_covers(&r->to, network) && !r->gateway))
			return true;
	}
	return false;
}

static bool is_link_local(const struct oh_address *a)
{
	return a->byte[0] == 0xfe && (a->byte[1] & 0xc0) == 0x80;
}

static int add(struct inside *in, const struct oh_range *range, unsigned int index, struct error *e)
{
	bool full = false;
	struct inside_network *grown;

	for (size_t i = 0; i < in->count; i++) {
		if (!memcmp(&in->list[i].range, range, sizeof(*range)))
			return 0;
	}
	if (in->count == OH_INSIDE_MAX)
		return error_set(e, E2BIG, "more than %d networks and addresses on this machine", OH_INSIDE_MAX);
	grown = grow(in->list, &in->count, sizeof(*in->list), &full);
	if (!grown)
		return error_set(e, ENOMEM, "out of memory");
	in->list = grown;
	in->list[in->count - 1] = (struct inside_network){ *range, index };
	return 0;
}

/* Where the configuration names ranges, what lies in one of them. */
static int add_within(struct inside *in, const struct oh_range *range, unsigned int index,
		      const struct oh_range *within, size_t count, struct error *e)
{
	int r = count ? 0 : add(in, range, index, e);

	for (size_t i = 0; !r && i < count; i++) {
		if (range_covers(&within[i], range))
			r = add(in, range, index, e);
	}
	return r;
}

static int choose(struct look *l, const struct uplinks *uplinks, const struct oh_range *within, size_t count,
		  struct inside *in, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < l->link_count; i++) {
		struct link *link = &l->links[i];

		link->inside = in->bridge_count < OH_BRIDGES_MAX && leads_nowhere_else(l, link, uplinks);
		if (link->inside)
			in->bridges[in->bridge_count++] = link->index;
	}
	for (size_t i = 0; !r && in->bridge_count && i < l->address_count; i++) {
		const struct inside_network *a = &l->addresses[i];
		const struct link *link = find_link(l, a->index);
		struct oh_range network = a->range, own = { 128, a->range.address };

		if (is_link_local(&own.address) || address_is_loopback(&own.address))
			continue;
		range_mask(&network);
		if (link && link->inside && !is_elsewhere_too(l, &network))
			r = add_within(in, &network, a->index, within, count, e);
		if (!r)
			r = add_within(in, &own, 0, within, count, e);
	}
	return r;
}

int inside_find(const struct engine *engine, const struct oh_range *within, size_t count, struct inside *ret,
		struct error *e)
{
	struct look look = { 0 };
	struct uplinks uplinks;
	int r;

	*ret = (struct inside){ 0 };
	r = uplink_find(engine->settings.uplink, &uplinks, e);
	if (r)
		return r;
	r = look_around(&look, e);
	if (!r)
		r = choose(&look, &uplinks, within, count, ret, e);
	free(look.links);
	free(look.routes);
	free(look.addresses);
	if (r) {
		inside_free(ret);
		error_prefix(e, -r, "networks on this machine");
	}
	return r;
}

void inside_free(struct inside *inside)
{
	free(inside->list);
	*inside = (struct inside){ 0 };
}

static bool range_goes(const void *key, const void *context)
{
	const struct inside *in = context;

	for (size_t i = 0; i < in->count; i++) {
		if (!memcmp(&in->list[i].range, key, sizeof(struct oh_range)))
			return false;
	}
	return true;
}

static bool bridge_goes(const void *key, const void *context)
{
	const struct inside *in = context;

	for (size_t i = 0; i < in->bridge_count; i++) {
		if (!memcmp(&in->bridges[i], key, sizeof(in->bridges[i])))
			return false;
	}
	return true;
}

static int map_error(enum engine_map map, struct error *e)
{
	return error_set(e, errno, "%s: %s", engine_map_names[map], strerror(errno));
}

/* First what goes: a bridge that has a way out now must not stay for a failure in what comes. */
static int write_maps(const struct engine *engine, const struct inside *in, struct error *e)
{
	const __u8 one = 1;
	int r = engine_remove_keys(engine, ENGINE_BRIDGES, bridge_goes, in, e);

	if (!r)
		r = engine_remove_keys(engine, ENGINE_INSIDE, range_goes, in, e);
	for (size_t i = 0; !r && i < in->count; i++) {
		__u32 index = in->list[i].index;

		if (bpf_map_update_elem(engine->map[ENGINE_INSIDE], &in->list[i].range, &index, BPF_ANY))
			r = map_error(ENGINE_INSIDE, e);
	}
	for (size_t i = 0; !r && i < in->bridge_count; i++) {
		if (bpf_map_update_elem(engine->map[ENGINE_BRIDGES], &in->bridges[i], &one, BPF_ANY))
			r = map_error(ENGINE_BRIDGES, e);
	}
	return r;
}

int inside_publish(const struct engine *engine, const struct oh_range *within, size_t count, struct error *e)
{
	struct inside in = { 0 };
	struct error e_write;
	int r = engine->settings.inside ? inside_find(engine, within, count, &in, e) : 0;
	/* where it cannot be found out, nothing is inside */
	int r_write = write_maps(engine, &in, r ? &e_write : e);

	inside_free(&in);
	return r ? r : r_write;
}

int inside_read(const struct engine *engine, struct inside *ret, struct error *e)
{
	struct oh_range key, *from = NULL;
	int fd = engine->map[ENGINE_INSIDE], r = 0;
	__u32 index;

	*ret = (struct inside){ 0 };
	while (!r && !bpf_map_get_next_key(fd, from, &key)) {
		from = &key;
		if (!bpf_map_lookup_elem(fd, &key, &index))
			r = add(ret, &key, index, e);
	}
	if (r)
		inside_free(ret);
	return r;
}
