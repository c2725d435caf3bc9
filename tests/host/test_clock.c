/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_clock.c - a VM's time: vmm/clock.c, and the numbers of vmm/kvmclock.c.
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/defs/svm.h"
#include "arch/x86_64/defs/vmx.h"
#include "vmm/clock.h"
#include "vmm/kvmclock.h"
#include "vmm/virt.h"

static struct clock c;

/* What the two vendors' CPUs can: SDM vol. 3, "TSC Scaling"; APM vol. 2, "TSC Ratio MSR". */
static const struct { unsigned fraction; uint64_t max, one; } scalers[] = {
	{ TSC_MULTIPLIER_FRACTION, TSC_MULTIPLIER_MAX, TSC_MULTIPLIER_ONE },
	{ TSC_RATIO_FRACTION, TSC_RATIO_MAX, TSC_RATIO_ONE },
};

static void use_scaler(unsigned i)
{
	virt_caps.tsc_fraction = i < COUNT(scalers) ? scalers[i].fraction : 0;
	virt_caps.tsc_scale_max = i < COUNT(scalers) ? scalers[i].max : 0;
}

static int fresh(void **state)
{
	(void)state;
	support_now_ns = 5 * NS_PER_S;
	support_tsc_khz = 1000000;
	use_scaler(COUNT(scalers));                     /* none */
	clock_create(&c, 1700000000 * NS_PER_S);
	return 0;
}

static void it_stands_still_until_it_runs_and_while_it_is_paused(void **state)
{
	(void)state;
	support_now_ns += NS_PER_S;
	assert_int_equal(clock_now_ns(&c), 0);
	clock_resume(&c, 0);
	support_now_ns += 3 * NS_PER_S;
	assert_int_equal(clock_now_ns(&c), 3 * NS_PER_S);
	clock_pause(&c);
	support_now_ns += 100 * NS_PER_S;
	assert_int_equal(clock_now_ns(&c), 3 * NS_PER_S);
	clock_resume(&c, 0);
	support_now_ns += 7;
	assert_int_equal(clock_now_ns(&c), 3 * NS_PER_S + 7);
}

static void a_migration_adds_the_stop_to_time_and_tsc(void **state)
{
	(void)state;
	clock_resume(&c, 0);
	support_now_ns += NS_PER_S;
	clock_pause(&c);
	assert_int_equal(clock_guest_tsc(&c), 1000000000);
	clock_resume(&c, 250 * NS_PER_MS);
	assert_int_equal(clock_now_ns(&c), NS_PER_S + 250 * NS_PER_MS);
	assert_int_equal(clock_guest_tsc(&c), 1250000000);
}

/* The guest's TSC must be the host's plus the offset, at any moment. */
static void the_offset_gives_the_guests_tsc(void **state)
{
	(void)state;
	support_tsc_khz = 2893202;
	support_now_ns = 123456789;
	clock_create(&c, 0);
	clock_resume(&c, 0);
	for (int i = 0; i < 50; i++) {
		support_now_ns += 987654321;
		uint64_t host_tsc =
			(uint64_t)((unsigned __int128)support_now_ns * support_tsc_khz / 1000000);
		assert_int_equal(clock_guest_tsc(&c), host_tsc + clock_tsc_offset(&c));
		if (i % 10 == 9) {
			clock_pause(&c);
			support_now_ns += 77;
			clock_resume(&c, 0);
		}
	}
}

/*
 * The guest's TSC as the CPU computes it from the host's, in its own fixed-point format.  A bit
 * that it does not have would be #GP at WRMSR, and 0 a failed VM entry.
 */
static uint64_t by_the_cpu(const struct clock *clock)
{
	unsigned __int128 tsc = (unsigned __int128)support_now_ns * support_tsc_khz / 1000000;

	if (clock->how != CLOCK_TSC_SAME)
		tsc = tsc * clock->ratio >> clock->fraction;
	if (clock->how == CLOCK_TSC_HARDWARE)
		assert_in_range(clock->ratio, 1, virt_caps.tsc_scale_max);
	return (uint64_t)tsc + clock_tsc_offset(clock);
}

/* From a 3 GHz host to one of another rate: VM time and TSC neither jump nor change their pace. */
static void move_to(uint64_t khz, enum clock_tsc how)
{
	struct clock there;

	support_tsc_khz = 3000000;
	clock_create(&c, 42);
	clock_resume(&c, 0);
	support_now_ns += 10 * NS_PER_S;
	clock_pause(&c);
	clock_state.save(&c);
	memset(&there, 0xee, sizeof(there));
	there.vm_ns = c.vm_ns;
	there.guest_tsc = c.guest_tsc;
	there.tsc_khz = c.tsc_khz;
	there.wall_ns = c.wall_ns;
	assert_int_equal(clock_state.check(&there), OK);
	clock_state.resume(&there);

	support_tsc_khz = khz;
	support_now_ns = 777 * NS_PER_S + 999;
	clock_resume(&there, 20 * NS_PER_MS);
	assert_int_equal(there.how, how);
	assert_int_equal(clock_now_ns(&there), 10 * NS_PER_S + 20 * NS_PER_MS);
	assert_int_equal(clock_guest_tsc(&there), 30000000000 + 60000000);
	for (unsigned i = 1; i <= 100; i++) {
		support_now_ns += NS_PER_S;
		assert_int_equal(clock_now_ns(&there), (10 + i) * NS_PER_S + 20 * NS_PER_MS);
		/* A ratio of 32 binary places is right to a billionth. */
		assert_in_range(clock_guest_tsc(&there), 30060000000 + i * 2999999999 - 2,
		                30060000000 + i * 3000000001);
		assert_int_equal(clock_guest_tsc(&there), by_the_cpu(&there));
	}
	assert_int_equal(clock_tsc_rate_khz(&there), 3000000);
	/* A deadline one second ahead by the guest's TSC is one second of VM time ahead. */
	uint64_t due = clock_tsc_to_ns(&there, clock_guest_tsc(&there) + 3000000000);
	assert_in_range(due, 111 * NS_PER_S + 20 * NS_PER_MS - 25,
	                111 * NS_PER_S + 20 * NS_PER_MS + 25);
	/* Going on from there, nothing has jumped either. */
	uint64_t tsc = clock_guest_tsc(&there);
	clock_pause(&there);
	clock_resume(&there, 0);
	assert_in_range(clock_guest_tsc(&there), tsc - 1, tsc + 1);
}

static void time_goes_on_across_hosts_of_different_rates(void **state)
{
	static const uint64_t rates[] = { 2100000, 50000, 5999999, 2996000, 3004000 };

	(void)state;
	for (unsigned i = 0; i < COUNT(rates); i++) {
		for (unsigned k = 0; k <= COUNT(scalers); k++) {
			use_scaler(k);
			move_to(rates[i], k < COUNT(scalers) ? CLOCK_TSC_HARDWARE
			                                     : CLOCK_TSC_EXITS);
		}
	}
}

static void a_ratio_is_rounded_to_the_nearest(void **state)
{
	(void)state;
	for (unsigned k = 0; k < COUNT(scalers); k++)
		assert_int_equal(clock_tsc_ratio(2893202, 2893202, scalers[k].fraction),
		                 scalers[k].one);
	assert_int_equal(clock_tsc_ratio(3000, 2000, 32), TSC_RATIO_ONE + TSC_RATIO_ONE / 2);
	assert_int_equal(clock_tsc_ratio(1000, 3000, 32), 0x55555555);
	assert_int_equal(clock_tsc_ratio(2000, 3000, 32), 0xaaaaaaab);
	assert_int_equal(clock_tsc_ratio(2000, 3000, 48), 0xaaaaaaaaaaab);
	assert_int_equal(clock_tsc_ratio(1999999, 2000000, 1), 2);      /* carries into the whole */
	assert_int_equal(clock_tsc_ratio(20000000, 1000, 48), 20000 * TSC_MULTIPLIER_ONE);
	assert_int_equal(clock_tsc_ratio(1000, 20000000, 32), 214748);  /* 2^32 / 20000, less .36 */
}

/* A host that is 256 times slower: AMD-V's register has no bit for that, VT-x's field has. */
static void a_ratio_that_does_not_fit_is_left_to_exits(void **state)
{
	static const struct { uint64_t khz; enum clock_tsc how[3]; } hosts[] = {
		{ 78125, { CLOCK_TSC_HARDWARE, CLOCK_TSC_EXITS, CLOCK_TSC_EXITS } },
		{ 78126, { CLOCK_TSC_HARDWARE, CLOCK_TSC_HARDWARE, CLOCK_TSC_EXITS } },
		{ 1000, { CLOCK_TSC_HARDWARE, CLOCK_TSC_EXITS, CLOCK_TSC_EXITS } },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(hosts); i++) {
		for (unsigned k = 0; k < COUNT(hosts[i].how); k++) {
			use_scaler(k);
			support_tsc_khz = 20000000;             /* the fastest that is plausible */
			clock_create(&c, 0);
			support_tsc_khz = hosts[i].khz;
			clock_resume(&c, 0);
			assert_int_equal(c.how, hosts[i].how[k]);
			support_now_ns += NS_PER_S;
			assert_in_range(clock_guest_tsc(&c), 20000000000 - 20000, 20000000000);
			assert_int_equal(clock_guest_tsc(&c), by_the_cpu(&c));
		}
	}
}

/* What two calibrations of one frequency differ by is no reason to scale: kvm-clock knows. */
static void a_calibrations_error_is_not_scaled(void **state)
{
	(void)state;
	support_tsc_khz = 3000000;
	clock_create(&c, 42);
	support_tsc_khz = 3002900;
	clock_resume(&c, 0);
	assert_int_equal(c.how, CLOCK_TSC_SAME);
	assert_int_equal(clock_tsc_rate_khz(&c), 3002900);
	support_now_ns += NS_PER_S;
	assert_int_equal(clock_guest_tsc(&c), 3002900000);
	assert_int_equal(clock_guest_tsc(&c), by_the_cpu(&c));
}

static void deadlines_past_and_far_are_no_surprise(void **state)
{
	(void)state;
	clock_resume(&c, 0);
	support_now_ns += NS_PER_S;
	clock_pause(&c);
	clock_resume(&c, 0);
	assert_int_equal(clock_tsc_to_ns(&c, 5), NS_PER_S);             /* long past: now */
	assert_int_equal(clock_tsc_to_ns(&c, UINT64_MAX), NEVER_NS);
	assert_int_equal(clock_host_ns(&c, NEVER_NS), NEVER_NS);
	assert_int_equal(clock_host_ns(&c, NEVER_NS - 1), NEVER_NS);
	assert_int_equal(clock_host_ns(&c, 2 * NS_PER_S), support_now_ns + NS_PER_S);
	assert_int_equal(clock_host_ns(&c, 0), support_now_ns);
	clock_pause(&c);
	assert_int_equal(clock_host_ns(&c, 2 * NS_PER_S), NEVER_NS);
}

static void a_foreign_clock_is_checked(void **state)
{
	(void)state;
	assert_int_equal(clock_state.check(&c), OK);
	c.tsc_khz = 0;
	assert_int_equal(clock_state.check(&c), ERR_BAD_FORMAT);
	c.tsc_khz = 1u << 30;
	assert_int_equal(clock_state.check(&c), ERR_BAD_FORMAT);
	c.tsc_khz = 1000000;
	c.vm_ns = UINT64_MAX;
	assert_int_equal(clock_state.check(&c), ERR_BAD_FORMAT);
}

/* As the guest computes it: shift, multiply, take the upper half. */
static uint64_t guest_ns(uint64_t ticks, uint32_t mul, int8_t shift)
{
	ticks = shift >= 0 ? ticks << shift : ticks >> -shift;
	return (uint64_t)((unsigned __int128)ticks * mul >> 32);
}

static void kvmclock_is_right_to_a_billionth_and_never_ahead(void **state)
{
	static const uint64_t khz[] = { 1000,    4000,    50000,   999999,  1000000,
		                        1000001, 2100000, 2893202, 3000000, 5700000 };

	(void)state;
	for (unsigned i = 0; i < COUNT(khz); i++) {
		uint32_t mul;
		int8_t shift;
		kvmclock_scale(khz[i], &mul, &shift);
		assert_true(mul >= 1u << 31);
		uint64_t ns = guest_ns(khz[i] * 1000, mul, shift); /* the ticks of one second */
		assert_true(ns <= NS_PER_S);
		assert_true(ns >= NS_PER_S - 2 - (shift < 0 ? NS_PER_MS / khz[i] << -shift : 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_stands_still_until_it_runs_and_while_it_is_paused, fresh),
		cmocka_unit_test_setup(a_migration_adds_the_stop_to_time_and_tsc, fresh),
		cmocka_unit_test_setup(the_offset_gives_the_guests_tsc, fresh),
		cmocka_unit_test_setup(time_goes_on_across_hosts_of_different_rates, fresh),
		cmocka_unit_test_setup(a_ratio_is_rounded_to_the_nearest, fresh),
		cmocka_unit_test_setup(a_ratio_that_does_not_fit_is_left_to_exits, fresh),
		cmocka_unit_test_setup(a_calibrations_error_is_not_scaled, fresh),
		cmocka_unit_test_setup(deadlines_past_and_far_are_no_surprise, fresh),
		cmocka_unit_test_setup(a_foreign_clock_is_checked, fresh),
		cmocka_unit_test_setup(kvmclock_is_right_to_a_billionth_and_never_ahead, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
