/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/paging.c - the host's own page tables.
 *
 * One to one, so that a host-physical address is a pointer.  Nothing is both writable and
 * executable; page 0 and the guard pages below stacks are absent.  Ranges are mapped with the
 * largest leaves that fit; a leaf in the way of a smaller change is split.  Table pages come from
 * the page allocator and are never given back.  boot/main.c decides what is mapped; drivers add
 * their registers.
 */
#include "arch/x86_64/paging.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/defs/pte.h"
#include "arch/x86_64/image.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/stack.h"
#include "lib/log.h"
#include "lib/pages.h"

/* Levels count from the bottom: a leaf of level 0 is 4 KiB, 1 is 2 MiB, 2 is 1 GiB. */
#define TOP_LEVEL       3
#define LEVEL_SHIFT(l)  (PAGE_SHIFT + PTE_INDEX_BITS * (l))
#define LEVEL_SIZE(l)   (1ull << LEVEL_SHIFT(l))
#define LINEAR_LIMIT    (1ull << (LEVEL_SHIFT(TOP_LEVEL + 1) - 1))     /* the lower half */

static uint64_t *top;                   /* the PML4; NULL before paging_init() */
static uint64_t table_pages;
static bool frozen;                     /* other CPUs use the tables */
static unsigned large_levels;           /* the highest level with leaves: 1, or 2 (1 GiB) */
static uint64_t phys_limit;             /* first address that this CPU cannot have */

static unsigned index_of(uint64_t address, unsigned level)
{
	return (unsigned)(address >> LEVEL_SHIFT(level)) % PTE_COUNT;
}

static uint64_t *table_of(uint64_t entry)
{
	return (uint64_t *)(entry & PTE_ADDRESS);
}

static bool is_leaf(uint64_t entry, unsigned level)
{
	return level == 0 || (entry & PTE_LARGE);
}

/* A leaf's bits without its address and size. */
static uint64_t leaf_bits(uint64_t rights)
{
	uint64_t bits = PTE_PRESENT | PTE_ACCESSED;

	ASSERT(!((rights & MAP_WRITE) && (rights & MAP_EXEC)));
	if (rights & MAP_WRITE)
		bits |= PTE_WRITE | PTE_DIRTY;
	if (!(rights & MAP_EXEC))
		bits |= PTE_NX;
	if (rights & MAP_DEVICE)
		bits |= PTE_PCD | PTE_PWT;      /* PAT entry 3, see cpu.c */
	else if (rights & MAP_COMBINE)
		bits |= PTE_PWT;                /* PAT entry 1            */
	return bits;
}

static enum err new_table(uint64_t **out)
{
	hpa_t page;
	enum err e = page_alloc(&page);

	if (e != OK)
		return e;
	table_pages++;
	*out = hpa_ptr(page);
	return OK;
}

/* Make `entry` of `level` point to a table: a fresh one, or one that maps what the leaf mapped. */
static enum err open_table(uint64_t *entry, unsigned level)
{
	uint64_t *table, old = *entry;
	enum err e = new_table(&table);

	ASSERT(!frozen || !(old & PTE_PRESENT));
	if (e != OK)
		return e;
	if (old & PTE_PRESENT)
		for (uint64_t i = 0; i < PTE_COUNT; i++)
			table[i] = (level == 1 ? old & ~PTE_LARGE : old) +
			           i * LEVEL_SIZE(level - 1);
	*entry = (uintptr_t)table | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	return OK;
}

/* The entry of `level` for `address`, with tables made on the way down. */
static enum err entry_at(uint64_t address, unsigned level, uint64_t **out)
{
	uint64_t *table = top;

	for (unsigned l = TOP_LEVEL; l > level; l--) {
		uint64_t *entry = &table[index_of(address, l)];
		if (!(*entry & PTE_PRESENT) || is_leaf(*entry, l)) {
			enum err e = open_table(entry, l);
			if (e != OK)
				return e;
		}
		table = table_of(*entry);
	}
	*out = &table[index_of(address, level)];
	return OK;
}

/* The largest leaf that begins at `address` and ends by `end`. */
static unsigned level_for(uint64_t address, uint64_t end)
{
	for (unsigned level = large_levels; level > 0; level--)
		if (!(address % LEVEL_SIZE(level)) && end - address >= LEVEL_SIZE(level))
			return level;
	return 0;
}

/* As entry_at(), but where there is a table in place of the leaf, go down to a leaf within it. */
static enum err entry_for_leaf(uint64_t address, unsigned *level, uint64_t **out)
{
	for (;; --*level) {
		enum err e = entry_at(address, *level, out);
		if (e != OK || !(**out & PTE_PRESENT) || is_leaf(**out, *level))
			return e;
	}
}

/* Below 1 MiB memory types change from page to page (SDM vol. 3, "Fixed Range MTRRs"). */
#define FIXED_TYPES_END FRAME_SIZE

enum err paging_map(hpa_t base, uint64_t len, uint64_t rights)
{
	uint64_t at = ALIGN_DOWN(base.v, PAGE_SIZE), end;

	if (__builtin_add_overflow(base.v, len, &end) || end > MIN(phys_limit, LINEAR_LIMIT))
		return fail(ERR_BAD_ARGUMENT,
		            "cannot map 0x%lx bytes at 0x%lx: beyond this CPU's addresses", len,
		            base.v);
	end = ALIGN_UP(end, PAGE_SIZE);
	at = MAX(at, PAGE_SIZE);                /* page 0 stays out: null pointers fault */
	while (at < end) {
		unsigned level = at < FIXED_TYPES_END ? 0 : level_for(at, end);
		uint64_t *entry;
		enum err e = entry_for_leaf(at, &level, &entry);
		if (e != OK)
			return e;
		uint64_t leaf = at | leaf_bits(rights) | (level ? PTE_LARGE : 0);
		ASSERT(!frozen || !(*entry & PTE_PRESENT) || *entry == leaf);
		*entry = leaf;
		insn_invlpg(at);
		at += LEVEL_SIZE(level);
	}
	return OK;
}

enum err paging_guard(const void *page)
{
	uint64_t *entry;
	enum err e = entry_at((uintptr_t)page, 0, &entry);

	ASSERT(!frozen);
	if (e != OK)
		return e;
	*entry = 0;
	insn_invlpg((uintptr_t)page);
	return OK;
}

static bool page_present(uint64_t address)
{
	uint64_t *table = top;

	for (unsigned l = TOP_LEVEL;; l--) {
		uint64_t entry = table[index_of(address, l)];
		if (!(entry & PTE_PRESENT))
			return false;
		if (is_leaf(entry, l))
			return true;
		table = table_of(entry);
	}
}

bool paging_readable(hpa_t base, uint64_t len)
{
	uint64_t end;

	if (__builtin_add_overflow(base.v, len, &end) || end > LINEAR_LIMIT)
		return false;
	for (uint64_t at = ALIGN_DOWN(base.v, PAGE_SIZE); at < end; at += PAGE_SIZE)
		if (!page_present(at))
			return false;
	return true;
}

volatile void *paging_map_device(hpa_t base, uint64_t len)
{
	return paging_map(base, len, MAP_WRITE | MAP_DEVICE) == OK ? hpa_ptr(base) : NULL;
}

static enum err map_part(const uint8_t *from, const uint8_t *to, uint64_t rights)
{
	return paging_map(ptr_hpa(from), (uint64_t)(to - from), rights);
}

enum err paging_init(void)
{
	large_levels = cpu_has_1g_pages() ? 2 : 1;
	phys_limit = 1ull << cpu_phys_bits();
	enum err e = new_table(&top);
	if (e == OK)
		e = map_part(__text_start, __text_end, MAP_EXEC);
	if (e == OK)
		e = map_part(__rodata_start, __rodata_end, 0);
	if (e == OK)
		e = map_part(__data_start, __bss_end, MAP_WRITE);
	if (e == OK)
		e = stack_guards_init();
	return e;
}

void paging_enable(void)
{
	insn_write_cr3((uintptr_t)top);
}

void paging_freeze(void)
{
	frozen = true;
}

uint64_t paging_table_pages(void)
{
	return table_pages;
}
