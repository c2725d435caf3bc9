/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vrtc.c - the real-time clock against Motorola's MC146818 data sheet, and ACPI's
 * fixed hardware; each test names its section.
 */
#include "tests/host/devtest.h"

#include <time.h>

#include "vmm/clock.h"
#include "vmm/dev/vpm.h"
#include "vmm/dev/vrtc.h"

static struct clock test_clock;
static struct vrtc rtc;
static struct wire_end irq;

#define S NS_PER_S

static void out(uint8_t reg, uint8_t v, uint64_t now)
{
	dev_out(&vrtc_ops, &rtc, 0x70, 1, reg, now);
	dev_out(&vrtc_ops, &rtc, 0x71, 1, v, now);
}

static uint8_t in(uint8_t reg, uint64_t now)
{
	dev_out(&vrtc_ops, &rtc, 0x70, 1, reg, now);
	return (uint8_t)dev_in(&vrtc_ops, &rtc, 0x71, 1, now);
}

/* VM time 0 is this second of 1970. */
static void fresh(uint64_t wall_s)
{
	memset(&irq, 0, sizeof(irq));
	test_clock = (struct clock){ .wall_ns = wall_s * S };
	vrtc_init(&rtc, &test_clock, 5 * GIB, WIRE_TO(&irq));
}

#define NOV_21_2026 1795219199ull       /* Fri 20 Nov 2026 23:59:59 UTC */

TEST(vrtc, date_in_bcd)                         /* "Time, Calendar, and Alarm Locations" */
{
	fresh(NOV_21_2026);
	assert_int_equal(in(0, 0), 0x59);
	assert_int_equal(in(2, 0), 0x59);
	assert_int_equal(in(4, 0), 0x23);
	assert_int_equal(in(6, 0), 6);
	assert_int_equal(in(7, 0), 0x20);
	assert_int_equal(in(8, 0), 0x11);
	assert_int_equal(in(9, 0), 0x26);
	assert_int_equal(in(0x32, 0), 0x20);
	assert_int_equal(in(0, S), 0);
	assert_int_equal(in(7, S), 0x21);
	assert_int_equal(in(6, S), 7);
}

TEST(vrtc, binary_and_12_hours)                 /* "Register B", DM and 24/12 */
{
	fresh(NOV_21_2026);
	out(0x0b, 0x04, 0);                             /* binary, 12 hours */
	assert_int_equal(in(4, 0), 0x80 | 11);
	assert_int_equal(in(0, 0), 59);
	assert_int_equal(in(4, S), 12);                 /* midnight is 12 AM */
	assert_int_equal(in(4, 12 * 3600 * S + S), 0x80 | 12);
	assert_int_equal(in(4, 13 * 3600 * S + S), 0x80 | 1);
}

TEST(vrtc, dates_agree_with_the_c_library)
{
	for (int64_t s = 0; s < 9000000000; s += 86400 * 13 + 12345) {
		time_t t = s;
		struct tm tm;

		fresh((uint64_t)s);
		out(0x0b, 0x06, 0);
		gmtime_r(&t, &tm);
		assert_int_equal(in(9, 0), tm.tm_year % 100);
		assert_int_equal(in(0x32, 0), (1900 + tm.tm_year) / 100);
		assert_int_equal(in(8, 0), tm.tm_mon + 1);
		assert_int_equal(in(7, 0), tm.tm_mday);
		assert_int_equal(in(6, 0), tm.tm_wday + 1);
		assert_int_equal(in(4, 0), tm.tm_hour);
	}
}

TEST(vrtc, setting_the_clock)                   /* "Register B", SET */
{
	fresh(NOV_21_2026);
	out(0x0b, 0x82, S / 4);
	out(0, 0x10, S / 4);
	out(2, 0x20, S / 4);
	out(4, 0x03, S / 4);
	out(7, 0x29, S / 4);
	out(8, 0x02, S / 4);
	out(9, 0x28, S / 4);
	assert_int_equal(in(0, 7 * S), 0x10);           /* stands still */
	out(0x0b, 0x02, 8 * S);
	assert_int_equal(in(0, 8 * S), 0x10);
	assert_int_equal(in(7, 8 * S), 0x29);           /* a leap day */
	assert_int_equal(in(0, 9 * S), 0x11);
	assert_int_equal(in(8, 8 * S + 86400 * S), 0x03);
	assert_int_equal(in(7, 8 * S + 86400 * S), 0x01);
}

TEST(vrtc, writing_without_set_changes_one_field)
{
	fresh(NOV_21_2026);
	out(9, 0x30, 0);
	assert_int_equal(in(9, 0), 0x30);
	assert_int_equal(in(8, 0), 0x11);
	assert_int_equal(in(4, 0), 0x23);
}

TEST(vrtc, divider_reset_starts_half_a_second_early)    /* "Register A", DV */
{
	fresh(NOV_21_2026);
	out(0x0a, 0x76, S / 8);
	assert_int_equal(in(0, 3 * S), 0x59);
	out(0x0a, 0x26, 3 * S);
	assert_int_equal(in(0, 3 * S + S / 2 - 1), 0x59);
	assert_int_equal(in(0, 3 * S + S / 2), 0x00);
}

TEST(vrtc, update_in_progress)                  /* "Update Cycle" */
{
	fresh(NOV_21_2026);
	assert_int_equal(in(0x0a, S - 2229000), 0x26);
	assert_int_equal(in(0x0a, S - 2228000), 0xa6);
	assert_int_equal(in(0x0a, S - 1), 0xa6);
	assert_int_equal(in(0x0a, S), 0x26);
	out(0x0b, 0x82, S);
	assert_int_equal(in(0x0a, 2 * S - 1), 0x26);    /* SET inhibits updates */
}

TEST(vrtc, periodic_interrupt)                  /* "Periodic Interrupt Selection" */
{
	static const struct { uint8_t rate; uint64_t ticks; } cases[] = {
		{ 1, 128 }, { 2, 256 }, { 3, 4 }, { 6, 32 }, { 15, 16384 },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		fresh(NOV_21_2026);
		out(0x0a, 0x20 | cases[i].rate, 0);
		out(0x0b, 0x42, 0);
		in(0x0c, 0);
		for (uint64_t k = 1; k < 4; k++) {
			uint64_t due = (k * cases[i].ticks * S + 32767) / 32768;

			assert_int_equal(vrtc_ops.deadline(&rtc), due);
			vrtc_ops.tick(&rtc, due);
			assert_true(irq.level);
			/* until it is acknowledged */
			assert_true(vrtc_ops.deadline(&rtc) == NEVER_NS);
			assert_int_equal(in(0x0c, due) & 0xc0, 0xc0);
			assert_false(irq.level);
		}
	}
}

TEST(vrtc, update_ended_interrupt)              /* "Update-Ended Interrupt" */
{
	fresh(NOV_21_2026);
	out(0x0b, 0x12, S / 3);
	assert_int_equal(vrtc_ops.deadline(&rtc), S);
	vrtc_ops.tick(&rtc, S);
	assert_true(irq.level);
	assert_int_equal(in(0x0c, S) & 0x90, 0x90);
	assert_int_equal(vrtc_ops.deadline(&rtc), 2 * S);
	out(0x0b, 0x92, S);                             /* SET clears UIE */
	assert_int_equal(in(0x0b, S), 0x82);
}

TEST(vrtc, flags_are_set_without_enables)       /* "Register C" */
{
	fresh(NOV_21_2026);
	assert_int_equal(in(0x0c, 5 * S) & 0xd0, 0x50);
	assert_int_equal(in(0x0c, 5 * S), 0);
	assert_false(irq.level);
}

TEST(vrtc, alarm)                               /* "Alarm", wild cards */
{
	fresh(NOV_21_2026);
	out(1, 0x30, 0);
	out(3, 0x00, 0);
	out(5, 0x01, 0);
	out(0x0b, 0x22, 0);
	in(0x0c, 0);
	assert_int_equal(vrtc_ops.deadline(&rtc), (1 + 3600 + 30) * S);
	vrtc_ops.tick(&rtc, (1 + 3600 + 30) * S);
	assert_int_equal(in(0x0c, (1 + 3600 + 30) * S) & 0xa0, 0xa0);
	out(5, 0xc0, (1 + 3600 + 30) * S);              /* every hour */
	assert_int_equal(vrtc_ops.deadline(&rtc), (1 + 7200 + 30) * S);
	out(3, 0xff, (1 + 3600 + 30) * S);              /* every minute */
	out(1, 0xff, (1 + 3600 + 30) * S);              /* every second */
	assert_int_equal(vrtc_ops.deadline(&rtc), (1 + 3600 + 31) * S);
	out(5, 0x99, (1 + 3600 + 30) * S);              /* never */
	assert_true(vrtc_ops.deadline(&rtc) == NEVER_NS);
}

TEST(vrtc, cmos_knows_the_memory)               /* where PC firmware keeps it */
{
	fresh(NOV_21_2026);
	assert_int_equal(in(0x15, 0) | in(0x16, 0) << 8, 640);
	assert_int_equal(in(0x17, 0) | in(0x18, 0) << 8, 0xffff);
	assert_int_equal(in(0x34, 0) | in(0x35, 0) << 8, (3 * GIB - 16 * MIB) / (64 * KIB));
	assert_int_equal(in(0x5b, 0) | in(0x5c, 0) << 8, 2 * GIB / (64 * KIB));
	assert_int_equal(in(0x0d, 0), 0x80);
	out(0x0f, 0x5a, 0);
	assert_int_equal(in(0x0f, 0), 0x5a);
	out(0x70 & 0x7f, 0x77, 0);
	assert_int_equal(in(0x70, 0), 0x77);
}

TEST(vrtc, section_is_complete_and_checked)
{
	static const struct derived derived[] =
		{ DERIVED(struct vrtc, clock), DERIVED(struct vrtc, irq) };

	fresh(NOV_21_2026);
	check_section(vrtc_ops.state, derived, COUNT(derived));
	assert_int_equal(vrtc_ops.state->check(&rtc), OK);
	REFUSED(vrtc_ops.state, rtc, bad.index = 0x80);
	REFUSED(vrtc_ops.state, rtc, bad.phase_ns = S);
	REFUSED(vrtc_ops.state, rtc, bad.offset_s = INT64_MIN);
	REFUSED(vrtc_ops.state, rtc, bad.cmos[10] |= 0x80);
}

/* --- ACPI fixed hardware ---------------------------------------------------------------------- */

static struct vpm pm;
static struct wire_end sci;
static char off[100], reset[100];

static void note_off(void *to, const char *why)   { (void)to; strncpy(off, why, sizeof(off) - 1); }
static void note_reset(void *to,
		       const char *why) { (void)to; strncpy(reset, why, sizeof(reset) - 1); }

static void pm_fresh(void)
{
	memset(&sci, 0, sizeof(sci));
	memset(off, 0, sizeof(off));
	memset(reset, 0, sizeof(reset));
	vpm_init(&pm, WIRE_TO(&sci), (struct power){ note_off, note_reset, NULL });
}

static void pm_out(uint64_t port, unsigned size, uint64_t v,
		   uint64_t now) { dev_out(&vpm_ops, &pm, port, size, v, now); }
static uint64_t pm_in(uint64_t port, unsigned size,
		      uint64_t now) { return dev_in(&vpm_ops, &pm, port, size, now); }

TEST(vpm, timer_counts_exactly)                 /* ACPI 6, "Power Management Timer" */
{
	pm_fresh();
	assert_int_equal(pm_in(0xb008, 4, 0), 0);
	assert_int_equal(pm_in(0xb008, 4, S), 3579545);
	assert_int_equal(pm_in(0xb008, 4, 100 * S), 357954500);
	assert_int_equal(pm_in(0xb008, 4, 3600 * S), (uint32_t)(3600ull * 3579545));
	assert_int_equal(pm_in(0xb009, 1, S), 3579545 >> 8 & 0xff);
}

TEST(vpm, timer_status_follows_the_top_bit)     /* ACPI 6, "PM1 Status Registers", TMR_STS */
{
	const uint64_t half = (BIT(31) * S + 3579544) / 3579545;

	pm_fresh();
	pm_out(0xb002, 2, 1, 0);
	assert_int_equal(vpm_ops.deadline(&pm), half);
	vpm_ops.tick(&pm, half);
	assert_true(sci.level);
	assert_int_equal(pm_in(0xb000, 2, half), 1);
	assert_true(vpm_ops.deadline(&pm) == NEVER_NS);
	pm_out(0xb000, 2, 1, half);                     /* write 1 to clear */
	assert_false(sci.level);
	assert_int_equal(vpm_ops.deadline(&pm), (2 * BIT(31) * S + 3579544) / 3579545);
}

TEST(vpm, power_button_raises_sci)              /* ACPI 6, "Fixed Power Button" */
{
	pm_fresh();
	vpm_power_button(&pm);
	assert_false(sci.level);
	pm_out(0xb000, 4, 0x01000000, 0);               /* enable, by a wide access */
	assert_true(sci.level);
	assert_int_equal(pm_in(0xb000, 4, 0), 0x01000100);
	pm_out(0xb001, 1, 1, 0);
	assert_false(sci.level);
}

TEST(vpm, s5_turns_off)                         /* ACPI 6, "PM1 Control Registers" */
{
	pm_fresh();
	assert_int_equal(pm_in(0xb004, 2, 0), 1);       /* SCI_EN: always ACPI mode */
	pm_out(0xb004, 2, 3 << 10 | BIT(13), 0);        /* a state that is not offered */
	assert_int_equal(off[0], 0);
	pm_out(0xb004, 2, 5 << 10, 0);
	assert_int_equal(off[0], 0);
	pm_out(0xb005, 1, (5 << 10 | BIT(13)) >> 8, 0);
	assert_int_not_equal(off[0], 0);
	assert_int_equal(pm_in(0xb004, 2, 0), 5 << 10 | 1);     /* SLP_EN is write-only */
}

TEST(vpm, keyboard_controller_is_absent_but_resets)     /* IBM PC/AT, 8042 command 0xfe */
{
	pm_fresh();
	assert_int_equal(pm_in(0x64, 1, 0), 0xff);
	assert_int_equal(pm_in(0x60, 1, 0), 0xff);
	pm_out(0x64, 1, 0xaa, 0);
	assert_int_equal(reset[0], 0);
	pm_out(0x64, 1, 0xfe, 0);
	assert_int_not_equal(reset[0], 0);
}

TEST(vpm, section_is_complete_and_checked)
{
	static const struct derived derived[] =
		{ DERIVED(struct vpm, sci), DERIVED(struct vpm, power) };

	pm_fresh();
	check_section(vpm_ops.state, derived, COUNT(derived));
	assert_int_equal(vpm_ops.state->check(&pm), OK);
	REFUSED(vpm_ops.state, pm, bad.pm1_status = 2);
	REFUSED(vpm_ops.state, pm, bad.pm1_enable = BIT(15));
	REFUSED(vpm_ops.state, pm, bad.pm1_control = 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(vrtc, date_in_bcd),
		CASE(vrtc, binary_and_12_hours),
		CASE(vrtc, dates_agree_with_the_c_library),
		CASE(vrtc, setting_the_clock),
		CASE(vrtc, writing_without_set_changes_one_field),
		CASE(vrtc, divider_reset_starts_half_a_second_early),
		CASE(vrtc, update_in_progress),
		CASE(vrtc, periodic_interrupt),
		CASE(vrtc, update_ended_interrupt),
		CASE(vrtc, flags_are_set_without_enables),
		CASE(vrtc, alarm),
		CASE(vrtc, cmos_knows_the_memory),
		CASE(vrtc, section_is_complete_and_checked),
		CASE(vpm, timer_counts_exactly),
		CASE(vpm, timer_status_follows_the_top_bit),
		CASE(vpm, power_button_raises_sci),
		CASE(vpm, s5_turns_off),
		CASE(vpm, keyboard_controller_is_absent_but_resets),
		CASE(vpm, section_is_complete_and_checked),
	};

	return cmocka_run_group_tests_name("vrtc and vpm", tests, NULL, NULL);
}
