/* SPDX-License-Identifier: MIT */
/*
 * spin - takes the CPU and never gives it back.
 *
 * Reason: a guest that computes, with interrupts off and without a single exit of its own, must not
 * keep the host from anything, nor another guest from its share.  Option `ms=N`: end after so long
 * (by the PM timer); 0, the default, is never.  Verdict: PASS at the end, if there is one.
 */
#include "lib/clock.h"
#include "lib/guest.h"

const char guest_name[] = "spin";
const char guest_title[] = "a loop without exits, interrupts off";

static volatile uint64_t rounds;

void guest_main(void)
{
	uint64_t ms = guest_option("ms", 0);

	guest_print("spin: begins\n");
	guest_flush();
	if (ms)
		clock_wait_us(ms * 1000);
	while (!ms)
		rounds++;
}
