/* SPDX-License-Identifier: MIT */
/* Tables for eyes: text that is cut or padded to a width, in columns of a terminal. */
#ifndef OHGUARD_CELLS_H
#define OHGUARD_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The width of the terminal that standard output is, or 0: it is none. */
size_t cells_terminal(void);

/* Prints text (UTF-8 without control characters) in exactly `width` columns. */
void cells_print(FILE *out, const char *text, size_t width);

/* Colours, or "" where standard output is no terminal or NO_COLOR is set (no-color.org). */
const char *cells_red(void);
const char *cells_yellow(void);
const char *cells_plain(void);

#endif
