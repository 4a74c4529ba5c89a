// SPDX-License-Identifier: MIT
/* NTP requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "unit/parse/host.h"

static uint8_t packet[OH_NTS_MAX + 8];

/* A request as chrony sends it, with one byte changed. */
static int with(uint32_t at, uint8_t value, uint32_t flags)
{
	memset(packet, 0, sizeof(packet));
	packet[0] = 0x23;
	packet[2] = 6;
	packet[3] = 0x20;
	memset(packet + OH_NTP_TRANSMIT, 0xa5, 8);
	packet[at] = value;
	return wire_ntp(packet, OH_NTP_SIZE, flags);
}

static void first_byte_decides(void **state)
{
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		int leap = byte >> 6, version = byte >> 3 & 7, mode = byte & 7;
		int expect = mode != 3 ? OH_NTP_MODE
			     : version != 3 && version != 4 ? OH_NTP_VERSION
			     : leap == 1 || leap == 2 ? OH_NTP_FIELD : OH_NTP_OK;

		assert_int_equal(with(0, (uint8_t)byte, 0), expect);
	}
}

static void field_is_zero_or_means_something(void **state)
{
	(void)state;
	for (uint32_t at = 4; at < OH_NTP_TRANSMIT; at++) {
		assert_int_equal(with(at, 1, 0), OH_NTP_FIELD);
		assert_int_equal(with(at, 0x80, 0), OH_NTP_FIELD);
		assert_int_equal(with(at, 1, OH_NTP_FIELDS), OH_NTP_OK);
	}
	assert_int_equal(with(1, 1, 0), OH_NTP_FIELD);
	assert_int_equal(with(1, 1, OH_NTP_FIELDS), OH_NTP_OK);
	assert_int_equal(with(2, 17, 0), OH_NTP_OK);
	assert_int_equal(with(2, 18, 0), OH_NTP_FIELD);
	assert_int_equal(with(2, 0xfa, 0), OH_NTP_OK);
	assert_int_equal(with(2, 0xf9, 0), OH_NTP_FIELD);
	assert_int_equal(with(3, 0xe0, 0), OH_NTP_OK);
	assert_int_equal(with(3, 0xdf, 0), OH_NTP_FIELD);
	assert_int_equal(with(3, 33, 0), OH_NTP_FIELD);
	for (uint32_t at = OH_NTP_TRANSMIT; at < OH_NTP_SIZE; at++)
		assert_int_equal(with(at, 0, 0), OH_NTP_OK);
}

static void length_is_exact(void **state)
{
	(void)state;
	assert_int_equal(with(0, 0x23, 0), OH_NTP_OK);
	for (uint32_t len = 0; len < sizeof(packet); len++)
		assert_int_equal(wire_ntp(packet, len, 0), len == OH_NTP_SIZE ? OH_NTP_OK : OH_NTP_LENGTH);
}

struct field {
	uint16_t type, size;
};

/* A request with extension fields, then spare bytes. */
static int nts(const struct field *fields, int count, uint32_t spare, uint32_t flags)
{
	uint32_t at = OH_NTP_SIZE;

	with(0, 0x23, 0);
	for (int i = 0; i < count; i++) {
		packet[at] = (uint8_t)(fields[i].type >> 8);
		packet[at + 1] = (uint8_t)fields[i].type;
		packet[at + 2] = (uint8_t)(fields[i].size >> 8);
		packet[at + 3] = (uint8_t)fields[i].size;
		at += fields[i].size;
	}
	return wire_ntp(packet, at + spare, flags);
}

static void nts_fields_are_of_nts_and_fill_the_packet(void **state)
{
	const struct field good[] = {{0x104, 36}, {0x204, 104}, {0x304, 104}, {0x404, 40}};
	const struct field no_end[] = {{0x104, 36}, {0x204, 104}};
	const struct field no_start[] = {{0x204, 104}, {0x404, 40}};
	const struct field other[] = {{0x104, 36}, {0x2005, 104}, {0x404, 40}};
	const struct field after[] = {{0x104, 36}, {0x404, 40}, {0x204, 104}};
	const struct field twice[] = {{0x104, 36}, {0x404, 40}, {0x404, 40}};
	const struct field odd[] = {{0x104, 34}, {0x404, 40}};
	const struct field tiny[] = {{0x104, 12}, {0x404, 40}};
	struct field many[14] = {{0x104, 16}};

	(void)state;
	for (int i = 1; i < 14; i++)
		many[i] = (struct field){0x304, 16};
	assert_int_equal(nts(good, 4, 0, OH_NTP_NTS), OH_NTP_OK);
	assert_int_equal(nts(good, 4, 0, 0), OH_NTP_LENGTH);
	assert_int_equal(nts(good, 4, 4, OH_NTP_NTS), OH_NTP_EXTENSION);
	assert_int_equal(nts(good, 4, 16, OH_NTP_NTS), OH_NTP_EXTENSION);
	assert_int_equal(nts(no_end, 2, 0, OH_NTP_NTS), OH_NTP_EXTENSION);
	assert_int_equal(nts(no_start, 2, 0, OH_NTP_NTS), OH_NTP_EXTENSION);
	assert_int_equal(nts(other, 3, 0, OH_NTP_NTS), OH_NTP_EXTENSION);
	assert_int_equal(nts(after, 3, 0, OH_NTP_NTS), OH_NTP_EXTENSION);
	assert_int_equal(nts(twice, 3, 0, OH_NTP_NTS), OH_NTP_EXTENSION);
	assert_int_equal(nts(odd, 2, 0, OH_NTP_NTS), OH_NTP_EXTENSION);
	assert_int_equal(nts(tiny, 2, 0, OH_NTP_NTS), OH_NTP_EXTENSION);
	many[11].type = 0x404;
	assert_int_equal(nts(many, 12, 0, OH_NTP_NTS), OH_NTP_OK);
	many[11].type = 0x304;
	many[12].type = 0x404;
	assert_int_equal(nts(many, 13, 0, OH_NTP_NTS), OH_NTP_EXTENSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_byte_decides),
		cmocka_unit_test(field_is_zero_or_means_something),
		cmocka_unit_test(length_is_exact),
		cmocka_unit_test(nts_fields_are_of_nts_and_fill_the_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
