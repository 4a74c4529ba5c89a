// SPDX-License-Identifier: MIT
/* c-ares marks the calls that all its versions have in common as deprecated from 1.28 on. */
#define CARES_NO_DEPRECATED
#include "names/resolve.h"

#include <ares.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/list.h"
#include "policy/address.h"

#define UNDER_WAY_MAX 64	/* from about 200 on a resolver loses queries, and each costs a time-out */
#define TIMEOUT_MS 2000
#define TRIES 2
#define UDP_SIZE 1232		/* fits one packet on any path: DNS flag day 2020 */

static const char not_asked[] = "not asked";
static const char silence[] = "no answer (timeout)", unreachable[] = "resolver not reachable";

enum { TYPE_A = 1, TYPE_AAAA = 28, CLASS_IN = 1 };

struct resolver {
	ares_channel channel;
	struct pollfd *sockets;
	size_t socket_count;
	bool failed;		/* no memory for a socket: give up, since no answer can come */
	size_t under_way;
};

struct asked {
	struct resolver *resolver;
	struct resolve_query *query;
};

/* c-ares calls this to tell which sockets it waits on, and for what. */
static void socket_changed(void *data, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = data;
	size_t i = 0;

	while (i < r->socket_count && r->sockets[i].fd != fd)
		i++;
	if (!readable && !writable) {
		if (i < r->socket_count)
			r->sockets[i] = r->sockets[--r->socket_count];
		return;
	}
	if (i == r->socket_count) {
		struct pollfd *grown = list_grow(r->sockets, r->socket_count, sizeof(*grown));

		if (!grown) {
			r->failed = true;
			return;
		}
		r->sockets = grown;
		r->socket_count++;
	}
	r->sockets[i] = (struct pollfd){
		.fd = fd, .events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0))
	};
}

bool resolve_was_silent(const char *failure)
{
	return !strcmp(failure, silence) || !strcmp(failure, unreachable);
}

static const char *failure_of(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return silence;
	case ARES_ECONNREFUSED:
		return unreachable;
	case ARES_EBADRESP:
	case ARES_EFORMERR:
		return answer_result_text(ANSWER_MALFORMED);
	case ARES_ESERVFAIL:
		return answer_result_text(ANSWER_SERVFAIL);
	case ARES_EREFUSED:
		return answer_result_text(ANSWER_REFUSED);
	case ARES_ENOTFOUND:
		return answer_result_text(ANSWER_NXDOMAIN);
	case ARES_ENOMEM:
		return answer_result_text(ANSWER_NO_MEMORY);
	}
	return answer_result_text(ANSWER_OTHER_ERROR);
}

static void answered(void *data, int status, int timeouts, unsigned char *message, int length)
{
	struct asked *asked = data;
	struct resolve_query *q = asked->query;

	(void)timeouts;
	asked->resolver->under_way--;
	/* c-ares takes an answer without the wanted record for an error: answer_read() decides that */
	if (message && length > 0) {
		enum answer_result result = answer_read(message, (size_t)length, q->name, q->family, &q->answer);

		q->failure = result == ANSWER_OK ? NULL : answer_result_text(result);
	} else {
		q->failure = failure_of(status);
	}
	free(asked);
}

static void ask(struct resolver *r, struct resolve_query *q)
{
	struct asked *asked = malloc(sizeof(*asked));

	if (!asked) {
		q->failure = answer_result_text(ANSWER_NO_MEMORY);
		return;
	}
	*asked = (struct asked){ .resolver = r, .query = q };
	r->under_way++;
	ares_query(r->channel, q->name, CLASS_IN, q->family == 4 ? TYPE_A : TYPE_AAAA, answered, asked);
}

static int wait_and_process(struct resolver *r)
{
	struct pollfd ready[64];
	struct timeval limit = { .tv_sec = 1 }, left, *until = ares_timeout(r->channel, &limit, &left);
	size_t n = r->socket_count;
	int timeout = (int)(until->tv_sec * 1000 + (until->tv_usec + 999) / 1000);

	if (n > sizeof(ready) / sizeof(*ready))
		n = sizeof(ready) / sizeof(*ready);
	if (n)	/* a copy: processing changes the list */
		memcpy(ready, r->sockets, n * sizeof(*ready));
	if (poll(ready, n, timeout) < 0 && errno != EINTR)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		ares_socket_t in = ready[i].revents & ~POLLOUT ? ready[i].fd : ARES_SOCKET_BAD;
		ares_socket_t out = ready[i].revents & POLLOUT ? ready[i].fd : ARES_SOCKET_BAD;

		if (ready[i].revents)
			ares_process_fd(r->channel, in, out);
	}
	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);	/* time-outs */
	return 0;
}

static int open_channel(struct resolver *r, const struct oh_address *resolvers, size_t count, bool plain,
			struct error *e)
{
	struct ares_options options = {
		/* NOCHECKRESP: else c-ares takes a SERVFAIL for a dead resolver, and reports that */
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_STAYOPEN | ARES_FLAG_NOCHECKRESP |
			 (plain ? 0 : ARES_FLAG_EDNS),
		.timeout = TIMEOUT_MS,
		.tries = plain ? 1 : TRIES,
		.ednspsz = UDP_SIZE,
		.lookups = (char *)"b",
		.sock_state_cb = socket_changed,
		.sock_state_cb_data = r,
	};
	char list[CONFIG_RESOLVERS_MAX * (ADDRESS_TEXT_MAX + 4)] = "";
	int status = ares_init_options(&r->channel, &options, ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
				       ARES_OPT_EDNSPSZ | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS)
		return error_set(e, EIO, "c-ares does not start: %s", ares_strerror(status));
	for (size_t i = 0; i < count; i++) {
		char text[ADDRESS_TEXT_MAX];
		size_t used = strlen(list);

		snprintf(list + used, sizeof(list) - used, "%s%s", i ? "," : "", address_format(&resolvers[i], text));
	}
	status = ares_set_servers_csv(r->channel, list);
	if (status != ARES_SUCCESS) {
		ares_destroy(r->channel);
		return error_set(e, EINVAL, "resolvers '%s': %s", list, ares_strerror(status));
	}
	return 0;
}

static bool failed_by(const struct resolve_query *q, enum answer_result result)
{
	return q->failure == answer_result_text(result);
}

static bool is_new(const struct resolve_query *q)
{
	return q->failure == not_asked;
}

/* True if another resolver may know better. After a time-out c-ares itself has tried each of them. */
static bool another_may_know(const struct resolve_query *q)
{
	return failed_by(q, ANSWER_SERVFAIL) || failed_by(q, ANSWER_REFUSED) || failed_by(q, ANSWER_FORMERR) ||
	       failed_by(q, ANSWER_NOTIMP) || failed_by(q, ANSWER_OTHER_ERROR);
}

/* True if the resolver may not know EDNS. c-ares asks again too, but by a switch that its queries share. */
static bool edns_may_be_disliked(const struct resolve_query *q)
{
	return failed_by(q, ANSWER_FORMERR) || failed_by(q, ANSWER_NOTIMP);
}

static bool is_silence(const struct resolve_query *q)
{
	return q->failure == silence;
}

/* Asks the resolvers in order for those queries that are wanted; plain: without EDNS. */
static int ask_round(const struct oh_address *resolvers, size_t resolver_count,
		     bool (*wanted)(const struct resolve_query *q), bool plain, struct resolve_query *queries,
		     size_t count, struct error *e)
{
	struct resolver r = { 0 };
	size_t next = 0;
	int result = open_channel(&r, resolvers, resolver_count, plain, e);

	if (result)
		return result;
	while (next < count || r.under_way) {
		for (; next < count && r.under_way < UNDER_WAY_MAX; next++) {
			if (wanted(&queries[next]))
				ask(&r, &queries[next]);
		}
		if (!r.under_way)
			continue;
		result = r.failed ? -ENOMEM : wait_and_process(&r);
		if (result) {
			error_set(e, -result, "resolving: %s", strerror(-result));
			break;
		}
	}
	ares_destroy(r.channel);	/* queries under way end as failures */
	free(r.sockets);
	return result;
}

int resolve_all(const struct oh_address *resolvers, size_t resolver_count, struct resolve_query *queries, size_t count,
		struct error *e)
{
	struct oh_address order[CONFIG_RESOLVERS_MAX * 2];
	bool silent = true;
	int result;

	for (size_t i = 0; i < count; i++) {
		queries[i].failure = not_asked;
		queries[i].answer = (struct answer){ 0 };
	}
	if (!count)
		return 0;
	result = ares_library_init(ARES_LIB_INIT_ALL);
	if (result)
		return error_set(e, EIO, "c-ares does not start: %s", ares_strerror(result));
	for (size_t i = 0; i < resolver_count; i++)
		order[i] = order[i + resolver_count] = resolvers[i];
	for (size_t i = 0; !result && i < resolver_count; i++)
		result = ask_round(order + i, resolver_count, i ? another_may_know : is_new, false, queries, count, e);
	for (size_t i = 0; i < count; i++)
		silent &= is_silence(&queries[i]);
	if (!result)	/* one answer shows that silence is not for EDNS */
		result = ask_round(order, resolver_count, silent ? is_silence : edns_may_be_disliked, true, queries,
				   count, e);
	ares_library_cleanup();
	return result;
}
