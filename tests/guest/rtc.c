/* SPDX-License-Identifier: MIT */
/*
 * rtc - the MC146818 clock: a sane date, seconds that last a second, periodic interrupts, CMOS RAM.
 *
 * Reason: kernels set their clock from it, and calibrate by its periodic interrupt.
 * Verdict: PASS when one second agrees with the PM timer within 5 %, IRQ 8 ticks at the rate asked
 * for and stops without a read of register C, and a byte of CMOS RAM stays.
 */
#include "lib/apic.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/pic.h"
#include "lib/trap.h"

const char guest_name[] = "rtc";
const char guest_title[] = "real-time clock (MC146818A data sheet, \"Register\" sections)";

enum {
	PORT_INDEX = 0x70, PORT_DATA = 0x71, NMI_OFF = 0x80,
	REG_SECONDS = 0, REG_MINUTES = 2, REG_HOURS = 4, REG_DAY = 7, REG_MONTH = 8, REG_YEAR = 9,
	REG_A = 10, REG_B = 11, REG_C = 12, REG_D = 13, REG_RAM = 0x50,
	A_UPDATING = 0x80, A_32KHZ = 0x20, A_RATE_1024 = 6,
	B_24_HOURS = 2, B_BINARY = 4, B_PERIODIC = 0x40, C_PERIODIC = 0x40, D_VALID = 0x80,
	IRQ_RTC = 8, VECTOR_RTC = VECTOR_FIRST_IRQ + IRQ_RTC, TICKS = 64, WAIT_US = 20000,
};

static volatile unsigned ticks;
static volatile bool read_c;

static uint8_t cmos_read(uint8_t reg)
{
	insn_outb(PORT_INDEX, reg | NMI_OFF);
	return insn_inb(PORT_DATA);
}

static void cmos_write(uint8_t reg, uint8_t value)
{
	insn_outb(PORT_INDEX, reg | NMI_OFF);
	insn_outb(PORT_DATA, value);
}

/* A field of the date as a number, whatever coding register B chose. */
static unsigned field(uint8_t reg)
{
	uint8_t value = cmos_read(reg);

	return cmos_read(REG_B) & B_BINARY ? value : (value >> 4) * 10u + (value & 0xfu);
}

static void await_update_end(void)
{
	uint32_t pm = clock_pm_read();
	unsigned second = field(REG_SECONDS);

	while (field(REG_SECONDS) == second || cmos_read(REG_A) & A_UPDATING)
		CHECK(clock_pm_since(pm) < CLOCK_PM_HZ * 5 / 2, "the seconds stand still at %u",
		      second);
}

static void check_date(void)
{
	CHECK(cmos_read(REG_D) & D_VALID, "register D says that the time is not valid");
	CHECK(cmos_read(REG_B) & B_24_HOURS, "12-hour mode");
	await_update_end();
	unsigned second = field(REG_SECONDS);
	guest_print("rtc: 20%02u-%02u-%02u %02u:%02u:%02u\n", field(REG_YEAR), field(REG_MONTH),
		    field(REG_DAY), field(REG_HOURS), field(REG_MINUTES), second);
	CHECK(field(REG_MONTH) >= 1 && field(REG_MONTH) <= 12, "month %u", field(REG_MONTH));
	CHECK(field(REG_DAY) >= 1 && field(REG_DAY) <= 31, "day %u", field(REG_DAY));
	CHECK(field(REG_HOURS) < 24 && field(REG_MINUTES) < 60, "time of day");
	uint32_t pm = clock_pm_read();
	await_update_end();
	uint64_t ms = clock_pm_since(pm) * 1000 / CLOCK_PM_HZ;
	guest_print("rtc: one second took %lu ms\n", ms);
	CHECK(ms >= 950 && ms <= 1050, "one second took %lu ms", ms);
	CHECK(field(REG_SECONDS) == (second + 1) % 60, "second %u follows %u", field(REG_SECONDS),
	      second);
}

static void on_rtc(struct trap_frame *frame)
{
	(void)frame;
	ticks++;
	if (read_c && !(cmos_read(REG_C) & C_PERIODIC))
		guest_fail("IRQ 8 without the periodic flag in register C");
	pic_eoi(IRQ_RTC);
}

static void check_periodic(void)
{
	apic_enable(false);
	apic_write(APIC_LVT_LINT0, LVT_EXTINT);
	trap_handle(VECTOR_RTC, on_rtc);
	pic_unmask(IRQ_RTC);
	cmos_write(REG_A, A_32KHZ | A_RATE_1024);
	cmos_write(REG_B, cmos_read(REG_B) | B_PERIODIC);
	cmos_read(REG_C);
	read_c = true;
	uint32_t pm = clock_pm_read();
	insn_sti();
	while (ticks < TICKS)
		CHECK(clock_pm_since(pm) < CLOCK_PM_HZ, "%u of %u ticks after 1 s", ticks, TICKS);
	uint64_t us = clock_pm_since(pm) * 1000000 / CLOCK_PM_HZ;
	guest_print("rtc: %u ticks of 1024 Hz took %lu us\n", TICKS, us);
	CHECK(us > 58000, "the periodic interrupt is too fast");
	/* unread, the flag keeps the line up: no new edge */
	read_c = false;
	clock_wait_us(WAIT_US);
	ticks = 0;
	clock_wait_us(WAIT_US);
	insn_cli();
	CHECK(ticks == 0, "%u interrupts while register C is unread", ticks);
	cmos_write(REG_B, cmos_read(REG_B) & (uint8_t)~B_PERIODIC);
	cmos_read(REG_C);
}

void guest_main(void)
{
	check_date();
	check_periodic();
	cmos_write(REG_RAM, 0xa5);
	cmos_write(REG_RAM + 1, 0x5a);
	CHECK(cmos_read(REG_RAM) == 0xa5, "CMOS RAM forgot a byte");
}
