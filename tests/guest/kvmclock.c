/* SPDX-License-Identifier: MIT */
/*
 * kvmclock - KVM's paravirtual clock: runs at the PM timer's rate and never backwards.
 *
 * Reason: it is how Linux keeps time over a migration to a host with another TSC.
 * Verdict: PASS when 100000 readings are monotonic, 100 ms agree with the PM timer within 0.5 %,
 * the page is stable between reads, and the wall clock names a plausible year.
 */
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/kvmclock.h"

const char guest_name[] = "kvmclock";
const char guest_title[] = "kvm-clock (Linux Documentation/virt/kvm/x86/msr.rst)";

enum { READINGS = 100000, MEASURE_US = 100000, PER_MILLE_MAX = 5, YEAR_2020 = 1577836800 };

static void check_rate(void)
{
	uint32_t pm = clock_pm_read();
	uint64_t start = kvmclock_ns();

	clock_wait_us(MEASURE_US);
	uint64_t elapsed = kvmclock_ns() - start;
	uint64_t expected = clock_pm_since(pm) * 1000000000 / CLOCK_PM_HZ;
	uint64_t off = elapsed > expected ? elapsed - expected : expected - elapsed;
	guest_print("kvmclock: %lu ns, PM timer %lu ns\n", elapsed, expected);
	CHECK(off * 1000 / expected <= PER_MILLE_MAX, "rate is off by %lu ns in %lu", off,
	      expected);
}

void guest_main(void)
{
	if (!kvmclock_present())
		guest_skip("CPUID offers no kvm-clock");
	kvmclock_start();
	const volatile struct kvmclock_time *page = kvmclock_page();
	CHECK(page->version != 0, "the host did not write the page");
	CHECK(!(page->version & 1), "version %u is odd while we run", page->version);
	CHECK(page->tsc_to_system_mul != 0, "multiplier 0");
	guest_print("kvmclock: mul %x shift %d flags %x\n", page->tsc_to_system_mul,
		    page->tsc_shift, page->flags);
	uint64_t last = kvmclock_ns();
	for (int i = 0; i < READINGS; i++) {
		uint64_t now = kvmclock_ns();
		CHECK(now >= last, "back by %lu ns at reading %d", last - now, i);
		last = now;
	}
	check_rate();
	uint64_t boot = kvmclock_boot_s();
	guest_print("kvmclock: started at %lu s of Unix time\n", boot);
	CHECK(boot > YEAR_2020, "the wall clock says %lu", boot);
}
