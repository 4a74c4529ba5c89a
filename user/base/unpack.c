// SPDX-License-Identifier: MIT
#include "base/unpack.h"

#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

void *unpack(const unsigned char *start, const unsigned char *end, size_t max, size_t *ret_size)
{
	/* cppcheck-suppress comparePointers */
	z_stream z = { .next_in = (Bytef *)start, .avail_in = (uInt)(end - start) };
	Bytef *out = malloc(max), *fitting;
	bool whole;

	if (!out || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {	/* 16: a gzip header */
		free(out);
		return NULL;
	}
	z.next_out = out;
	z.avail_out = (uInt)max - 1;
	whole = inflate(&z, Z_FINISH) == Z_STREAM_END;
	*ret_size = z.total_out;
	inflateEnd(&z);
	fitting = whole ? realloc(out, *ret_size + 1) : NULL;
	if (fitting)
		fitting[*ret_size] = '\0';
	else
		free(out);
	return fitting;
}
