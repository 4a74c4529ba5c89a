/* SPDX-License-Identifier: MIT */
/* OpenHands as [stack] names it: which image, and which address it asks. */
#ifndef OHGUARD_AWS_AGENT_H
#define OHGUARD_AWS_AGENT_H

#include "base/error.h"

/* Takes `openhands = [NAME:]VERSION@sha256:DIGEST` apart: ret is NAME:VERSION@sha256:DIGEST. Refused is what cannot
 * work, with what to write instead. */
int agent_parse_image(const char *value, char ret[192], struct error *e);

/* The host of base-url, which is all that the agent may reach. -EINVAL if it is not https://NAME/PATH on port 443. */
int agent_parse_url(const char *url, char *host, unsigned long size);

#endif
