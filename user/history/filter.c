// SPDX-License-Identifier: MIT
#include "history/filter.h"

#include <fnmatch.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "policy/address.h"

static bool matches(const char *pattern, const char *text, int flags)
{
	return !pattern || (text && !fnmatch(pattern, text, flags));
}

static bool is_container(const char *wanted, const struct history_record *r)
{
	if (!wanted)
		return true;
	if (!r->container)
		return false;
	/* a whole id is longer than what is kept of it */
	return !strncmp(r->container, wanted, strlen(r->container)) ||
	       !strncmp(r->container, wanted, strlen(wanted)) || matches(wanted, r->container_name, 0);
}

static bool is_wanted(const char *pattern, const struct history_record *r)
{
	char address[ADDRESS_TEXT_MAX];

	if (!pattern || r->name)
		return matches(pattern, r->name, FNM_CASEFOLD);
	return history_address_is_set(&r->destination) &&
	       matches(pattern, address_format(&r->destination, address), FNM_CASEFOLD);
}

bool history_takes(const struct history_filter *f, const struct history_record *r)
{
	if ((f->since && r->last < f->since) || (f->until && r->first > f->until) ||
	    (f->reason && r->reason != f->reason))
		return false;
	if (f->address && memcmp(f->address, &r->destination, sizeof(*f->address)))
		return false;
	return is_wanted(f->wanted, r) && matches(f->command, r->command, 0) &&
	       is_container(f->container, r);
}

static bool read_local(const char *text, int64_t now, int64_t *ret)
{
	static const char *const forms[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M:%S", "%H:%M" };
	time_t t = (time_t)now;

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct tm tm;
		const char *end;

		if (!localtime_r(&t, &tm))
			return false;
		tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
		tm.tm_isdst = -1;
		end = strptime(text, forms[i], &tm);
		if (end && !*end) {
			*ret = (int64_t)mktime(&tm);
			return *ret >= 0;
		}
	}
	return false;
}

int history_parse_time(const char *text, int64_t now, int64_t *ret, struct error *e)
{
	int length = (int)strlen(text);
	char span[32];
	uint64_t ago;

	if (length > 4 && !strcmp(text + length - 4, " ago"))
		length -= 4;
	snprintf(span, sizeof(span), "%.*s", length, text);
	if (length < (int)sizeof(span) && !text_parse_seconds(span, 100ULL * 365 * 86400, &ago)) {
		*ret = now > (int64_t)ago ? now - (int64_t)ago : 1;
		return 0;
	}
	if (!text_parse_time(text, ret) || read_local(text, now, ret))
		return 0;
	return error_set(e, EINVAL, "%s: no time: write how long ago (30m, 2h, 1d), 14:30, 2026-11-28 or "
			 "\"2026-11-28 14:30\"", text);
}

int history_parse_reason(const char *text, uint8_t *ret, struct error *e)
{
	uint8_t reason = history_reason(text, 0);

	if (reason < OH_REASON_FIRST_REFUSAL || reason == OH_REASON_MAX)
		return error_set(e, EINVAL, "%s: no reason of a refusal: REASONS in ohguard(8) lists them", text);
	*ret = reason;
	return 0;
}
