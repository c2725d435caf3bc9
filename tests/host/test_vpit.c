/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vpit.c - the 8254 against Intel's data sheet; each test names its section.
 *
 * Time is given in ticks of the 1.193182 MHz clock: at(n) is the first nanosecond of tick n.  A
 * count written in tick 0 is loaded by the pulse that begins tick 1.
 */
#include "tests/host/devtest.h"

#include "vmm/dev/ticks.h"
#include "vmm/dev/vpit.h"

static struct vpit pit;
static struct wire_end irq;

static uint64_t at(uint64_t tick) { return ticks_ns(tick, VPIT_HZ); }

static void fresh(void)
{
	memset(&irq, 0, sizeof(irq));
	vpit_init(&pit, WIRE_TO(&irq));
}

static void out(uint64_t port, uint8_t v,
		uint64_t tick) { dev_out(&vpit_ops, &pit, port, 1, v, at(tick)); }
static uint8_t in(uint64_t port,
		  uint64_t tick)          { return (uint8_t)dev_in(&vpit_ops, &pit, port, 1,
		  	at(tick)); }

/* Program counter c with low and high byte in tick `tick`. */
static void program(unsigned c, unsigned mode, unsigned n, uint64_t tick)
{
	out(0x43, (uint8_t)(c << 6 | 0x30 | mode << 1), tick);
	out(0x40 + c, (uint8_t)n, tick);
	out(0x40 + c, (uint8_t)(n >> 8), tick);
}

static unsigned count(unsigned c, uint64_t tick)
{
	unsigned low;

	out(0x43, (uint8_t)(c << 6), tick);             /* latch */
	low = in(0x40 + c, tick);
	return low | (unsigned)in(0x40 + c, tick) << 8;
}

static bool out_pin(unsigned c, uint64_t tick)
{
	out(0x43, (uint8_t)(0xe0 | 2 << c), tick);      /* read-back of the status */
	return in(0x40 + c, tick) & 0x80;
}

static void gate2(bool level, uint64_t tick) { out(0x61, level, tick); }

TEST(vpit, ticks_are_exact)
{
	for (uint64_t s = 0; s < 4; s++) {
		assert_int_equal(ticks_at(s * 1000000007 * NS_PER_S, VPIT_HZ),
				 s * 1000000007 * VPIT_HZ);
		assert_int_equal(ticks_at(at(s * 12345677), VPIT_HZ), s * 12345677);
		assert_int_equal(ticks_at(at(s * 12345677 + 1) - 1, VPIT_HZ), s * 12345677);
	}
}

TEST(vpit, mode_0_rises_at_terminal_count)      /* "Mode 0: Interrupt on Terminal Count" */
{
	fresh();
	program(0, 0, 4, 0);
	assert_int_equal(vpit_ops.deadline(&pit), at(5));       /* N + 1 pulses after the write */
	assert_false(out_pin(0, 0));
	assert_int_equal(count(0, 1), 4);
	assert_int_equal(count(0, 3), 2);
	assert_false(out_pin(0, 4));
	assert_false(irq.level);
	vpit_ops.tick(&pit, at(5));
	assert_true(out_pin(0, 5));
	assert_int_equal(irq.rises, 1);
	assert_true(irq.level);
	assert_int_equal(count(0, 6), 0xffff);          /* it counts on */
	assert_true(vpit_ops.deadline(&pit) == NEVER_NS);
}

TEST(vpit, mode_0_first_byte_stops_it)          /* "Mode 0", two-byte count */
{
	fresh();
	program(0, 0, 1000, 0);
	out(0x40, 5, 10);
	assert_false(out_pin(0, 5000));
	out(0x40, 0, 20);
	assert_int_equal(count(0, 21), 5);
	assert_true(out_pin(0, 26));
}

TEST(vpit, mode_0_gate_holds_the_count)         /* "Gate Pin Operations Summary" */
{
	fresh();
	gate2(true, 0);
	program(2, 0, 100, 0);
	gate2(false, 41);
	assert_int_equal(count(2, 41), 60);
	assert_int_equal(count(2, 1000), 60);
	gate2(true, 1000);
	assert_int_equal(count(2, 1010), 50);
}

TEST(vpit, mode_1_is_retriggered_by_the_gate)   /* "Mode 1: Hardware Retriggerable One-Shot" */
{
	fresh();
	program(2, 1, 10, 0);
	assert_true(out_pin(2, 50));
	gate2(true, 100);
	assert_false(out_pin(2, 101));
	assert_false(out_pin(2, 110));
	assert_true(out_pin(2, 111));
	gate2(false, 120);
	gate2(true, 200);
	gate2(false, 203);
	gate2(true, 205);
	assert_false(out_pin(2, 215));
	assert_true(out_pin(2, 216));
}

TEST(vpit, mode_2_pulses_every_n)               /* "Mode 2: Rate Generator" */
{
	fresh();
	program(0, 2, 4, 0);
	assert_true(irq.level);
	irq.rises = 0;
	for (unsigned k = 1; k <= 5; k++) {
		assert_int_equal(vpit_ops.deadline(&pit), at(1 + 4 * k));
		vpit_ops.tick(&pit, at(1 + 4 * k));
		assert_int_equal(irq.rises, k);
	}
	assert_int_equal(count(0, 25), 4);
	assert_int_equal(count(0, 28), 1);
	assert_false(out_pin(0, 28));
	assert_true(out_pin(0, 29));
	assert_int_equal(count(0, 29), 4);
	assert_int_equal(irq.rises, 6 + 1);     /* a write brings the edges up to date */
}

TEST(vpit, mode_2_new_count_waits_for_the_period)     /* "Mode 2", writing a count while counting */
{
	fresh();
	program(0, 2, 10, 0);
	out(0x40, 20, 5);
	out(0x40, 0, 5);
	assert_int_equal(vpit_ops.deadline(&pit), at(11));
	vpit_ops.tick(&pit, at(11));
	assert_int_equal(count(0, 11), 20);
	assert_int_equal(vpit_ops.deadline(&pit), at(31));
}

TEST(vpit, mode_2_gate_reloads)                 /* "Mode 2", gate; "Gate Pin Operations Summary" */
{
	fresh();
	gate2(true, 0);
	program(2, 2, 10, 0);
	gate2(false, 10);                               /* in its last count, OUT is low ... */
	assert_true(out_pin(2, 10));                    /* ... and goes high at once         */
	gate2(true, 100);
	assert_int_equal(count(2, 101), 10);
	assert_false(out_pin(2, 110));
}

TEST(vpit, mode_3_square_wave)  /* "Mode 3: Square Wave Mode", even and odd counts */
{
	static const unsigned even[] = { 6, 4, 2, 6, 4, 2, 6 }, odd[] = { 4, 2, 0, 4, 2, 4 };

	fresh();
	program(0, 3, 6, 0);
	for (unsigned i = 0; i < COUNT(even); i++) {
		assert_int_equal(count(0, 1 + i), even[i]);
		assert_int_equal(out_pin(0, 1 + i), i % 6 < 3);
	}
	program(0, 3, 5, 100);
	irq.rises = 0;
	assert_int_equal(vpit_ops.deadline(&pit), at(106));
	for (unsigned i = 0; i < COUNT(odd); i++) {
		assert_int_equal(count(0, 101 + i), odd[i]);
		assert_int_equal(out_pin(0, 101 + i), i % 5 < 3);
	}
	assert_int_equal(irq.rises, 1);
}

TEST(vpit, mode_3_new_count_waits_for_the_half) /* "Mode 3", writing a count while counting */
{
	fresh();
	program(0, 3, 10, 0);
	out(0x40, 4, 2);
	out(0x40, 0, 2);                                /* first half ends at tick 6 */
	assert_int_equal(vpit_ops.deadline(&pit), at(8));       /* low half of the new wave: 2 */
	assert_true(out_pin(0, 5));
	assert_false(out_pin(0, 6));
	assert_false(out_pin(0, 7));
	assert_true(out_pin(0, 8));
}

TEST(vpit, mode_4_strobes_once)                 /* "Mode 4: Software Triggered Strobe" */
{
	fresh();
	program(0, 4, 5, 0);
	irq.rises = 0;
	assert_int_equal(vpit_ops.deadline(&pit), at(7));
	assert_true(out_pin(0, 5));
	assert_false(out_pin(0, 6));                    /* N + 1 after the write, for one pulse */
	vpit_ops.tick(&pit, at(7));
	assert_true(out_pin(0, 7));
	assert_int_equal(irq.rises, 1);
	assert_true(vpit_ops.deadline(&pit) == NEVER_NS);
	out(0x40, 3, 100);
	out(0x40, 0, 100);                              /* a new count retriggers */
	assert_int_equal(vpit_ops.deadline(&pit), at(105));
}

TEST(vpit, mode_5_strobes_after_the_gate)       /* "Mode 5: Hardware Triggered Strobe" */
{
	fresh();
	program(2, 5, 5, 0);
	assert_true(out_pin(2, 50));
	gate2(true, 100);
	assert_true(out_pin(2, 105));
	assert_false(out_pin(2, 106));
	assert_true(out_pin(2, 107));
}

TEST(vpit, modes_6_and_7_are_2_and_3)           /* "Control Word Format" */
{
	fresh();
	program(0, 6, 4, 0);
	assert_false(out_pin(0, 4));
	program(0, 7, 4, 100);
	assert_false(out_pin(0, 103));
}

TEST(vpit, zero_is_the_largest_count)           /* "Write Operations"; BCD: 10^4 */
{
	fresh();
	program(0, 2, 0, 0);
	assert_int_equal(vpit_ops.deadline(&pit), at(1 + 65536));
	out(0x43, 0x35, 0);
	out(0x40, 0, 0);
	out(0x40, 0, 0);
	assert_int_equal(vpit_ops.deadline(&pit), at(1 + 10000));
	assert_int_equal(count(0, 2), 0x9999);
}

TEST(vpit, bcd_counts_in_decimal)               /* "Control Word Format", BCD */
{
	fresh();
	out(0x43, 0x31, 0);
	out(0x40, 0x00, 0);
	out(0x40, 0x12, 0);                             /* 1200 */
	assert_int_equal(count(0, 2), 0x1199);
	assert_int_equal(count(0, 1202), 0x9999);       /* wraps in decimal too */
	assert_int_equal(count(0, 1202 + 123456 * 10000ull), 0x9999);
}

TEST(vpit, latch_holds_until_read)              /* "Counter Latch Command" */
{
	fresh();
	program(0, 2, 1000, 0);
	out(0x43, 0x00, 11);
	out(0x43, 0x00, 500);                           /* ignored: the first is not read yet */
	assert_int_equal(in(0x40, 600), (1000 - 10) & 0xff);
	assert_int_equal(in(0x40, 700), (1000 - 10) >> 8);
	assert_int_equal(in(0x40, 801), 200);           /* live again */
}

TEST(vpit, read_back_status_then_count)         /* "Read-Back Command" */
{
	fresh();
	program(0, 2, 0x1234, 0);
	out(0x43, 0xc2, 0);     /* both, counter 0: written, not yet loaded */
	assert_int_equal(in(0x40, 0), 0xf4);            /* OUT, NULL COUNT, access 3, mode 2 */
	in(0x40, 0);
	in(0x40, 0);
	out(0x43, 0xe2, 3);
	assert_int_equal(in(0x40, 3), 0xb4);
	out(0x43, 0xd2, 3);                             /* count only */
	assert_int_equal(in(0x40, 9), 0x32);
	assert_int_equal(in(0x40, 9), 0x12);
}

TEST(vpit, single_byte_access)                  /* "Write Operations", "Read Operations" */
{
	fresh();
	out(0x43, 0x14, 0);                             /* low byte only */
	out(0x40, 100, 0);
	assert_int_equal(in(0x40, 11), 90);
	out(0x43, 0x24, 20);                            /* high byte only */
	out(0x40, 2, 20);
	assert_int_equal(in(0x40, 21), 2);
	assert_int_equal(vpit_ops.deadline(&pit), at(21 + 512));
}

TEST(vpit, no_storm_and_no_drift_after_a_pause)
{
	fresh();
	program(0, 2, 1000, 0);
	irq.rises = 0;
	vpit_ops.tick(&pit, at(1 + 57 * 1000 + 3));     /* 57 edges that nobody saw are one */
	assert_int_equal(irq.rises, 1);
	assert_int_equal(vpit_ops.deadline(&pit), at(1 + 58 * 1000));
}

TEST(vpit, port_61)                             /* IBM PC/AT, "System Control Port B" */
{
	fresh();
	out(0x61, 0x03, 0);
	assert_int_equal(in(0x61, 0) & 0x0f, 3);
	program(2, 0, 100, 0);
	assert_int_equal(in(0x61, 50) & 0x20, 0);
	assert_int_equal(in(0x61, 101) & 0x20, 0x20);
	assert_int_not_equal(in(0x61, 0) & 0x10, in(0x61, 18) & 0x10);  /* refresh toggles */
}

TEST(vpit, section_is_complete_and_checked)
{
	static const struct derived derived[] = { DERIVED(struct vpit, irq) };

	fresh();
	program(0, 2, 1000, 0);
	check_section(vpit_ops.state, derived, COUNT(derived));
	assert_int_equal(vpit_ops.state->check(&pit), OK);
	REFUSED(vpit_ops.state, pit, bad.count[1] = 65537);
	REFUSED(vpit_ops.state, pit, bad.counting[1] = 1);
	REFUSED(vpit_ops.state, pit, bad.next[2] = 1);
	REFUSED(vpit_ops.state, pit, bad.gate[0] = 2);
	REFUSED(vpit_ops.state, pit, bad.latched[0] = 3);
	REFUSED(vpit_ops.state, pit, bad.control[0] = 0xc0);
	REFUSED(vpit_ops.state, pit, bad.port61 = 0x10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(vpit, ticks_are_exact),
		CASE(vpit, mode_0_rises_at_terminal_count),
		CASE(vpit, mode_0_first_byte_stops_it),
		CASE(vpit, mode_0_gate_holds_the_count),
		CASE(vpit, mode_1_is_retriggered_by_the_gate),
		CASE(vpit, mode_2_pulses_every_n),
		CASE(vpit, mode_2_new_count_waits_for_the_period),
		CASE(vpit, mode_2_gate_reloads),
		CASE(vpit, mode_3_square_wave),
		CASE(vpit, mode_3_new_count_waits_for_the_half),
		CASE(vpit, mode_4_strobes_once),
		CASE(vpit, mode_5_strobes_after_the_gate),
		CASE(vpit, modes_6_and_7_are_2_and_3),
		CASE(vpit, zero_is_the_largest_count),
		CASE(vpit, bcd_counts_in_decimal),
		CASE(vpit, latch_holds_until_read),
		CASE(vpit, read_back_status_then_count),
		CASE(vpit, single_byte_access),
		CASE(vpit, no_storm_and_no_drift_after_a_pause),
		CASE(vpit, port_61),
		CASE(vpit, section_is_complete_and_checked),
	};

	return cmocka_run_group_tests_name("vpit", tests, NULL, NULL);
}
