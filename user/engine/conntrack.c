// SPDX-License-Identifier: MIT
/* One request to ctnetlink: finds the entry whose replies look like this, and the source of its first packet. */
#include "engine/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/netlink.h"
#include "policy/address.h"

struct request {
	struct nlmsghdr header;
	struct nfgenmsg generic;
	char attributes[256];
};

static struct nlattr *put(struct request *q, int type, const void *data, size_t size)
{
	struct nlattr *a = (struct nlattr *)((char *)q + NLMSG_ALIGN(q->header.nlmsg_len));

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + size;
	if (size)
		memcpy((char *)a + NLA_HDRLEN, data, size);
	q->header.nlmsg_len = NLMSG_ALIGN(q->header.nlmsg_len) + NLA_ALIGN(a->nla_len);
	return a;
}

static void close_nest(struct request *q, struct nlattr *a)
{
	a->nla_len = (char *)q + q->header.nlmsg_len - (char *)a;
}

static void put_address(struct request *q, int type4, int type6, const struct oh_address *a)
{
	if (address_is_ip4(a))
		put(q, type4, a->byte + 12, 4);
	else
		put(q, type6, a->byte, 16);
}

/* In the reply, both ends are swapped. */
static void make_request(struct request *q, const struct oh_event *event)
{
	uint16_t source = htons(event->destination_port), destination = htons(event->source_port);
	struct nlattr *tuple, *part;

	q->header.nlmsg_len = NLMSG_LENGTH(sizeof(q->generic));
	q->header.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	q->header.nlmsg_flags = NLM_F_REQUEST;
	q->generic.nfgen_family = address_is_ip4(&event->source) ? AF_INET : AF_INET6;
	q->generic.version = NFNETLINK_V0;
	tuple = put(q, CTA_TUPLE_REPLY | NLA_F_NESTED, NULL, 0);
	part = put(q, CTA_TUPLE_IP | NLA_F_NESTED, NULL, 0);
	put_address(q, CTA_IP_V4_SRC, CTA_IP_V6_SRC, &event->destination);
	put_address(q, CTA_IP_V4_DST, CTA_IP_V6_DST, &event->source);
	close_nest(q, part);
	part = put(q, CTA_TUPLE_PROTO | NLA_F_NESTED, NULL, 0);
	put(q, CTA_PROTO_NUM, &event->protocol, 1);
	put(q, CTA_PROTO_SRC_PORT, &source, 2);
	put(q, CTA_PROTO_DST_PORT, &destination, 2);
	close_nest(q, part);
	close_nest(q, tuple);
}

static bool take_source(const struct nlmsghdr *header, size_t size, struct oh_address *ret)
{
	const char *at = (const char *)header + NLMSG_LENGTH(sizeof(struct nfgenmsg));
	const void *tuple, *source;

	if (size < NLMSG_LENGTH(sizeof(struct nfgenmsg)) ||
	    header->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
		return false;
	size -= NLMSG_LENGTH(sizeof(struct nfgenmsg));
	tuple = netlink_find(at, size, CTA_TUPLE_ORIG, &size);
	tuple = tuple ? netlink_find(tuple, size, CTA_TUPLE_IP, &size) : NULL;
	if (!tuple)
		return false;
	source = netlink_find(tuple, size, CTA_IP_V4_SRC, &size);
	if (source && size == 4) {
		*ret = address_from_ip4(source);
		return true;
	}
	source = netlink_find(tuple, size, CTA_IP_V6_SRC, &size);
	if (!source || size != 16)
		return false;
	memcpy(ret->byte, source, 16);
	return true;
}

bool conntrack_source(const struct oh_event *event, struct oh_address *ret)
{
	struct timeval patience = { .tv_sec = 1 };
	struct request q = { 0 };
	union {
		struct nlmsghdr header;
		char bytes[8192];
	} reply;
	struct oh_address found;
	bool known = false;
	ssize_t size;
	int fd;

	if (event->protocol != IPPROTO_TCP && event->protocol != IPPROTO_UDP)
		return false;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (fd < 0)
		return false;
	make_request(&q, event);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send(fd, &q, q.header.nlmsg_len, 0) == (ssize_t)q.header.nlmsg_len) {
		size = recv(fd, &reply, sizeof(reply), 0);
		known = size >= (ssize_t)sizeof(reply.header) && reply.header.nlmsg_len <= (size_t)size &&
			take_source(&reply.header, reply.header.nlmsg_len, &found) &&
				memcmp(&found, &event->source, sizeof(found));
	}
	close(fd);
	if (known)
		*ret = found;
	return known;
}
