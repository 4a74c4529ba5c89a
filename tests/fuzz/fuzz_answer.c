// SPDX-License-Identifier: MIT
/*
 * Any bytes as a DNS answer to a query that mostly fits: compared with a slow
 * reading of the same message that shares no code with it.
 */
#include "fuzz.h"

struct name {
	uint8_t wire[256];
	uint32_t len; /* 0: broken */
};

/* The name at pos, decompressed and lower-cased. */
static void decompress(const uint8_t *m, uint32_t len, uint32_t pos, struct name *ret)
{
	uint32_t start = pos, i;

	ret->len = 0;
	for (;;) {
		uint32_t n;

		if (pos >= len)
			break;
		n = m[pos];
		if (n >= 0xc0) {
			if (pos + 2 > len)
				break;
			n = (n & 0x3f) << 8 | m[pos + 1];
			if (n < 12 || n >= start)
				break;
			pos = start = n;
			continue;
		}
		if (n > 63 || ret->len + 1 + n > 255 || pos + 1 + n > len)
			break;
		for (i = 0; i <= n; i++) {
			uint8_t c = m[pos + i];

			ret->wire[ret->len++] = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
		}
		if (!n)
			return;
		pos += n + 1;
	}
	ret->len = 0;
}

static int equal(const struct name *a, const struct name *b)
{
	return a->len && a->len == b->len && !memcmp(a->wire, b->wire, a->len);
}

/* Where the record after the one at pos begins, and that one's type and rdata. */
static uint32_t record(const uint8_t *m, uint32_t len, uint32_t pos, uint32_t *type, uint32_t *rdata, uint32_t *ttl)
{
	while (pos < len && m[pos] && m[pos] < 0xc0)
		pos += m[pos] + 1;
	pos += pos < len && m[pos] ? 2 : 1;
	if (pos + 10 > len)
		return 0;
	*type = m[pos] << 8 | m[pos + 1];
	*ttl = (uint32_t)m[pos + 4] << 24 | m[pos + 5] << 16 | m[pos + 6] << 8 | m[pos + 7];
	*rdata = pos + 10;
	return pos + 10 + (m[pos + 8] << 8 | m[pos + 9]);
}

struct entry {
	struct name owner, target;
	uint32_t type, rdata, size, ttl, best; /* best: the longest life of its target, 0 if not reached */
	int reached;
};

static struct entry entries[64];

/* All records, and for each CNAME whether a way leads from the question to its target. */
static uint32_t read_all(const uint8_t *m, uint32_t len, uint32_t pos, const struct name *asked)
{
	uint32_t count = m[6] << 8 | m[7], n, i, j, again = 1;

	for (n = 0; n < count && n < 64; n++) {
		struct entry *e = &entries[n];

		decompress(m, len, pos, &e->owner);
		pos = record(m, len, pos, &e->type, &e->rdata, &e->ttl);
		must(pos && pos <= len);
		e->ttl = e->ttl >> 31 ? 0 : e->ttl;
		e->size = pos - e->rdata;
		e->reached = 0;
		e->best = 0;
		if (e->type == 5)
			decompress(m, len, e->rdata, &e->target);
	}
	while (again) {
		again = 0;
		for (i = 0; i < n; i++) {
			for (j = 0; j <= n && entries[i].type == 5; j++) {
				const struct name *from = j == n ? asked : &entries[j].target;
				uint32_t life = j == n ? ~0U : entries[j].best;

				if (j < n && (entries[j].type != 5 || !entries[j].reached))
					continue;
				life = life < entries[i].ttl ? life : entries[i].ttl;
				if ((entries[i].reached && life <= entries[i].best) || !equal(&entries[i].owner, from))
					continue;
				entries[i].reached = 1;
				entries[i].best = life;
				again = 1;
			}
		}
	}
	return n;
}

/* Whether a record gives this address under a name that the question leads to, for as long. */
static int given(const uint8_t *m, uint32_t n, const struct name *asked, const struct oh_dns_addr *a)
{
	uint32_t size = a->family == 4 ? 4 : 16, i, j;

	for (i = 0; i < n; i++) {
		const struct entry *e = &entries[i];

		if (e->type != (size == 4 ? 1 : 28) || e->size != size || e->ttl < a->ttl ||
			memcmp(m + e->rdata, a->addr, size))
			continue;
		if (equal(&e->owner, asked))
			return 1;
		for (j = 0; j < n; j++)
			if (entries[j].type == 5 && entries[j].reached && entries[j].best >= a->ttl &&
			    equal(&e->owner, &entries[j].target))
				return 1;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oh_scratch *s = oh_scratch(0);
	struct oh_dns_addr first[OH_ANSWER_RECORDS];
	struct oh_dns_pending asked;
	struct name question;
	uint32_t i, n, count;
	int r;

	wire_pending_for(data, (uint32_t)size, &asked);
	wire_dirty(0, size);
	r = wire_answer(data, (uint32_t)size, &asked);
	n = s->addrs;
	memcpy(first, s->addr, sizeof(first));
	wire_dirty(0xff, size);
	must(wire_answer(data, (uint32_t)size, &asked) == r && s->addrs == n);
	must(r >= 0 && r < OH_ANSWER_RESULT_MAX && n <= OH_ANSWER_RECORDS && (r == 0 || n == 0));
	for (i = 1; r == 0 && i < s->links; i++) {	/* where it leads: a name that is its own rule */
		struct oh_name_key key;
		char text[OH_KEY_DATA + 2];

		if (!oh_read_name(s->link[i].name, 0))
			continue;
		oh_key_to_text(oh_key(s), text);
		must(!oh_key_from_text(&key, text) && key.prefixlen == oh_key(s)->prefixlen &&
		     oh_key_covers(&key, oh_key(s)));
	}
	if (!n)
		return 0;
	decompress(data, (uint32_t)size, 12, &question);
	count = read_all(data, (uint32_t)size, 16 + asked.name_len, &question);
	for (i = 0; i < n; i++) {
		/* pad is no one's */
		must(first[i].ttl == s->addr[i].ttl && first[i].family == s->addr[i].family);
		must(!memcmp(first[i].addr, s->addr[i].addr, 16) && !(first[i].ttl >> 31));
		must(given(data, count, &question, &first[i]));
	}
	return 0;
}
