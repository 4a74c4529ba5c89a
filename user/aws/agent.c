// SPDX-License-Identifier: MIT
#include "aws/agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REGISTRY "ghcr.io/openhands/"
#define LETTER "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"
#define DIGEST "@sha256:"

/* The images that have one port and take their settings as openhands-run and openhands-settings give them. */
static const char *const images[] = { "agent-canvas", "agent-server" };

int agent_parse_image(const char *value, char ret[192], struct error *e)
{
	const char *colon = strchr(value, ':'), *digest = strstr(value, DIGEST), *name = images[0], *version = value;
	size_t version_len, hex = digest ? strspn(digest + strlen(DIGEST), DIGIT "abcdef") : 0;

	if (colon && (!digest || colon < digest)) {
		name = NULL;
		version = colon + 1;
		for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++) {
			if (strlen(images[i]) == (size_t)(colon - value) &&
			    !strncmp(value, images[i], strlen(images[i])))
				name = images[i];
		}
	}
	if (!name)
		return error_set(e, EINVAL, "openhands = %s: expected VERSION@sha256:DIGEST of %s, or agent-server:"
				 "VERSION@sha256:DIGEST for the one without a web page", value, images[0]);
	version_len = strcspn(version, "@");
	if (!version_len || version_len > 40 || strspn(version, LETTER DIGIT "._-") != version_len ||
	    strspn(version, DIGIT) == 0)
		return error_set(e, EINVAL, "openhands = %s: expected VERSION@sha256:DIGEST, with a version like "
				 "1.24.0", value);
	if (!strncmp(version, "0.", 2))
		return error_set(e, EINVAL, "openhands = %s: the 0.x line has ended, and takes no key from here: "
				 "write VERSION@sha256:DIGEST of a newer %s%s", value, REGISTRY, name);
	if (!digest || hex != 64 || digest[strlen(DIGEST) + hex])
		return error_set(e, EINVAL, "openhands = %s: a tag can be made to name another image: add @sha256: and "
				 "the 64 digits that `docker buildx imagetools inspect " REGISTRY "%s:%.*s` prints as "
				 "Digest", value, name, (int)version_len, version);
	snprintf(ret, 192, "%s:%s", name, version);
	return 0;
}
