/* SPDX-License-Identifier: MIT */
/*
 * migrate-pattern - rewrites a checkable pattern over half of memory, for ever.
 *
 * Reason: it is migrated again and again while it runs; one lost page, register or tick shows.
 * Every page is verified whole before it is written again (lib/pattern).  At every heartbeat
 * lib/state checks the rest of the machine, and clocks must not have gone back.
 * Options: pages=N (half of memory), rate=PAGES a second (200; 0: as fast as it can),
 * beats=N heartbeats of 1 s, then a last look at every page and PASS (default: never).
 * Verdict: FAIL with the page and the word; a missing heartbeat is a hang.
 */
#include "lib/apic.h"
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/kvmclock.h"
#include "lib/pattern.h"
#include "lib/pic.h"
#include "lib/state.h"
#include "lib/trap.h"

const char guest_name[] = "migrate-pattern";
const char guest_title[] = "memory, CPU and device state over migrations";

enum { TICK_HZ = 100, IRQ_PIT = 0, FLAT_OUT_BATCH = 64 };
#define FIRST_PAGE  (4 * MIB)

static struct pattern pattern;                   /* generations: just above the image */
static uint64_t last_tsc, last_ns;
static bool has_kvmclock;
static volatile uint64_t ticks;

static void on_tick(struct trap_frame *frame)
{
	(void)frame;
	ticks++;
	pic_eoi(IRQ_PIT);
}

static void check_clocks(void)
{
	uint64_t tsc = insn_rdtsc();

	CHECK(tsc >= last_tsc, "the TSC went back by %lu", last_tsc - tsc);
	last_tsc = tsc;
	if (!has_kvmclock)
		return;
	uint64_t ns = kvmclock_ns();
	CHECK(ns >= last_ns, "kvm-clock went back by %lu ns", last_ns - ns);
	last_ns = ns;
}

static void set_up_memory(void)
{
	uint64_t half = guest_ram_end() / 2 / PAGE_SIZE;
	uint64_t most = (guest_ram_end() - FIRST_PAGE) / PAGE_SIZE;

	pattern.first = FIRST_PAGE;
	pattern.count = guest_option("pages", half < most ? half : most);
	pattern.generations = (uint32_t *)(uintptr_t)guest_ram_free();
	CHECK(pattern.count > 0 && pattern.count <= most, "pages=%lu, there is room for %lu",
	      pattern.count, most);
	CHECK(guest_ram_free() + pattern.count * sizeof(*pattern.generations) <= FIRST_PAGE,
	      "too many pages");
	pattern_start(&pattern);
}

static void set_up_ticks(void)
{
	apic_enable(false);
	apic_write(APIC_LVT_LINT0, LVT_EXTINT);
	trap_handle(VECTOR_FIRST_IRQ + IRQ_PIT, on_tick);
	pit_periodic_hz(TICK_HZ);
	pic_unmask(IRQ_PIT);
}

/* The pages that are due with this tick, then sleep until the next; flat out: a batch, no sleep. */
static void work_until_tick(uint64_t rate)
{
	static uint64_t due;                     /* in pages / TICK_HZ */

	if (!rate) {
		pattern_rewrite(&pattern, FLAT_OUT_BATCH);
		insn_sti();
	} else {
		due += rate;
		pattern_rewrite(&pattern, due / TICK_HZ);
		due %= TICK_HZ;
		insn_sti_hlt();
	}
	insn_cli();
}

static void beat(uint64_t number)
{
	check_clocks();
	state_check();
	guest_print("migrate-pattern: beat %lu, %lu pages written, tick %lu, TSC %lu\n", number,
		    pattern.written, ticks, last_tsc);
}

void guest_main(void)
{
	uint64_t rate = guest_option("rate", 200), beats = guest_option("beats", UINT64_MAX);

	set_up_memory();
	set_up_ticks();
	has_kvmclock = kvmclock_present();
	if (has_kvmclock)
		kvmclock_start();
	state_fill();
	guest_print("migrate-pattern: %lu pages from %lx, %lu a second, kvm-clock %s\n",
		    pattern.count, (uint64_t)FIRST_PAGE, rate, has_kvmclock ? "yes" : "no");
	for (uint64_t number = 1; number <= beats; number++) {
		uint64_t end = ticks + TICK_HZ;
		while (ticks < end)
			work_until_tick(rate);
		beat(number);
	}
	pattern_verify(&pattern);
}
