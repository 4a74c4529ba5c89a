// SPDX-License-Identifier: MIT
/* Any bytes as an NTP request. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int plain = wire_ntp(data, (uint32_t)size, 0), nts = wire_ntp(data, (uint32_t)size, OH_NTP_NTS);

	must(plain >= 0 && plain < OH_NTP_RESULT_MAX && nts >= 0 && nts < OH_NTP_RESULT_MAX);
	if (!plain)
		must(size == 48 && (data[0] & 7) == 3 && (data[0] >> 3 & 7) >= 3 && (data[0] >> 3 & 7) <= 4 && !nts);
	if (!plain) {
		uint32_t i;

		for (i = 4; i < 40; i++)
			must(!data[i]);
		must(!wire_ntp(data, (uint32_t)size, OH_NTP_FIELDS));
	}
	if (!nts)
		must(size >= 48 && size <= OH_NTS_MAX && size % 4 == 0);
	return 0;
}
