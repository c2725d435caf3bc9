/* SPDX-License-Identifier: MIT */
/*
 * migrate-clocks - three clocks that must agree wherever the guest is.
 *
 * Reason: hosts have TSCs of different rates; a guest that moves must not notice.
 * The TSC by the rate that the guest was told once (CPUID leaf 0x40000010), kvm-clock and the PM
 * timer are compared at each heartbeat and since the first; the sleep between is by TSC deadline,
 * whose alarms must come neither early nor, the best of them, late.  RDTSCP must say what was put
 * into IA32_TSC_AUX.  A machine that emulates us may stop between two readings, so the PM timer is
 * read between two of the TSC, several times, and the narrowest of these brackets counts: what it
 * was wide is all that the clocks may differ by, beside their rates.
 * Options: beats=N heartbeats of 1 s, then PASS (default: never); ppm=N how far a rate may be off
 * (default: the error of two calibrations); late_us=N of the best alarm.
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
	PPM_MAX = 1000,                          /* of two calibrations of a host */
	PPM_PM = 20,                             /* both from one clock: rounding */
	BRACKETS = 20,
};
#define NS_PER_S UINT64_C(1000000000)
#define PPM      UINT64_C(1000000)
#define PM_WRAP_NS ((CLOCK_PM_MASK + 1) * NS_PER_S / CLOCK_PM_HZ)
#define PM_TICK_NS (NS_PER_S / CLOCK_PM_HZ + 1)

/* kvm-clock said `ns` at this TSC; the PM timer said `pm` then or at most `width` ns later. */
struct moment { uint64_t tsc, ns, width; uint32_t pm; };

static uint64_t khz, ppm, late_us;               /* as told */
static volatile unsigned fired;

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	fired++;
	apic_eoi();
}

static struct moment now(void)
{
	const volatile struct kvmclock_time *page = kvmclock_page();
	struct moment best = { .width = UINT64_MAX };

	for (int i = 0; i < BRACKETS; i++) {
		uint32_t version = page->version;
		insn_barrier();
		struct moment m = { .tsc = insn_rdtsc(), .pm = clock_pm_read() };
		uint64_t end = insn_rdtsc();
		m.ns = kvmclock_at(m.tsc);
		m.width = kvmclock_at(end) - m.ns;
		insn_barrier();
		if (!(version & 1) && version == page->version && m.width < best.width)
			best = m;
	}
	CHECK(best.width != UINT64_MAX, "the clock page changed within each of %d readings",
	      BRACKETS);
	return best;
}

static void compare(const char *what, uint64_t ns, uint64_t kvm_ns, uint64_t slack)
{
	uint64_t off = ns > kvm_ns ? ns - kvm_ns : kvm_ns - ns;

	CHECK(off <= slack, "%lu ns by the %s, %lu ns by kvm-clock, which may differ by %lu", ns,
	      what, kvm_ns, slack);
}

/*
 * The PM timer wraps every 4.7 s, and a sleeper on a busy machine may sleep longer: as many
 * wraps as come nearest to what kvm-clock says.
 */
static uint64_t pm_ns(const struct moment *from, const struct moment *to)
{
	uint64_t ns = ((to->pm - from->pm) & CLOCK_PM_MASK) * NS_PER_S / CLOCK_PM_HZ;
	uint64_t kvm_ns = to->ns - from->ns;

	if (kvm_ns + PM_WRAP_NS / 2 > ns)
		ns += (kvm_ns + PM_WRAP_NS / 2 - ns) / PM_WRAP_NS * PM_WRAP_NS;
	return ns;
}

static void compare_all(const struct moment *from, const struct moment *to)
{
	uint64_t kvm_ns = to->ns - from->ns;

	CHECK(to->tsc > from->tsc, "the TSC went back by %lu", from->tsc - to->tsc);
	CHECK(to->ns > from->ns, "kvm-clock went back by %lu ns", from->ns - to->ns);
	compare("TSC", (to->tsc - from->tsc) * PPM / khz, kvm_ns, kvm_ns * ppm / PPM + PM_TICK_NS);
	compare("PM timer", pm_ns(from, to), kvm_ns,
	        kvm_ns * PPM_PM / PPM + from->width + to->width + PM_TICK_NS);
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
		CHECK(us >= NAP_US - NAP_US * ppm / PPM - 1, "woken after %lu us", us);
		best = us < best ? us : best;
	}
	CHECK(best <= NAP_US + late_us, "never woken before %lu us, not %d", best, NAP_US);
}

void guest_main(void)
{
	uint64_t beats = guest_option("beats", UINT64_MAX);
	uint32_t aux;

	ppm = guest_option("ppm", PPM_MAX);
	late_us = guest_option("late_us", LATE_US_MAX);
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
	struct moment first = now(), last = first;
	for (uint64_t number = 1; number <= beats; number++) {
		check_naps();
		struct moment m = now();
		compare_all(&last, &m);
		compare_all(&first, &m);
		CHECK(insn_rdtscp(&aux) > m.tsc && aux == TSC_AUX, "RDTSCP says %x", aux);
		guest_print("migrate-clocks: beat %lu, 0 pages written, kvm-clock %lu ns, "
		            "bracket %lu ns\n", number, m.ns, m.width);
		last = m;
	}
}
