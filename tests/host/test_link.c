/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_link.c - what a migration believes about bandwidth and round trip.
 */
#include "tests/host/support.h"

#include "lib/time.h"
#include "mig/link.h"

static void nothing_known_predicts_a_long_time(void **state)
{
	struct link l = { 0 };

	(void)state;
	assert_int_equal(link_bytes_s(&l), 0);
	assert_true(link_transfer_ns(&l, MIB) >= 1000 * NS_PER_S);
}

static void rate_is_bytes_by_time_not_a_mean_of_rates(void **state)
{
	struct link l = { 0 };

	(void)state;
	link_carried(&l, 100 * KIB, 10 * NS_PER_MS);            /* 10 MB/s */
	link_carried(&l, 100 * KIB, 190 * NS_PER_MS);           /* 0.5 MB/s */
	assert_int_equal(link_bytes_s(&l), 200 * KIB * 5);
	assert_int_equal(link_transfer_ns(&l, 100 * KIB), 100 * NS_PER_MS);
}

static void old_times_are_forgotten(void **state)
{
	struct link l = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		link_carried(&l, 10 * MIB, 100 * NS_PER_MS);    /* 100 MiB/s for ten seconds */
	for (int i = 0; i < 30; i++)
		link_carried(&l, 100 * KIB, 100 * NS_PER_MS);   /* then 1000 KiB/s for three  */
	assert_int_equal(link_bytes_s(&l), 1000 * KIB);
}

static void large_numbers_do_not_overflow(void **state)
{
	struct link l = { 0 };

	(void)state;
	link_carried(&l, 12500 * MIB, NS_PER_S);                /* 100 Gb/s */
	assert_int_equal(link_bytes_s(&l), 12500 * MIB);
	assert_int_equal(link_transfer_ns(&l, 1000 * GIB) / NS_PER_S, 81);
}

static void round_trip_follows_slowly(void **state)
{
	struct link l = { 0 };

	(void)state;
	link_answered(&l, 8 * NS_PER_MS);
	assert_int_equal(l.round_trip_ns, 8 * NS_PER_MS);
	link_answered(&l, 4 * NS_PER_MS);
	assert_int_equal(l.round_trip_ns, 7 * NS_PER_MS);
	link_answered(&l, 0);
	assert_true(l.round_trip_ns > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_known_predicts_a_long_time),
		cmocka_unit_test(rate_is_bytes_by_time_not_a_mean_of_rates),
		cmocka_unit_test(old_times_are_forgotten),
		cmocka_unit_test(large_numbers_do_not_overflow),
		cmocka_unit_test(round_trip_follows_slowly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
