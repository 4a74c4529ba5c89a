/* SPDX-License-Identifier: MIT */
/* Reads a DNS answer (RFC 1035, 4.1) as hostile input. Takes only the addresses of the name that was asked for, along
 * its CNAMEs. */
#ifndef OHGUARD_ANSWER_H
#define OHGUARD_ANSWER_H

#include <ohguard/abi.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_ADDRESSES_MAX 4096

struct answer {
	struct answer_address {
		struct oh_address address;
		uint32_t ttl;		/* seconds: the shortest on the way to it, RFC 2181 section 8 for the top bit */
	} *list;
	size_t count;
};

enum answer_result {
	ANSWER_OK,		/* *ret holds the addresses: none if the name has none of this family */
	ANSWER_MALFORMED,
	ANSWER_OTHER_QUESTION,	/* not the question that was asked */
	ANSWER_LOOP,		/* a CNAME that leads back, or more than 16 of them */
	ANSWER_NXDOMAIN,
	ANSWER_SERVFAIL,
	ANSWER_REFUSED,
	ANSWER_FORMERR,		/* these two: also what resolvers say that do not know EDNS */
	ANSWER_NOTIMP,
	ANSWER_OTHER_ERROR,	/* another response code */
	ANSWER_NO_MEMORY,
	ANSWER_RESULT_MAX
};

/* name is in lower case without a last dot; family is 4 or 6. Free *ret with answer_free(). */
enum answer_result answer_read(const uint8_t *message, size_t length, const char *name, int family, struct answer *ret);
void answer_free(struct answer *a);

const char *answer_result_text(enum answer_result result);

#endif
