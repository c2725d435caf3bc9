/* SPDX-License-Identifier: MIT */
/*
 * migrate-clocks - three clocks that must agree wherever the guest is.
 *
 * Reason: hosts have TSCs of different rates; a guest that moves must not notice.
 * The TSC by the rate that the guest was told once (CPUID leaf 0x40000010), kvm-clock and the PM
 * timer are compared at each heartbeat; the sleep between is by TSC deadline, whose alarms must
 * come neither early nor, the best of them, late.  RDTSCP must say what was put into IA32_TSC_AUX.
 * Options: beats=N heartbeats of 1 s, then PASS (default: never).
 * Verdict: FAIL with the clocks that disagree; a missing heartbeat is a hang.
 */
#include "lib/apic.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/kvmclock.h"
#include "lib/trap.h"

const char guest_name[] = "migrate-clocks";
const char guest_title[] = "time over migrations (SDM vol. 3, \"Time-Stamp Counter\")";

enum {
	VECTOR_TIMER = 0x53, NAPS = 100, NAP_US = 10000, LATE_US_MAX = 3000,
	LEAF_RATES = 0x40000010, TSC_AUX = 0x5a5a, MSR_TSC_AUX = (int)0xc0000103,
	PER_MILLE_MAX = 2,                       /* two calibrations of a host differ by 1 */
	JITTER_NS = 300000,                      /* between readings of two clocks         */
};
#define NS_PER_S UINT64_C(1000000000)

struct moment { uint64_t tsc, ns; uint32_t pm; };

static uint64_t khz;                             /* as told */
static volatile unsigned fired;

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	fired++;
	apic_eoi();
}

static struct moment now(void)
{
	return (struct moment){ insn_rdtsc(), kvmclock_ns(), clock_pm_read() };
}

static void compare(const char *what, uint64_t ns, uint64_t kvm_ns)
{
	uint64_t off = ns > kvm_ns ? ns - kvm_ns : kvm_ns - ns;

	CHECK(off <= kvm_ns * PER_MILLE_MAX / 1000 + JITTER_NS,
	      "%lu ns by the %s, %lu ns by kvm-clock", ns, what, kvm_ns);
}

/* One sleep by TSC deadline; how many microseconds of kvm-clock it took. */
static uint64_t nap(void)
{
	uint64_t start = kvmclock_ns();
	unsigned before = fired;

	insn_wrmsr(MSR_TSC_DEADLINE, insn_rdtsc() + khz * NAP_US / 1000);
	while (fired == before) {
		insn_sti_hlt();
		insn_cli();
	}
	return (kvmclock_ns() - start) / 1000;
}

static void check_naps(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < NAPS; i++) {
		uint64_t us = nap();
		CHECK(us >= NAP_US - NAP_US * PER_MILLE_MAX / 1000 - 1, "woken after %lu us", us);
		best = us < best ? us : best;
	}
	CHECK(best <= NAP_US + LATE_US_MAX, "never woken before %lu us, not %d", best, NAP_US);
}

void guest_main(void)
{
	uint64_t beats = guest_option("beats", UINT64_MAX);
	uint32_t aux;

	if (!kvmclock_present() || !apic_has_tsc_deadline())
		guest_skip("CPUID offers no kvm-clock, or no TSC deadline");
	khz = insn_cpuid(LEAF_RATES, 0).eax;
	CHECK(khz > 0, "leaf %x says no rate", LEAF_RATES);
	kvmclock_start();
	apic_enable(false);
	apic_write(APIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
	trap_handle(VECTOR_TIMER, on_timer);
	insn_wrmsr((uint32_t)MSR_TSC_AUX, TSC_AUX);
	guest_print("migrate-clocks: the TSC ticks at %lu kHz\n", khz);
	struct moment last = now();
	for (uint64_t number = 1; number <= beats; number++) {
		check_naps();
		struct moment m = now();
		CHECK(m.tsc > last.tsc, "the TSC went back by %lu", last.tsc - m.tsc);
		CHECK(m.ns > last.ns, "kvm-clock went back by %lu ns", last.ns - m.ns);
		compare("TSC", (m.tsc - last.tsc) * 1000000 / khz, m.ns - last.ns);
		compare("PM timer", clock_pm_since(last.pm) * NS_PER_S / CLOCK_PM_HZ,
		        now().ns - last.ns);
		CHECK(insn_rdtscp(&aux) > m.tsc && aux == TSC_AUX, "RDTSCP says %x", aux);
		guest_print("migrate-clocks: beat %lu, 0 pages written\n", number);
		last = m;
	}
}
