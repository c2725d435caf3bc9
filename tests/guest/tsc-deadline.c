/* SPDX-License-Identifier: MIT */
/*
 * tsc-deadline - the local APIC timer in TSC-deadline mode, in xAPIC and x2APIC mode.
 *
 * Reason: with it Linux neither calibrates the APIC timer nor divides on each re-arm.
 * Verdict: PASS when it fires once, not early, disarms itself, can be disarmed, and fires at once
 * for a deadline in the past.
 */
#include "lib/apic.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/trap.h"

const char guest_name[] = "tsc-deadline";
const char guest_title[] = "APIC timer against the TSC (SDM vol. 3, \"TSC-Deadline Mode\")";

enum { VECTOR_TIMER = 0x53, DELAY_US = 3000, WAIT_US = 10000 };

static volatile unsigned fired;
static volatile uint64_t fired_at;

static void on_timer(struct trap_frame *frame)
{
	fired_at = insn_rdtsc();
	fired++;
	(void)frame;
	apic_eoi();
}

static void wait_with_interrupts(uint64_t us)
{
	insn_sti();
	clock_wait_us(us);
	insn_cli();
}

static void check_mode(bool x2)
{
	uint64_t delay = clock_tsc_hz() / 1000000 * DELAY_US;

	apic_enable(x2);
	apic_write(APIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
	insn_barrier();
	fired = 0;
	uint64_t deadline = insn_rdtsc() + delay;
	insn_wrmsr(MSR_TSC_DEADLINE, deadline);
	CHECK(insn_rdmsr(MSR_TSC_DEADLINE) == deadline, "the armed deadline does not read back");
	wait_with_interrupts(WAIT_US);
	CHECK(fired == 1, "fired %u times, not once", fired);
	CHECK(fired_at >= deadline, "fired %lu ticks early", deadline - fired_at);
	if (!guest_has_option("lenient"))                /* Bochs 2.7 keeps the value */
		CHECK(insn_rdmsr(MSR_TSC_DEADLINE) == 0, "not disarmed after it fired");
	guest_print("tsc-deadline: %s, late by %lu ticks\n", x2 ? "x2APIC" : "xAPIC",
		    fired_at - deadline);

	insn_wrmsr(MSR_TSC_DEADLINE, insn_rdtsc() + delay);
	insn_wrmsr(MSR_TSC_DEADLINE, 0);
	wait_with_interrupts(WAIT_US);
	CHECK(fired == 1, "fired although disarmed");
	insn_wrmsr(MSR_TSC_DEADLINE, 1);
	wait_with_interrupts(1000);
	CHECK(fired == 2, "a deadline in the past fired %u times", fired - 1);
}

void guest_main(void)
{
	if (!apic_has_tsc_deadline())
		guest_skip("CPUID offers no TSC deadline");
	trap_handle(VECTOR_TIMER, on_timer);
	check_mode(false);
	if (apic_has_x2())
		check_mode(true);
}
