/* SPDX-License-Identifier: MIT */
/* A network device that is not loopback, for the context of test runs: made in a network namespace of the process's
 * own, which takes it along when it ends. Nothing is sent over it. No program is run for it: an initramfs has none. */
#ifndef OHGUARD_TEST_DEVICE_H
#define OHGUARD_TEST_DEVICE_H

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet.h"

static inline void device_attribute(struct nlmsghdr *h, unsigned short type, const void *data, unsigned short size)
{
	struct rtattr *a = (struct rtattr *)((char *)h + NLMSG_ALIGN(h->nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(a), data, size);
	h->nlmsg_len = NLMSG_ALIGN(h->nlmsg_len) + RTA_ALIGN(a->rta_len);
}

/* RTM_NEWLINK for a device of a kind that needs no further attributes. */
static inline void device_make_link(const char *kind)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
		char attributes[128];
	} request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = RTM_NEWLINK,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK },
	};
	char answer[1024];
	struct rtattr *info;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return;
	device_attribute(&request.header, IFLA_IFNAME, "ohtest0", sizeof("ohtest0"));
	info = (struct rtattr *)((char *)&request.header + NLMSG_ALIGN(request.header.nlmsg_len));
	device_attribute(&request.header, IFLA_LINKINFO, NULL, 0);
	device_attribute(&request.header, IFLA_INFO_KIND, kind, (unsigned short)strlen(kind));
	info->rta_len = (unsigned short)((char *)&request.header + request.header.nlmsg_len - (char *)info);
	if (send(fd, &request, request.header.nlmsg_len, 0) > 0)
		recv(fd, answer, sizeof(answer), 0);	/* its answer is whether there is a device now */
	close(fd);
}

/* RTM_NEWADDR. Where it fails, a test that needs the address says so. */
static inline void device_give_address(unsigned int index, unsigned char family, const void *address,
				       unsigned short size)
{
	struct {
		struct nlmsghdr header;
		struct ifaddrmsg info;
		char attributes[64];
	} request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)), .nlmsg_type = RTM_NEWADDR,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK },
		.info = { .ifa_family = family, .ifa_prefixlen = (unsigned char)(8 * size), .ifa_flags = IFA_F_NODAD,
			  .ifa_index = index },
	};
	char answer[1024];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return;
	device_attribute(&request.header, IFA_LOCAL, address, size);
	device_attribute(&request.header, IFA_ADDRESS, address, size);
	if (send(fd, &request, request.header.nlmsg_len, 0) > 0)
		recv(fd, answer, sizeof(answer), 0);
	close(fd);
}

/* The sources of the tests' packets. */
static inline void device_give_addresses(unsigned int index)
{
	const struct oh_address ip4 = packet_address(THIS_4), other = packet_address(OTHER_4);
	const struct oh_address ip6 = packet_address(THIS_6);

	device_give_address(index, AF_INET, ip4.byte + 12, 4);
	device_give_address(index, AF_INET, other.byte + 12, 4);
	device_give_address(index, AF_INET6, ip6.byte, 16);
}

/* The descriptor stays open: the device lives as long as it. */
static inline void device_make_tun(void)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		ioctl(fd, TUNSETIFF, &request);
}

static inline unsigned int device_existing(void)
{
	struct if_nameindex *list = if_nameindex();
	unsigned int found = 0;

	for (size_t i = 0; list && list[i].if_index; i++) {
		if (list[i].if_index != 1 && !found)
			found = list[i].if_index;
	}
	if (list)
		if_freenameindex(list);
	return found;
}

/* Its interface index, 0: there is none. The first call moves the process into its namespace; where no kind of
 * device can be made there, it goes back and takes one that exists. */
static inline unsigned int device_index(void)
{
	static const char *const kinds[] = { "veth", "dummy", "ifb", "bridge" };
	static unsigned int index;
	int home;

	if (index)
		return index;
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0 || unshare(CLONE_NEWNET)) {
		index = device_existing();
		return index;
	}
	for (size_t i = 0; !index && i < sizeof(kinds) / sizeof(*kinds); i++) {
		device_make_link(kinds[i]);
		index = device_existing();
	}
	if (!index) {
		device_make_tun();
		index = device_existing();
	}
	if (!index && !setns(home, CLONE_NEWNET))
		index = device_existing();
	close(home);
	if (index)
		device_give_addresses(index);
	return index;
}

#endif
