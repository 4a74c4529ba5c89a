// SPDX-License-Identifier: MIT
#include "engine/uplink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

bool uplink_is_in(const struct uplinks *u, unsigned int index)
{
	for (size_t i = 0; i < u->count; i++) {
		if (u->list[i].index == index)
			return true;
	}
	return false;
}

/* One that does not exist is not added, and no error. */
static int add(struct uplinks *u, const char *name, struct error *e)
{
	unsigned int index = if_nametoindex(name);

	if (!index && errno != ENODEV && errno != ENXIO)
		return error_set(e, errno, "uplink %s: %s", name, strerror(errno));
	if (!index || uplink_is_in(u, index) || u->count == UPLINKS_MAX)
		return 0;
	snprintf(u->list[u->count].name, OH_INTERFACE_MAX, "%s", name);
	u->list[u->count++].index = index;
	return 0;
}

static bool leads_out(const char *name, unsigned int flags)
{
	return (flags & (RTF_UP | RTF_REJECT)) == RTF_UP && strcmp(name, "lo");
}

static bool is_default4(const char *line, char name[OH_INTERFACE_MAX])
{
	unsigned long destination, mask;
	unsigned int flags;

	return sscanf(line, "%15s %lx %*x %x %*d %*d %*d %lx", name, &destination, &flags, &mask) == 4 &&
	       !destination && !mask && leads_out(name, flags);
}

static bool is_default6(const char *line, char name[OH_INTERFACE_MAX])
{
	unsigned int flags, prefix, source;

	return sscanf(line, "%*32s %x %*32s %x %*32s %*x %*x %*x %x %15s", &prefix, &source, &flags, name) == 4 &&
	       !prefix && leads_out(name, flags);
}

static int read_routes(const char *path, bool (*is_default)(const char *line, char name[OH_INTERFACE_MAX]),
		       struct uplinks *u, struct error *e)
{
	char line[512], name[OH_INTERFACE_MAX];
	FILE *f = fopen(path, "re");
	int r = 0;

	if (!f)	/* a kernel without IPv6 has none */
		return errno == ENOENT ? 0 : error_set(e, errno, "%s: %s", path, strerror(errno));
	while (!r && fgets(line, sizeof(line), f)) {
		if (is_default(line, name))
			r = add(u, name, e);
	}
	if (!r && ferror(f))
		r = error_set(e, EIO, "%s: %s", path, strerror(EIO));
	fclose(f);
	return r;
}

int uplink_default_routes(struct uplinks *ret, struct error *e)
{
	int r;

	*ret = (struct uplinks){ 0 };
	r = read_routes("/proc/net/route", is_default4, ret, e);
	return r ? r : read_routes("/proc/net/ipv6_route", is_default6, ret, e);
}

int uplink_changes_open(void)
{
	const struct sockaddr_nl groups = { .nl_family = AF_NETLINK,
					    .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), r;

	if (fd < 0 || !bind(fd, (const struct sockaddr *)&groups, sizeof(groups)))
		return fd;
	r = errno;
	close(fd);
	errno = r;
	return -1;
}

/* ENOBUFS: more has changed than there was room for. */
void uplink_changes_drain(int fd)
{
	char message[8192];

	while (recv(fd, message, sizeof(message), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
		;
}

static int check_ethernet(const char *name, struct error *e)
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
	if (fd >= 0)
		close(fd);
	return r;
}

int uplink_find(const uplink_names wanted, struct uplinks *ret, struct error *e)
{
	struct uplinks found = { 0 };
	size_t missing = 0;
	int r = 0;

	for (int i = 0; !r && i < OH_UPLINKS_MAX && *wanted[i]; i++) {
		struct uplinks routes = { 0 };

		r = !strcmp(wanted[i], UPLINK_AUTO) ? uplink_default_routes(&routes, e) : add(&routes, wanted[i], e);
		for (size_t k = 0; !r && k < routes.count; k++) {
			const char *name = routes.list[k].name;

			r = check_ethernet(name, e);
			if (!r) {
				r = add(&found, name, e);
			} else if (r == -ENODEV) {	/* it went meanwhile */
				r = 0;
			} else if (r == -EINVAL && !strcmp(wanted[i], UPLINK_AUTO)) {
				memcpy(found.other, name, OH_INTERFACE_MAX);
				r = 0;
			}
		}
		if (!routes.count)
			memcpy(found.missing[missing++], wanted[i], OH_INTERFACE_MAX);
	}
	if (!r)
		*ret = found;
	return r;
}
