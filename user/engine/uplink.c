// SPDX-License-Identifier: MIT
#include "engine/uplink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/interfaces.h"

bool uplink_is_in(const struct uplinks *u, unsigned int index)
{
	for (size_t i = 0; i < u->count; i++) {
		if (u->list[i].index == index)
			return true;
	}
	return false;
}

static int add(struct uplinks *u, const char *name, unsigned int index, struct error *e)
{
	if (uplink_is_in(u, index))
		return 0;
	if (u->count == UPLINKS_MAX)
		return error_set(e, E2BIG, "more than %d uplinks", UPLINKS_MAX);
	snprintf(u->list[u->count].name, OH_INTERFACE_MAX, "%s", name);
	u->list[u->count++].index = index;
	return 0;
}

int uplink_ways_out(struct uplinks *ret, struct error *e)
{
	struct uplinks found = { 0 };
	struct interfaces ways;
	int r = interfaces_find(&ways, e);

	for (size_t i = 0; !r && i < ways.count; i++) {
		const struct interface *way = &ways.list[i];

		if (!way->out)
			continue;
		if (way->type == ARPHRD_ETHER) {
			r = add(&found, way->name, way->index, e);
			if (!r)
				found.list[found.count - 1].up = way->up;
		} else if (way->up && found.other_count < UPLINKS_MAX) {
			memcpy(found.other[found.other_count++], way->name, OH_INTERFACE_MAX);
		}
	}
	interfaces_free(&ways);
	if (!r)
		*ret = found;
	return r;
}

int uplink_changes_open(void)
{
	const struct sockaddr_nl groups = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_TC |
					    RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | 1U << (RTNLGRP_NEXTHOP - 1) };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), r;

	if (fd < 0 || !bind(fd, (const struct sockaddr *)&groups, sizeof(groups)))
		return fd;
	r = errno;
	close(fd);
	errno = r;
	return -1;
}

/* ENOBUFS: more has changed than fitted into the buffer. */
void uplink_changes_drain(int fd)
{
	char message[8192];

	while (recv(fd, message, sizeof(message), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
		;
}

/* One that is named. -ENODEV: there is no such interface. */
static int find_named(const char *name, struct uplinks *u, struct error *e)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request))
		r = error_set(e, errno, "uplink %s: %s", name, strerror(errno));
	else if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		r = error_set(e, EINVAL,
			      "uplink %s: not an Ethernet interface, and frames of no other kind can be judged: "
			      "name the interface below it", name);
	else if (ioctl(fd, SIOCGIFINDEX, &request))
		r = error_set(e, errno, "uplink %s: %s", name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return r ? r : add(u, name, (unsigned int)request.ifr_ifindex, e);
}

int uplink_find(const uplink_names wanted, struct uplinks *ret, struct error *e)
{
	struct uplinks found = { 0 }, ways;
	size_t missing = 0;
	int r = 0;

	for (int i = 0; !r && i < OH_UPLINKS_MAX && *wanted[i]; i++) {
		bool none;

		if (strcmp(wanted[i], UPLINK_AUTO)) {
			r = find_named(wanted[i], &found, e);
			none = r == -ENODEV;
		} else {
			r = uplink_ways_out(&ways, e);
			none = !r && !ways.count;
			for (size_t k = 0; !r && k < ways.count; k++)
				r = add(&found, ways.list[k].name, ways.list[k].index, e);
			if (!r) {
				memcpy(found.other, ways.other, sizeof(found.other));
				found.other_count = ways.other_count;
			}
		}
		if (none) {
			memcpy(found.missing[missing++], wanted[i], OH_INTERFACE_MAX);
			r = 0;
		}
	}
	if (!r)
		*ret = found;
	return r;
}
