/* SPDX-License-Identifier: MIT */
/*
 * hlt - HLT sleeps until an interrupt, and no wake-up is lost.
 *
 * Reason: an idle guest lives in HLT; a lost wake-up is a hang, a skipped instruction a crash.
 * Verdict: PASS when timers and self-IPIs wake it exactly once each, also those that were pending
 * before STI, whose shadow covers HLT.
 */
#include "lib/apic.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/trap.h"

const char guest_name[] = "hlt";
const char guest_title[] = "HLT and wake-up (SDM vol. 2, \"HLT\"; vol. 2, \"STI\": the shadow)";

enum { VECTOR_TIMER = 0x54, VECTOR_IPI = 0x64, IPI_ROUNDS = 1000, TIMER_ROUNDS = 20,
       TIMER_US = 1000 };

static volatile unsigned woken;

static void on_wake(struct trap_frame *frame)
{
	(void)frame;
	woken++;
	apic_eoi();
}

static void check_pending_ipi(void)
{
	for (unsigned i = 1; i <= IPI_ROUNDS; i++) {
		insn_cli();
		apic_self_ipi(VECTOR_IPI);
		/* pending already: HLT ends at once, it must not be lost */
		insn_sti_hlt();
		CHECK(woken == i, "round %u: woken %u times", i, woken);
	}
	insn_cli();
}

static void check_timer(void)
{
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
	clock_wait_us(TIMER_US);
	uint32_t count = UINT32_MAX - apic_read(APIC_TIMER_CURRENT);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	woken = 0;
	uint32_t pm = clock_pm_read();
	for (unsigned i = 1; i <= TIMER_ROUNDS; i++) {
		apic_write(APIC_TIMER_INITIAL, count);
		insn_sti_hlt();
		insn_cli();
		CHECK(woken == i, "round %u: woken %u times", i, woken);
	}
	uint64_t us = clock_pm_since(pm) * 1000000 / CLOCK_PM_HZ;
	guest_print("hlt: %u sleeps of %u us took %lu us\n", TIMER_ROUNDS, TIMER_US, us);
	CHECK(us >= TIMER_ROUNDS * TIMER_US * 9 / 10, "HLT did not sleep");
}

void guest_main(void)
{
	apic_enable(false);
	trap_handle(VECTOR_IPI, on_wake);
	trap_handle(VECTOR_TIMER, on_wake);
	check_pending_ipi();
	check_timer();
}
