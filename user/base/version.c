// SPDX-License-Identifier: MIT
#include "base/version.h"

#include <ares.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

#if __has_include(<bpf/libbpf_version.h>)
#include <bpf/libbpf_version.h>
#define LIBBPF TEXT(LIBBPF_MAJOR_VERSION) "." TEXT(LIBBPF_MINOR_VERSION)
#else
#define LIBBPF "0.5 or older"
#endif

/* OHGUARD_COMMIT and OHGUARD_CLANG come from the Makefile. */
const char version_line[] = "ohguard " OHGUARD_VERSION " (commit " OHGUARD_COMMIT ", gcc " __VERSION__ ", clang "
	OHGUARD_CLANG ", libbpf " LIBBPF ", c-ares " ARES_VERSION_STR ")";
