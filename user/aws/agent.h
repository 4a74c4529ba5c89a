/* SPDX-License-Identifier: MIT */
/* OpenHands as [stack] names it. */
#ifndef OHGUARD_AWS_AGENT_H
#define OHGUARD_AWS_AGENT_H

#include "base/error.h"

/* Takes `openhands = [NAME:]VERSION@sha256:DIGEST` apart: ret is NAME:VERSION@sha256:DIGEST. Refused is what cannot
 * work, with what to write instead. */
int agent_parse_image(const char *value, char ret[192], struct error *e);

#endif
