/* SPDX-License-Identifier: MIT */
#ifndef OHGUARD_VERSION
#define OHGUARD_VERSION "0.1.0"
#endif
