/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_endpoint.c - addresses as people write them, right and wrong.
 */
#include "tests/host/support.h"

#include <string.h>

#include "net/endpoint.h"

static void endpoint_splits_host_and_port(void **state)
{
	static const struct { const char *text, *host; uint16_t port; } cases[] = {
		{ "10.77.0.12",                 "10.77.0.12", 7700 },
		{ "10.77.0.12:80",              "10.77.0.12", 80 },
		{ "10.77.0.12:65535",           "10.77.0.12", 65535 },
		{ "fe80::1",                    "fe80::1",    7700 },
		{ "[fe80::1]",                  "fe80::1",    7700 },
		{ "[fe80::1]:1",                "fe80::1",    1 },
		{ "1111:2222:3333:4444:5555:6666:7777:8888",
		  "1111:2222:3333:4444:5555:6666:7777:8888", 7700 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct endpoint e;

		if (endpoint_parse(cases[i].text, 7700, &e) != OK)
			fail_msg("%s: %s", cases[i].text, err_reason());
		assert_string_equal(e.host, cases[i].host);
		assert_int_equal(e.port, cases[i].port);
	}
}

static void endpoint_refuses_what_is_none(void **state)
{
	static const char *const cases[] = {
		"", ":80", "[]:80", "[fe80::1", "[fe80::1]x", "[fe80::1]80", "10.0.0.1:",
		"10.0.0.1:0",
		"10.0.0.1:65536", "10.0.0.1:80x", "10.0.0.1: 80", "10.0.0.1:99999999999999999999",
		"an.address.that.is.much.longer.than.any.address.of.any.kind.could.ever.be",
	};
	struct endpoint e;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		if (endpoint_parse(cases[i], 7700, &e) != ERR_BAD_ARGUMENT)
			fail_msg("taken: %s", cases[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoint_splits_host_and_port),
		cmocka_unit_test(endpoint_refuses_what_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
