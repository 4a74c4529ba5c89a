// SPDX-License-Identifier: MIT
#include "base/version.h"

#include <ares.h>
#include <bpf/libbpf_version.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

/* OHGUARD_COMMIT and OHGUARD_CLANG come from the Makefile. */
const char version_line[] = "ohguard " OHGUARD_VERSION " (commit " OHGUARD_COMMIT ", gcc " __VERSION__ ", clang "
	OHGUARD_CLANG ", libbpf " TEXT(LIBBPF_MAJOR_VERSION) "." TEXT(LIBBPF_MINOR_VERSION) ", c-ares "
	ARES_VERSION_STR ")";
