// SPDX-License-Identifier: MIT
#include "guard/remarks.h"

#include <stdarg.h>
#include <stdio.h>

void remark(struct remarks *r, const char *format, ...)
{
	va_list args;

	if (r->count == REMARKS_MAX)
		return;
	va_start(args, format);
	vsnprintf(r->list[r->count++], sizeof(r->list[0]), format, args);
	va_end(args);
}
