// SPDX-License-Identifier: MIT
/* Any bytes as a DNS query: what passes must be nothing but header, question and EDNS, and the same whatever the
 * scratch held. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oh_scratch *s = oh_scratch(0);
	struct oh_dns_pending first;
	struct oh_name_key key;
	char text[OH_KEY_DATA + 2];
	uint32_t i, name;
	int r;

	wire_dirty(0, size);
	r = wire_query(data, (uint32_t)size);
	first = s->query;
	wire_dirty('a', size);
	must(wire_query(data, (uint32_t)size) == r);
	must(r >= 0 && r < OH_DNS_RESULT_MAX);
	if (r)
		return 0;
	must(s->query.name_len == first.name_len && !memcmp(s->query.name, first.name, first.name_len));
	name = s->query.name_len;
	must(size >= 16 + name && name >= 1 && name <= 255);
	must((data[2] & ~1) == 0 && (data[3] & ~0x30) == 0 && data[5] == 1 && data[11] <= 1);
	must(size == 16 + name || (data[11] == 1 && size >= 27 + name && data[18 + name] == 41));
	must(data[12 + name - 1] == 0 && s->query.id == (data[0] << 8 | data[1]));
	if (name == 1)
		return 0;
	/* The key, read forwards, is the question's text; and it is its own exact rule. */
	memcpy(&key, oh_key(s), sizeof(key));
	must(key.prefixlen == (name - 1) * 8);
	oh_key_to_text(&key, text);
	must(strlen(text) == name - 2);
	for (i = 0; i < name - 2; i++)
		must(text[i] == '.' ||
			text[i] == (data[13 + i] | (data[13 + i] >= 'A' && data[13 + i] <= 'Z' ? 0x20 : 0)));
	must(!oh_key_from_text(&key, text) && oh_key_covers(&key, oh_key(s)) && key.prefixlen == oh_key(s)->prefixlen);
	return 0;
}
