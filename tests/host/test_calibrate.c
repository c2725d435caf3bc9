/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_calibrate.c - frequencies from samples, and ticks to time without overflow.
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/calibrate.h"

#define PM_HZ 3579545ull

static void calibrate_takes_the_median(void **state)
{
	/* 2 GHz; one sample was stretched by an SMI, one cut short */
	static const struct calibrate_sample s[CALIBRATE_SAMPLES] = {
		{ 20000000, 35795 }, { 20002000, 35795 }, { 90000000, 35795 },
		{ 19998000, 35795 }, { 1000000, 35795 },
	};
	uint64_t khz, ppm;

	(void)state;
	assert_int_equal(calibrate_khz(s, PM_HZ, &khz, &ppm), OK);
	assert_in_range(khz, 1999900, 2000100);
	assert_in_range(ppm, 100, 300);
}

static void calibrate_refuses_what_cannot_be(void **state)
{
	static const struct { struct calibrate_sample s; const char *says;
	} cases[] = {
		{ { 1000, 0 }, "did not count" }, /* it stands still            */
		{ { UINT64_MAX / 2, 35795 }, "did not count" }, /* the product overflows      */
		{ { 4000, 35795 }, "beyond belief" }, /* 400 kHz                    */
		{ { 300000000, 35795 }, "beyond belief" }, /* 30 GHz                     */
		{ { 0, 35795 }, "beyond belief" }, /* the TSC stands still       */
	};
	struct calibrate_sample s[CALIBRATE_SAMPLES];
	uint64_t khz, ppm;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		for (unsigned n = 0; n < CALIBRATE_SAMPLES; n++)
			s[n] = cases[i].s;
		assert_int_equal(calibrate_khz(s, PM_HZ, &khz, &ppm), ERR_NOT_SUPPORTED);
		assert_non_null(strstr(err_reason(), cases[i].says));
	}
}

static void tick_scale_is_exact_enough_for_years(void **state)
{
	static const uint64_t hz[] = { 1000000,    4000000,    50000000,
		                       1000000000, 2099757000, 5000000000 };
	const uint64_t year_s = 365 * 24 * 3600;

	(void)state;
	for (unsigned i = 0; i < COUNT(hz); i++) {
		struct tick_scale to_ns = tick_scale(hz[i], NS_PER_S),
				  to_tsc = tick_scale(NS_PER_S, hz[i]);
		uint64_t ns = tick_scale_apply(to_ns, hz[i] * 10 * year_s);
		assert_in_range(ns, 10 * year_s * NS_PER_S - 10, 10 * year_s * NS_PER_S);
		uint64_t ticks = tick_scale_apply(to_tsc, 10 * year_s * NS_PER_S);
		assert_in_range(ticks, hz[i] * 10 * year_s - 10, hz[i] * 10 * year_s);
		assert_int_equal(tick_scale_apply(to_ns, 0), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calibrate_takes_the_median),
		cmocka_unit_test(calibrate_refuses_what_cannot_be),
		cmocka_unit_test(tick_scale_is_exact_enough_for_years),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
