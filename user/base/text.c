// SPDX-License-Identifier: MIT
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

int text_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*text)
		return -EINVAL;
	for (const char *c = text; *c; c++) {
		if (!isdigit((unsigned char)*c))
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*c - '0'), &value))
			return -EINVAL;
	}
	if (value < min || value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

char *text_put_number(char *at, uint64_t number)
{
	char digits[20];
	size_t first = sizeof(digits);

	do {
		digits[--first] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	memcpy(at, digits + first, sizeof(digits) - first);
	return at + sizeof(digits) - first;
}

struct unit {
	char letter;	/* '\0': the end */
	uint32_t size;
};
static const struct unit seconds_units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 }, { '\0', 0 } };
static const struct unit size_units[] = { { 'G', 1 << 30 }, { 'M', 1 << 20 }, { 'k', 1 << 10 }, { '\0', 0 } };

/* A number with a unit behind it, or without. */
static int parse_with_unit(const char *text, const struct unit *units, uint64_t max, uint64_t *ret)
{
	char digits[24];
	size_t len = strlen(text);
	uint64_t unit = 1, value;

	if (!len || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len + 1);
	for (; units->letter; units++) {
		if (digits[len - 1] == units->letter) {
			unit = units->size;
			digits[len - 1] = '\0';
			break;
		}
	}
	if (text_parse_number(digits, 0, max, &value) || __builtin_mul_overflow(value, unit, &value) ||
	    value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

int text_parse_seconds(const char *text, uint64_t max, uint64_t *ret)
{
	return parse_with_unit(text, seconds_units, max, ret);
}

int text_parse_size(const char *text, uint64_t max, uint64_t *ret)
{
	return parse_with_unit(text, size_units, max, ret);
}

const char *text_seconds(uint64_t seconds, char *buffer, size_t size)
{
	const struct unit *unit = seconds_units;

	while (seconds < unit->size && unit->size > 1)
		unit++;
	snprintf(buffer, size, "%llu%c", (unsigned long long)(seconds / unit->size), unit->letter);
	return buffer;
}

const char *text_time(int64_t seconds, char buffer[TEXT_TIME_MAX])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(buffer, TEXT_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm))
		strcpy(buffer, "0000-00-00T00:00:00Z");
	return buffer;
}

/* The number that the digits at `at` make, or -1. */
static int number_at(const char *at, int count)
{
	int value = 0;

	for (int i = 0; i < count; i++) {
		if (!isdigit((unsigned char)at[i]))
			return -1;
		value = value * 10 + (at[i] - '0');
	}
	return value;
}

/* Days from 1970 to a date: years begin in March, so that a leap day is the last of its year. */
static int64_t days_to(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y % 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int text_parse_time(const char *text, int64_t *ret)
{
	static const char form[] = "....-..-..T..:..:..Z";
	int year, month, day, hour, minute, second;

	if (strlen(text) != sizeof(form) - 1)
		return -EINVAL;
	for (size_t i = 0; form[i]; i++) {
		if (form[i] != '.' && form[i] != text[i])
			return -EINVAL;
	}
	year = number_at(text, 4);
	month = number_at(text + 5, 2);
	day = number_at(text + 8, 2);
	hour = number_at(text + 11, 2);
	minute = number_at(text + 14, 2);
	second = number_at(text + 17, 2);
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 ||
	    minute > 59 || second < 0 || second > 60)
		return -EINVAL;
	*ret = days_to(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return 0;
}

bool text_is_instance(const char *text)
{
	size_t len = strlen(text);

	if (!len || len > 32)
		return false;
	for (const char *c = text; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			return false;
	}
	return true;
}

#define WORD_MAX 32

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment distance. */
static size_t distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), d[WORD_MAX + 1][WORD_MAX + 1];

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (size_t i = 0; i <= la; i++) {
		for (size_t j = 0; j <= lb; j++) {
			if (!i || !j) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[la][lb];
}

const char *text_nearest(const char *typed, const char *const *words, size_t count)
{
	/* of a short word, two letters are most of it */
	size_t nearest = strlen(typed) < 4 ? 2 : 3;
	const char *found = NULL;

	for (size_t i = 0; i < count; i++) {
		size_t n = distance(typed, words[i]);

		if (n < nearest)
			found = words[i];
		else if (n == nearest)
			found = NULL;
		nearest = least(nearest, n);
	}
	return found;
}

/* The length of the UTF-8 sequence at s, or 0 if it is none (RFC 3629: no overlong form, no surrogate). */
static size_t utf8_length(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if ((s[0] & 0xf0) == 0xe0) {
		if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
			return 0;
		if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
			return 0;
		return 3;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[3] & 0xc0) != 0x80)
			return 0;
		if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

static bool is_c1_control(const unsigned char *s)
{
	return s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f;
}

/* A character that changes the order or the lines of the text around it: U+061C, U+200E, U+200F, U+2028 to U+202E,
 * U+2066 to U+2069. */
static bool is_layout_control(const unsigned char *s)
{
	if (s[0] == 0xd8)
		return s[1] == 0x9c;
	if (s[0] != 0xe2)
		return false;
	return (s[1] == 0x80 && (s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae))) ||
	       (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9);
}

static void print_escaped(FILE *out, const char *text, const char *byte_format, bool json)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t n = utf8_length(s);

		if (!n || *s < 0x20 || *s == 0x7f || is_c1_control(s) || is_layout_control(s)) {
			/* shown byte by byte */
			fprintf(out, byte_format, *s);
			s++;
			continue;
		}
		if (json && (*s == '"' || *s == '\\'))
			fputc('\\', out);
		fwrite(s, 1, n, out);
		s += n;
	}
}

void text_print(FILE *out, const char *text)
{
	print_escaped(out, text, "\\x%02x", false);
}

void text_print_json(FILE *out, const char *text)
{
	print_escaped(out, text, "\\u%04x", true);
}
