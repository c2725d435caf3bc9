/* SPDX-License-Identifier: MIT */
/* lib/apic_check.c - see the header; used by lapic.c and x2apic.c, which first choose the mode. */
#include "lib/apic.h"
#include "lib/apic_check.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/trap.h"

enum {
	VECTOR_TIMER  = 0x51,
	VECTOR_IPI    = 0x62,
	PERIODS       = 20,
	PERIOD_US     = 2000,
	WAIT_US       = 20000,
	DIVIDE_BY_16  = 0x3,
	SLACK_PERCENT = 10,
	TPR_BLOCKS_6x = 0x60,
};

static volatile unsigned timer_irqs, ipi_irqs;
static volatile bool seen_in_service;

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	timer_irqs++;
	seen_in_service = apic_in_service(VECTOR_TIMER);
	apic_eoi();
}

static void on_ipi(struct trap_frame *frame)
{
	(void)frame;
	ipi_irqs++;
	apic_eoi();
}

/* Ticks of the timer in `us` with this divider, measured while it is masked. */
static uint32_t ticks_in(uint32_t us, uint32_t divide)
{
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_TIMER_DIVIDE, divide);
	apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
	uint32_t pm = clock_pm_read();
	uint32_t start = apic_read(APIC_TIMER_CURRENT);
	clock_wait_us(us);
	uint64_t ticks = start - apic_read(APIC_TIMER_CURRENT);
	uint64_t elapsed_us = clock_pm_since(pm) * 1000000 / CLOCK_PM_HZ;
	apic_write(APIC_TIMER_INITIAL, 0);
	return (uint32_t)(ticks * us / elapsed_us);
}

static void wait_with_interrupts(uint64_t us)
{
	insn_sti();
	clock_wait_us(us);
	insn_cli();
}

static void check_one_shot(uint32_t period)
{
	timer_irqs = 0;
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, period);
	wait_with_interrupts(WAIT_US);
	CHECK(timer_irqs == 1, "one-shot fired %u times", timer_irqs);
	CHECK(seen_in_service, "the ISR bit was clear in the handler");
	CHECK(apic_read(APIC_TIMER_CURRENT) == 0, "count %x after one-shot",
	      apic_read(APIC_TIMER_CURRENT));
}

static void check_periodic(uint32_t period)
{
	timer_irqs = 0;
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | LVT_PERIODIC);
	apic_write(APIC_TIMER_INITIAL, period);
	uint32_t pm = clock_pm_read();
	insn_sti();
	while (timer_irqs < PERIODS)
		CHECK(clock_pm_since(pm) < CLOCK_PM_HZ * 3u, "%u of %u periods after 3 s",
		      timer_irqs, PERIODS);
	uint64_t us = clock_pm_since(pm) * 1000000 / CLOCK_PM_HZ;
	insn_cli();
	apic_write(APIC_TIMER_INITIAL, 0);
	guest_print("%s: %u periods of %u us took %lu us\n", guest_name, PERIODS, PERIOD_US, us);
	CHECK(us > PERIODS * PERIOD_US * (100 - SLACK_PERCENT) / 100, "periodic is too fast");
	CHECK(us < PERIODS * PERIOD_US * (100 + 3 * SLACK_PERCENT) / 100, "periodic is too slow");
}

void apic_check_timer(void)
{
	trap_handle(VECTOR_TIMER, on_timer);
	uint32_t period = ticks_in(PERIOD_US * 10, DIVIDE_BY_1) / 10;
	uint32_t slow = ticks_in(PERIOD_US * 10, DIVIDE_BY_16) / 10;

	guest_print("%s: %u ticks in %u us, %u at divide 16\n", guest_name, period, PERIOD_US,
		    slow);
	CHECK(slow > period / 18, "divide 16 is too slow");
	CHECK(slow < period / 14, "divide 16 is too fast");
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	check_one_shot(period);
	check_periodic(period);
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	wait_with_interrupts(1000);              /* one may have been on its way */
	timer_irqs = 0;
	apic_write(APIC_TIMER_INITIAL, period);
	wait_with_interrupts(WAIT_US);
	CHECK(timer_irqs == 0, "the masked timer fired");
}

void apic_check_priority(void)
{
	trap_handle(VECTOR_IPI, on_ipi);
	ipi_irqs = 0;
	apic_write(APIC_TPR, TPR_BLOCKS_6x);
	apic_self_ipi(VECTOR_IPI);
	wait_with_interrupts(1000);
	CHECK(ipi_irqs == 0, "TPR %x did not hold back vector %x", TPR_BLOCKS_6x, VECTOR_IPI);
	CHECK(apic_requested(VECTOR_IPI), "IRR does not show the vector");
	insn_sti();
	insn_write_cr8(0);                       /* SDM vol. 3, "Task Priority in IA-32e Mode" */
	clock_wait_us(1000);
	insn_cli();
	CHECK(ipi_irqs == 1, "%u interrupts after CR8 = 0", ipi_irqs);
	CHECK(apic_read(APIC_TPR) == 0, "TPR %x after CR8 = 0", apic_read(APIC_TPR));
	CHECK(!apic_in_service(VECTOR_IPI), "in service after EOI");
	CHECK(!apic_requested(VECTOR_IPI), "requested after EOI");
}
