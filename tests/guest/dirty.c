/* SPDX-License-Identifier: MIT */
/*
 * dirty - writes exactly known pages in rounds, and says which.
 *
 * Reason: a hypervisor that tracks dirty pages must report these, no fewer, and besides them only
 * the guest's own image (code, stack, page tables: image line) and pages that devices wrote.
 * Options: pages=N per round (600), rounds=R (3), first=ADDRESS (4 MiB), gap=G pages from one to
 * the next (3); `step` waits for a byte on COM1 before each round, so that the harvest of one
 * round is over before the next begins.  Round r writes 8 bytes into page
 * first + (i * gap + r % gap) * 4 KiB, i from 0 to N-1; all other free pages are only read.
 * Verdict: PASS when every page still holds what the last round that wrote it put there.
 */
#include "lib/guest.h"
#include "lib/insn.h"

const char guest_name[] = "dirty";
const char guest_title[] =
	"pages written in rounds (SDM vol. 3, \"Accessed and Dirty Flags for EPT\")";

enum { COM1_LSR = COM1 + 5, LSR_DATA_READY = 1 };

struct plan { uint64_t pages, rounds, first, gap; };

static volatile uint64_t *page_of(const struct plan *p, uint64_t i, uint64_t round)
{
	return (volatile uint64_t *)(uintptr_t)(p->first +
						(i * p->gap + round % p->gap) * PAGE_SIZE);
}

static uint64_t value_of(const struct plan *p, uint64_t i, uint64_t round)
{
	return (uint64_t)(uintptr_t)page_of(p, i, round) ^ (round + 1) << 48;
}

static void await_byte(void)
{
	while (!(insn_inb(COM1_LSR) & LSR_DATA_READY))
		insn_pause();
	insn_inb(COM1);
}

static void check_round(const struct plan *p, uint64_t round)
{
	for (uint64_t i = 0; i < p->pages; i++) {
		volatile uint64_t *page = page_of(p, i, round);
		CHECK(*page == value_of(p, i, round), "round %lu: page %lx holds %lx, not %lx",
		      round, (uint64_t)(uintptr_t)page, *page, value_of(p, i, round));
	}
}

void guest_main(void)
{
	struct plan p = {
		.pages = guest_option("pages", 600), .rounds = guest_option("rounds", 3),
		.first = guest_option("first", 4 * MIB), .gap = guest_option("gap", 3),
	};
	bool step = guest_has_option("step");

	CHECK(p.gap > 0, "gap=0");
	CHECK(p.first >= guest_ram_free(), "first=%lx is inside the image", p.first);
	CHECK((uint64_t)(uintptr_t)page_of(&p, p.pages, 0) <= guest_ram_end(), "too many pages");
	guest_print("dirty: image 100000 to %lx\n", guest_ram_free());
	for (uint64_t round = 0; round < p.rounds; round++) {
		if (step)
			await_byte();
		for (uint64_t i = 0; i < p.pages; i++)
			*page_of(&p, i, round) = value_of(&p, i, round);
		guest_print("dirty: round %lu pages %lu first %lx gap %lu\n", round, p.pages,
			    (uint64_t)(uintptr_t)page_of(&p, 0, round), p.gap);
	}
	if (step)
		await_byte();
	for (uint64_t back = 0; back < p.gap && back < p.rounds; back++)
		check_round(&p, p.rounds - 1 - back);
}
