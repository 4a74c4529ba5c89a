/* SPDX-License-Identifier: MIT */
#ifndef OHGUARD_VERSION
#define OHGUARD_VERSION "0.1.0"

/* Version, commit, and what it was built with: one line, no newline. */
extern const char version_line[];

#endif
