/* Any bytes as a first flight: a name that is found stands in it, behind its length, and no prefix of it decided otherwise. */
#include "fuzz.h"

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* One record: the plain case, where the name is in one piece. */
static int holds(const uint8_t *data, size_t size, const char *text)
{
	size_t n = strlen(text), i, j;

	for (i = 0; i + n + 3 <= size; i++) {
		if (data[i] != 0 || (size_t)(data[i + 1] << 8 | data[i + 2]) != n)
			continue;
		for (j = 0; j < n && lower(data[i + 3 + j]) == (uint8_t)text[j]; j++)
			;
		if (j == n)
			return 1;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oh_scratch *s = oh_scratch(0);
	char text[OH_KEY_DATA + 2], again[OH_KEY_DATA + 2];
	struct oh_name_key key;
	size_t record;
	int r, half;

	wire_dirty(0, size);
	r = wire_hello(data, (uint32_t)size);
	if (!r)
		oh_key_to_text(oh_key(s), text);
	wire_dirty('a', size);
	must(wire_hello(data, (uint32_t)size) == r);
	must(r >= 0 && r < OH_HELLO_RESULT_MAX && r != OH_HELLO_READ && r != OH_HELLO_MORE);
	if (r)
		return 0;
	oh_key_to_text(oh_key(s), again);
	must(!strcmp(text, again) && !oh_key_from_text(&key, text) && oh_key_covers(&key, oh_key(s)));
	must(data[0] == 22 && data[1] == 3 && data[5] == 1);
	record = 5 + (size_t)(data[3] << 8 | data[4]);
	must(record > 5 + 3 ? record - 5 != 4u + (data[6] << 16 | data[7] << 8 | data[8]) || holds(data, record, text) : 1);
	/* Less of it is to be waited for, never a verdict; more after it changes nothing. */
	half = wire_hello(data, (uint32_t)(record <= size ? record / 2 : size / 2));
	must(half == OH_HELLO_INCOMPLETE);
	return 0;
}
