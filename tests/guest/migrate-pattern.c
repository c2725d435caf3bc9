/* SPDX-License-Identifier: MIT */
/*
 * migrate-pattern - rewrites a checkable pattern over half of memory, for ever.
 *
 * Reason: it is migrated again and again while it runs; one lost page, register or tick shows.
 * All 512 words of a page follow from its number and its generation; a page is verified whole
 * before it gets the next generation.  Pages are visited in a scattered order.  At every heartbeat
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
#include "lib/pic.h"
#include "lib/state.h"
#include "lib/trap.h"

const char guest_name[] = "migrate-pattern";
const char guest_title[] = "memory, CPU and device state over migrations";

enum {
	TICK_HZ = 100, IRQ_PIT = 0, WORDS = 512,
	FIRST_STRIDE = 40503, FLAT_OUT_BATCH = 64,
};
#define FIRST_PAGE  (4 * MIB)
#define STEP        UINT64_C(0x9e3779b97f4a7c15)

static uint32_t *generations;                    /* per page, above the image           */
static uint64_t page_count, stride, cursor, written;
static uint64_t last_tsc, last_ns;
static bool has_kvmclock;
static volatile uint64_t ticks;

static void on_tick(struct trap_frame *frame)
{
	(void)frame;
	ticks++;
	pic_eoi(IRQ_PIT);
}

static uint64_t *page_at(uint64_t number)
{
	return (uint64_t *)(uintptr_t)(FIRST_PAGE + number * PAGE_SIZE);
}

static uint64_t first_word(uint64_t number, uint32_t generation)
{
	return (number + 1) * STEP ^ (uint64_t)generation << 32;
}

static void fill(uint64_t number, uint32_t generation)
{
	uint64_t *page = page_at(number), word = first_word(number, generation);

	for (unsigned i = 0; i < WORDS; i++, word += STEP)
		page[i] = word;
	generations[number] = generation;
}

static void verify(uint64_t number)
{
	uint64_t *page = page_at(number), word = first_word(number, generations[number]);

	for (unsigned i = 0; i < WORDS; i++, word += STEP)
		CHECK(page[i] == word, "page %lx word %u of generation %u holds %lx, not %lx",
		      (uint64_t)(uintptr_t)page, i, generations[number], page[i], word);
}

static void rewrite(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		verify(cursor);
		fill(cursor, generations[cursor] + 1);
		cursor = (cursor + stride) % page_count;
		written++;
	}
}

static uint64_t divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
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

	page_count = guest_option("pages", half < most ? half : most);
	CHECK(page_count > 0 && page_count <= most, "pages=%lu, there is room for %lu", page_count,
	      most);
	generations = (uint32_t *)(uintptr_t)guest_ram_free();
	CHECK(guest_ram_free() + page_count * sizeof(*generations) <= FIRST_PAGE, "too many pages");
	stride = FIRST_STRIDE;
	while (divisor(stride, page_count) != 1)
		stride++;                        /* coprime: every page gets its turn */
	for (uint64_t n = 0; n < page_count; n++)
		fill(n, 0);
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
		rewrite(FLAT_OUT_BATCH);
		insn_sti();
	} else {
		due += rate;
		rewrite(due / TICK_HZ);
		due %= TICK_HZ;
		insn_sti_hlt();
	}
	insn_cli();
}

static void beat(uint64_t number)
{
	check_clocks();
	state_check();
	guest_print("migrate-pattern: beat %lu, %lu pages written, tick %lu\n", number, written,
		    ticks);
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
	guest_print("migrate-pattern: %lu pages from %lx, %lu a second, kvm-clock %s\n", page_count,
		    (uint64_t)FIRST_PAGE, rate, has_kvmclock ? "yes" : "no");
	for (uint64_t number = 1; number <= beats; number++) {
		uint64_t end = ticks + TICK_HZ;
		while (ticks < end)
			work_until_tick(rate);
		beat(number);
	}
	for (uint64_t n = 0; n < page_count; n++)
		verify(n);
}
