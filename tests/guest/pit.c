/* SPDX-License-Identifier: MIT */
/*
 * pit - the 8254 counts at 1.193182 MHz against the PM timer, in the modes that kernels use.
 *
 * Reason: kernels calibrate the TSC with channel 2; a wrong rate is wrong time for ever.
 * Verdict: PASS when channel 0 (mode 2) and channel 2 (mode 0, gate and output by port 0x61) keep
 * within 2 % of the PM timer, and the read-back command reports the mode.
 */
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/pic.h"

const char guest_name[] = "pit";
const char guest_title[] =
	"8254 rate and modes (8254 data sheet, \"Mode Definitions\", \"Read-Back\")";

enum {
	GATE2 = 0x01, SPEAKER = 0x02, OUT2 = 0x20,                  /* port 0x61           */
	READ_BACK_STATUS_0 = 0xe2, STATUS_RW_MODE = 0x3e,
	STATUS_BOTH_BYTES_MODE_2 = 3 << 4 | 2 << 1,
	TEN_MS = PIT_HZ / 100, POLLS_MAX = 10000000, PER_MILLE_MAX = 20, CLOCK_READS = 8,
};

/* How far `value` is from `expected`, in thousandths of it. */
static uint64_t per_mille(uint64_t value, uint64_t expected)
{
	uint64_t off = value > expected ? value - expected : expected - value;

	return off * 1000 / expected;
}

static void check_channel_0(void)
{
	pit_start(0, PIT_MODE_RATE, 0);
	clock_wait_us(1000);
	uint32_t pm = clock_pm_read();
	uint16_t first = pit_read(0);
	clock_wait_us(30000);                    /* less than a period of 54.9 ms */
	uint64_t elapsed = clock_pm_since(pm);
	uint16_t last = pit_read(0);
	uint64_t ticks = (uint16_t)(first - last);
	uint64_t expected = elapsed * PIT_HZ / CLOCK_PM_HZ;

	guest_print("pit: channel 0 counted %lu, PM timer says %lu\n", ticks, expected);
	CHECK(per_mille(ticks, expected) <= PER_MILLE_MAX, "channel 0: %lu, not %lu", ticks,
	      expected);
	insn_outb(PIT_COMMAND, READ_BACK_STATUS_0);
	uint8_t status = insn_inb(PIT_CHANNEL0);
	CHECK((status & STATUS_RW_MODE) == STATUS_BOTH_BYTES_MODE_2, "read-back status %x", status);
}

/* PM ticks that one port read takes: not nothing, where each is an exit and the TSC is slow. */
static uint64_t read_cost(void)
{
	uint32_t pm = clock_pm_read();

	for (int i = 0; i < CLOCK_READS; i++)
		insn_inb(PORT_SYSTEM_B);
	return clock_pm_since(pm) / CLOCK_READS + 1;
}

static void check_channel_2(void)
{
	uint8_t system_b = insn_inb(PORT_SYSTEM_B) & (uint8_t)~(GATE2 | SPEAKER);
	int polls = 0;

	insn_outb(PORT_SYSTEM_B, system_b);              /* gate closed: no counting */
	pit_start(2, PIT_MODE_ONE_SHOT, TEN_MS);
	CHECK(!(insn_inb(PORT_SYSTEM_B) & OUT2), "mode 0: output is high after loading");
	clock_wait_us(15000);
	if (guest_has_option("lenient"))         /* QEMU's own 8254 counts on; start again */
		pit_start(2, PIT_MODE_ONE_SHOT, TEN_MS);
	CHECK(!(insn_inb(PORT_SYSTEM_B) & OUT2), "channel 2 counts while its gate is closed");
	uint64_t slack = CLOCK_READS * read_cost();
	uint32_t pm = clock_pm_read();
	insn_outb(PORT_SYSTEM_B, system_b | GATE2);
	while (!(insn_inb(PORT_SYSTEM_B) & OUT2))
		CHECK(++polls < POLLS_MAX, "channel 2 never ends");
	uint64_t ticks = clock_pm_since(pm);
	uint64_t expected = (uint64_t)TEN_MS * CLOCK_PM_HZ / PIT_HZ;
	guest_print("pit: channel 2 took %lu PM ticks of %lu\n", ticks, expected);
	CHECK(ticks + expected * PER_MILLE_MAX / 1000 >= expected, "channel 2 took only %lu",
	      ticks);
	CHECK(ticks <= expected + expected * PER_MILLE_MAX / 1000 + slack,
	      "channel 2 took %lu, not %lu with %lu for our own reads", ticks, expected, slack);
}

void guest_main(void)
{
	check_channel_0();
	check_channel_2();
}
