// SPDX-License-Identifier: MIT
#include "base/fingerprint.h"

uint64_t fingerprint_add(uint64_t print, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		print = (print ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3;
	return print;
}
