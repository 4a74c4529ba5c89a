// SPDX-License-Identifier: MIT
#include "base/netlink.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_MAX 65536		/* the kernel fills 32 kB at most */
#define TRIES 10

const void *netlink_find(const void *from, size_t size, int type, size_t *ret_size)
{
	const char *at = from;

	while (size >= NLA_HDRLEN) {
		const struct nlattr *a = (const struct nlattr *)at;
		size_t step = NLA_ALIGN(a->nla_len);

		if (a->nla_len < NLA_HDRLEN || a->nla_len > size)
			return NULL;
		if ((a->nla_type & NLA_TYPE_MASK) == type) {
			*ret_size = a->nla_len - NLA_HDRLEN;
			return at + NLA_HDRLEN;
		}
		if (step > size)
			return NULL;
		at += step;
		size -= step;
	}
	return NULL;
}

uint32_t netlink_number(const void *from, size_t size, int type)
{
	size_t length;
	const void *at = netlink_find(from, size, type, &length);
	uint32_t number = 0;

	if (at && length == sizeof(number))
		memcpy(&number, at, sizeof(number));
	return number;
}

struct dump {
	int protocol, request, answer;
	size_t size;		/* bytes of the request */
	size_t head;		/* bytes of the structure at the head of each entry */
	netlink_take *take;
	void *context;
};

/* 1: there is more to come, 0: that was all, -EINTR: it changed meanwhile, or another negative errno. */
static int take_messages(const struct dump *d, const char *reply, size_t size)
{
	bool changed = false;

	for (const struct nlmsghdr *h = (const struct nlmsghdr *)reply; NLMSG_OK(h, size); h = NLMSG_NEXT(h, size)) {
		size_t length = h->nlmsg_len - NLMSG_HDRLEN, head = NLMSG_ALIGN(d->head);
		int code = 0;

		changed |= h->nlmsg_flags & NLM_F_DUMP_INTR;
		if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
			if (length >= sizeof(code))
				memcpy(&code, NLMSG_DATA(h), sizeof(code));
			return code ? code : changed ? -EINTR : 0;
		}
		if (h->nlmsg_type == d->answer && length >= head)
			d->take(NLMSG_DATA(h), (const char *)NLMSG_DATA(h) + head, length - head, d->context);
	}
	return changed ? -EINTR : 1;
}

static int dump_once(const struct dump *d, int fd, const void *request, char *reply)
{
	struct {
		struct nlmsghdr header;
		char request[128];
	} message = { .header = { .nlmsg_len = NLMSG_LENGTH(d->size), .nlmsg_type = (uint16_t)d->request,
				  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	ssize_t size;
	int r = 1;

	memcpy(message.request, request, d->size);
	if (send(fd, &message, message.header.nlmsg_len, 0) < 0)
		return -errno;
	while (r == 1) {
		size = recv(fd, reply, REPLY_MAX, MSG_TRUNC);
		if (size < 0)
			return -errno;
		r = size > REPLY_MAX ? -EMSGSIZE : take_messages(d, reply, (size_t)size);
	}
	return r;
}

static int dump(const struct dump *d, const void *request, struct error *e)
{
	char *reply = malloc(REPLY_MAX);
	int r = -EINTR;

	/* A socket a try: what is left of an answer that was given up goes with it. */
	for (int i = 0; reply && i < TRIES && r == -EINTR; i++) {
		int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, d->protocol);

		r = fd < 0 ? -errno : dump_once(d, fd, request, reply);
		if (fd >= 0)
			close(fd);
	}
	if (!reply)
		r = -ENOMEM;
	free(reply);
	return r ? error_set(e, -r, "netlink: %s", strerror(-r)) : 0;
}

int netlink_dump(int request, const void *head, size_t head_size, netlink_take *take, void *context, struct error *e)
{
	/* RTM_NEWLINK answers RTM_GETLINK, and so on */
	const struct dump d = { .protocol = NETLINK_ROUTE, .request = request, .answer = request - 2, .size = head_size,
				.head = head_size, .take = take, .context = context };

	return dump(&d, head, e);
}

int netlink_sockets(const void *request, size_t size, netlink_take *take, void *context, struct error *e)
{
	const struct dump d = { .protocol = NETLINK_SOCK_DIAG, .request = SOCK_DIAG_BY_FAMILY,
				.answer = SOCK_DIAG_BY_FAMILY, .size = size, .head = sizeof(struct inet_diag_msg),
				.take = take, .context = context };

	return dump(&d, request, e);
}
