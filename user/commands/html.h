/* SPDX-License-Identifier: MIT */
/* Pieces of the page that `report` writes. */
#ifndef OHGUARD_HTML_H
#define OHGUARD_HTML_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Text from outside: control characters as text_print() has them, and nothing that HTML reads. */
void html_text(FILE *out, const char *text);

void html_begin(FILE *out, const char *title);
void html_end(FILE *out);

/* A chart of counts over time; labels: of its first and last column. */
void html_columns(FILE *out, const uint64_t *counts, size_t count, const char *first, const char *last);

/* One bar of a list between html_bars_begin() and html_bars_end(): its length is value of most. */
void html_bars_begin(FILE *out, const char *title);
void html_bar(FILE *out, const char *text, uint64_t value, uint64_t most);
void html_bars_end(FILE *out);

#endif
