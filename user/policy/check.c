// SPDX-License-Identifier: MIT
#include "policy/check.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	__u16 port;	/* 0: the target's own */
} kinds[CHECK_KINDS] = {
	[CHECK_DNS] = { "dns", 53 }, [CHECK_HTTPS] = { "https", 0 }, [CHECK_HTTP] = { "http", 80 },
	[CHECK_TCP] = { "tcp", 0 }, [CHECK_NTP] = { "ntp", 123 }, [CHECK_PING] = { "ping", 0 },
};

int check_parse(const char *text, bool works, struct check *ret, struct error *e)
{
	size_t length = strcspn(text, " ");
	const char *what = text + length + strspn(text + length, " ");
	struct check c = { .works = works, .kind = CHECK_KINDS };
	int r = 0;

	for (int kind = 0; kind < CHECK_KINDS; kind++) {
		if (strlen(kinds[kind].name) == length && !strncmp(text, kinds[kind].name, length))
			c.kind = (enum check_kind)kind;
	}
	if (c.kind == CHECK_KINDS)
		return error_set(e, EINVAL, "'%s' does not begin with dns, https, http, tcp, ntp or ping", text);
	c.any = c.kind == CHECK_NTP && !*what;
	if (!c.any && !*what)
		return error_set(e, EINVAL, "'%s': what is missing behind it", text);
	if (!c.any)
		r = target_parse(what, &c.target, e);
	if (r)
		return r;
	if (!c.any && c.target.kind != TARGET_NAME && (c.target.kind != TARGET_ADDRESS || c.kind == CHECK_DNS))
		return error_set(e, EINVAL, "'%s': expected one name%s", text,
				 c.kind == CHECK_DNS ? "" : " or address");
	if (c.kind == CHECK_PING && c.target.kind != TARGET_ADDRESS)
		return error_set(e, EINVAL, "'%s': expected an address", text);
	if (kinds[c.kind].port)
		c.target.port = kinds[c.kind].port;
	*ret = c;
	return 0;
}

const char *check_format(const struct check *c, char buffer[CHECK_TEXT_MAX])
{
	char text[OH_TARGET_TEXT_MAX];
	bool port = c->kind == CHECK_TCP || (c->kind == CHECK_HTTPS && c->target.port != TARGET_PORT_DEFAULT);

	if (c->any)
		*text = '\0';
	else if (port)
		target_identity(&c->target, text);
	else
		target_format(&c->target, text);
	snprintf(buffer, CHECK_TEXT_MAX, "%s%s%s", kinds[c->kind].name, *text ? " " : "", text);
	return buffer;
}
