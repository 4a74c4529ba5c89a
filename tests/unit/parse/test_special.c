// SPDX-License-Identifier: MIT
/* The kernel side's list of addresses that answers may not hold against the user side's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "parse/special.h"
#include "policy/address.h"

static void compare(const struct oh_address *a)
{
	char text[ADDRESS_TEXT_MAX];

	if (!oh_special(a->byte) != !address_special(a, NULL))
		fail_msg("%s: %d in the kernel, %s here", address_format(a, text), oh_special(a->byte),
			 address_special(a, NULL) ? address_special(a, NULL) : "public");
}

/* First and last address of each range, and the ones beside them. */
static void edges_of_every_range_agree(void **state)
{
	static const char *const ranges[] = {
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "::/96",
		"64:ff9b:1::/48", "64:ff9b::/96", "64:ff9b::a00:0/104", "100::/64", "2001::/32", "2002::/16",
		"192.88.99.0/24", "2001:10::/28", "2001:20::/28", "2001:20::/27",
		"3fff::/20", "5f00::/16", "::ffff:0:0:0/96",
		"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
		"::ffff:0.0.0.0/96", "169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		struct oh_range r;

		assert_int_equal(range_parse(ranges[i], &r), 0);
		for (int last = 0; last < 2; last++) {
			for (int step = -1; step <= 1; step++) {
				struct oh_address a = r.address;
				int carry = step;

				for (unsigned int bit = r.prefix; last && bit < 128; bit++)
					a.byte[bit / 8] |= 0x80 >> bit % 8;
				for (int at = 15; at >= 0 && carry; at--) {
					int sum = a.byte[at] + carry;

					a.byte[at] = (unsigned char)sum;
					carry = sum > 255 ? 1 : sum < 0 ? -1 : 0;
				}
				compare(&a);
			}
		}
	}
}

static void addresses_at_random_agree(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct oh_address a = { .word = { 0, 0, 0xffff0000,
			(__u32)rand_r(&seed) << 8 ^ (__u32)rand_r(&seed) } };

		compare(&a);
		a.word[2] = 0;
		a.word[0] = i & 1 ? 0x9bff6400 : (__u32)rand_r(&seed) << 8 ^ (__u32)rand_r(&seed);
		compare(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges_of_every_range_agree),
		cmocka_unit_test(addresses_at_random_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
