// SPDX-License-Identifier: MIT
#include "commands/html.h"

#include <stdlib.h>

#include "base/text.h"

/* Wide text wraps, and nothing is wider than the screen: a phone shows one column. */
static const char style[] =
	":root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#1c2330;--soft:#5c6675;--line:#dfe3e9;"
	"--bar:#c2410c;--good:#15803d;--bad:#b91c1c}\n"
	"@media(prefers-color-scheme:dark){:root{--back:#12161d;--card:#1b212b;--text:#e6e9ef;--soft:#9aa5b5;"
	"--line:#2c3542;--bar:#fb923c;--good:#4ade80;--bad:#f87171}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0;padding:16px;background:var(--back);color:var(--text);font:15px/1.45 system-ui,sans-serif}\n"
	"main{max-width:1100px;margin:0 auto;display:grid;gap:16px;"
	"grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr))}\n"
	"header,section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px;"
	"min-width:0}\n"
	"header,.wide{grid-column:1/-1}\n"
	"h1{margin:0 0 4px;font-size:22px}h2{margin:0 0 10px;font-size:16px}\n"
	"p{margin:4px 0}.soft{color:var(--soft)}.good{color:var(--good)}.bad{color:var(--bad)}\n"
	"svg{display:block;width:100%;height:auto}svg .column{fill:var(--bar)}svg .base{stroke:var(--line)}\n"
	"ol{list-style:none;margin:0;padding:0}li{margin:0 0 8px}\n"
	".row{display:flex;gap:12px;justify-content:space-between}.row span{overflow-wrap:anywhere;min-width:0}\n"
	".row b{font-variant-numeric:tabular-nums}\n"
	".bar{height:6px;border-radius:3px;background:var(--bar);min-width:2px}\n"
	"table{width:100%;border-collapse:collapse;font-size:14px}\n"
	"th{text-align:left;color:var(--soft);font-weight:500}\n"
	"th,td{padding:5px 8px 5px 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere;vertical-align:top}\n"
	"td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
	"td:nth-child(2){min-width:5.5em}td.n:nth-child(2){min-width:0}\n"
	"@media(max-width:600px){body{padding:8px}.late{display:none}}\n";

void html_text(FILE *out, const char *text)
{
	char *plain = NULL;
	size_t size;
	FILE *f = open_memstream(&plain, &size);

	if (!f)
		return;
	text_print(f, text);
	fclose(f);
	for (const char *c = plain; c && *c; c++) {
		switch (*c) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			fputc(*c, out);
		}
	}
	free(plain);
}

void html_begin(FILE *out, const char *title)
{
	fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	      /* nothing is fetched and nothing runs, whatever a name may hold */
	      "<meta http-equiv=\"Content-Security-Policy\" "
	      "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	      "<title>", out);
	html_text(out, title);
	fprintf(out, "</title>\n<style>\n%s</style></head><body><main>\n", style);
}

void html_end(FILE *out)
{
	fputs("</main></body></html>\n", out);
}

void html_columns(FILE *out, const uint64_t *counts, size_t count, const char *first, const char *last)
{
	uint64_t most = 1;

	for (size_t i = 0; i < count; i++)
		most = counts[i] > most ? counts[i] : most;
	fprintf(out, "<svg viewBox=\"0 0 %zu 120\" preserveAspectRatio=\"none\" role=\"img\" "
		"aria-label=\"refusals over time, at most %llu in one column\" style=\"height:160px\">\n",
		count * 10, (unsigned long long)most);
	for (size_t i = 0; i < count; i++) {
		double height = 112.0 * (double)counts[i] / (double)most;

		if (counts[i])
			fprintf(out, "<rect class=\"column\" x=\"%zu\" y=\"%.1f\" width=\"8\" height=\"%.1f\">"
				"<title>%llu</title></rect>\n", i * 10 + 1, 118 - (height < 2 ? 2 : height),
				height < 2 ? 2 : height, (unsigned long long)counts[i]);
	}
	fprintf(out, "<line class=\"base\" x1=\"0\" y1=\"119\" x2=\"%zu\" y2=\"119\"/></svg>\n"
		"<p class=\"row soft\"><span>%s</span><span>most in one column: %llu</span><span>%s</span></p>\n",
		count * 10, first, (unsigned long long)most, last);
}

void html_bars_begin(FILE *out, const char *title)
{
	fprintf(out, "<section><h2>%s</h2><ol>\n", title);
}

void html_bar(FILE *out, const char *text, uint64_t value, uint64_t most)
{
	fputs("<li><div class=\"row\"><span>", out);
	html_text(out, text);
	fprintf(out, "</span><b>%llu</b></div><div class=\"bar\" style=\"width:%.1f%%\"></div></li>\n",
		(unsigned long long)value, 100.0 * (double)value / (double)(most ? most : 1));
}

void html_bars_end(FILE *out)
{
	fputs("</ol></section>\n", out);
}
