// SPDX-License-Identifier: MIT
#include "base/reason.h"

#include <stddef.h>

static const struct {
	const char *name, *text;
} reasons[OH_REASON_MAX] = {
#define OH_REASON(number, symbol, name, text) [number] = { name, text },
	OH_REASONS
#undef OH_REASON
};

const char *reason_name(unsigned int reason)
{
	return reason < OH_REASON_MAX ? reasons[reason].name : NULL;
}

const char *reason_text(unsigned int reason)
{
	return reason < OH_REASON_MAX ? reasons[reason].text : NULL;
}
