/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_checksum.c - the Internet checksum against the definition, at every alignment.
 */
#include "tests/host/support.h"

#include <string.h>

#include "lib/types.h"
#include "net/lwip_port/arch/cc.h"

/* RFC 1071, section 1: 16-bit words, ones' complement, an odd byte padded with zero. */
static uint16_t by_definition(const uint8_t *p, unsigned len)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < len; i++) {
		sum += (uint32_t)p[i] << (i % 2 ? 8 : 0);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static void checksum_of_the_rfcs_example(void **state)     /* RFC 1071, section 3 */
{
	static const uint8_t bytes[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	(void)state;
	assert_int_equal(lwip_port_checksum(bytes, sizeof(bytes)), 0xf2dd);
}

static void checksum_of_any_length_and_alignment(void **state)
{
	static uint8_t bytes[1600];
	uint32_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		seed = seed * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(seed >> 24);
	}
	for (unsigned from = 0; from < 9; from++)
		for (unsigned len = 0; len <= 1514; len++)
			if (lwip_port_checksum(bytes + from,
			                       (int)len) != by_definition(bytes + from, len))
				fail_msg("%u bytes from %u", len, from);
}

static void checksum_carries_come_back(void **state)
{
	static uint8_t ones[1500];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (unsigned len = 1; len <= sizeof(ones); len++)
		assert_int_equal(lwip_port_checksum(ones, (int)len), by_definition(ones, len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum_of_the_rfcs_example),
		cmocka_unit_test(checksum_of_any_length_and_alignment),
		cmocka_unit_test(checksum_carries_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
