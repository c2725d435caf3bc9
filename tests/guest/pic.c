/* SPDX-License-Identifier: MIT */
/*
 * pic - IRQ 0 through the 8259 pair and LINT0, with and without EOI.
 *
 * Reason: this is how every PC kernel takes its first interrupts.
 * Verdict: PASS when ticks arrive, an interrupt in service holds back the next until EOI, and the
 * mask works.
 */
#include "lib/apic.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/pic.h"
#include "lib/trap.h"

const char guest_name[] = "pic";
const char guest_title[] = "8259A: IRQ 0, EOI, mask (8259A data sheet, \"Interrupt Sequence\")";

enum { IRQ_PIT = 0, VECTOR_BASE = VECTOR_FIRST_IRQ, TICKS = 20, TICK_HZ = 200, WAIT_US = 50000 };

static volatile unsigned ticks;
static volatile bool hold_eoi;

static void on_tick(struct trap_frame *frame)
{
	(void)frame;
	ticks++;
	if (!hold_eoi)
		pic_eoi(IRQ_PIT);
}

static void wait_for_ticks(unsigned wanted)
{
	uint32_t pm = clock_pm_read();

	insn_sti();
	while (ticks < wanted)
		CHECK(clock_pm_since(pm) < CLOCK_PM_HZ * 3u, "%u of %u ticks after 3 s", ticks,
		      wanted);
	insn_cli();
}

static void check_eoi(void)
{
	hold_eoi = true;
	ticks = 0;
	insn_sti();
	clock_wait_us(WAIT_US);
	insn_cli();
	CHECK(ticks == 1, "%u interrupts without EOI, not 1", ticks);
	CHECK(pic_read_isr() == BIT(IRQ_PIT), "in service: %x", pic_read_isr());
	CHECK(pic_read_irr() & BIT(IRQ_PIT), "requested: %x", pic_read_irr());
	hold_eoi = false;
	pic_eoi(IRQ_PIT);
	CHECK(!pic_read_isr(), "in service after EOI: %x", pic_read_isr());
	wait_for_ticks(3);
}

void guest_main(void)
{
	apic_enable(false);
	/* virtual wire: the 8259 speaks by LINT0 */
	apic_write(APIC_LVT_LINT0, LVT_EXTINT);
	pic_init(VECTOR_BASE);
	trap_handle(VECTOR_BASE + IRQ_PIT, on_tick);
	pit_periodic_hz(TICK_HZ);
	pic_unmask(IRQ_PIT);

	uint32_t pm = clock_pm_read();
	wait_for_ticks(TICKS);
	guest_print("pic: %u ticks in %lu us\n", TICKS, clock_pm_since(pm) * 1000000 / CLOCK_PM_HZ);
	check_eoi();
	pic_mask_all();
	insn_sti();
	clock_wait_us(1000);                             /* one may have been on its way */
	ticks = 0;
	clock_wait_us(WAIT_US);
	insn_cli();
	CHECK(ticks == 0, "%u interrupts while masked", ticks);
}
