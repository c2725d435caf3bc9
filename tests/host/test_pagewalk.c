/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_pagewalk.c - a guest's page tables as vmm/pagewalk.c walks them
 * (SDM vol. 3, "32-Bit Paging", "PAE Paging", "4-Level Paging and 5-Level Paging", "Access
 * Rights").
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/defs/cr.h"
#include "arch/x86_64/defs/msr.h"
#include "arch/x86_64/defs/pte.h"
#include "lib/pages.h"
#include "tests/host/race.h"
#include "vmm/pagewalk.h"

#define ROOT   0x1000
#define RW     (PTE_PRESENT | PTE_WRITE)
#define RWU    (RW | PTE_USER)

static struct mem mem;
static const struct cpu_mode long_mode = { .cr0 = CR0_PE | CR0_PG | CR0_WP,
	                                   .cr3 = ROOT | 0x18,
	                                   .cr4 = CR4_PAE,
	                                   .efer = EFER_LME | EFER_LMA | EFER_NXE,
	                                   .cs_attr = SEG_L };
static const struct cpu_mode pae = {
	.cr0 = CR0_PE | CR0_PG, .cr3 = 0x1020, .cr4 = CR4_PAE, .efer = EFER_NXE
};
static const struct cpu_mode old = { .cr0 = CR0_PE | CR0_PG, .cr3 = ROOT, .cr4 = CR4_PSE };

static void put(uint64_t table, unsigned index, uint64_t entry)
{
	assert_int_equal(mem_write(&mem, gpa(table + index * 8), &entry, 8), OK);
}

static void put32(uint64_t table, unsigned index, uint32_t entry)
{
	assert_int_equal(mem_write(&mem, gpa(table + index * 4), &entry, 4), OK);
}

static uint64_t get(uint64_t table, unsigned index)
{
	uint64_t entry;

	mem_read(&mem, gpa(table + index * 8), &entry, 8);
	return entry;
}

static int fresh(void **state)
{
	(void)state;
	mem_fill(&mem, gpa(0), 0, 8 * MIB);
	return 0;
}

/* 0xffff888000123456: PML4 index 273, PDPT 0, PD 0, PT 0x123. */
#define HIGH 0xffff888000123456

static void map_4k(uint64_t rights)
{
	put(ROOT, 273, 0x2000 | rights);
	put(0x2000, 0, 0x3000 | rights);
	put(0x3000, 0, 0x4000 | rights);
	put(0x4000, 0x123, 0x5000 | rights);
}

static void four_levels_lead_to_the_page(void **state)
{
	uint32_t error;
	gpa_t at;

	(void)state;
	map_4k(RW);
	assert_true(pagewalk(&mem, &long_mode, HIGH, WALK_READ, &at, &error));
	assert_int_equal(at.v, 0x5456);
	assert_int_equal(get(0x4000, 0x123), 0x5000 | RW | PTE_ACCESSED);
	assert_int_equal(get(ROOT, 273), 0x2000 | RW | PTE_ACCESSED);
	assert_true(pagewalk(&mem, &long_mode, HIGH, WALK_WRITE, &at, &error));
	assert_int_equal(get(0x4000, 0x123), 0x5000 | RW | PTE_ACCESSED | PTE_DIRTY);
	assert_int_equal(get(0x3000, 0), 0x4000 | RW | PTE_ACCESSED);
}

static void large_pages_end_the_walk(void **state)
{
	uint32_t error;
	gpa_t at;

	(void)state;
	put(ROOT, 273, 0x2000 | RW);
	put(0x2000, 0, 0x3000 | RW);
	put(0x2000, 1, 0x40000000 | RW | PTE_LARGE);
	put(0x3000, 0, 0x600000 | RW | PTE_LARGE | PTE_PAT_LARGE);
	assert_true(pagewalk(&mem, &long_mode, HIGH, WALK_READ, &at, &error));
	assert_int_equal(at.v, 0x600000 + 0x123456);
	assert_true(pagewalk(&mem, &long_mode, 0xffff888040123456, WALK_READ, &at, &error));
	assert_int_equal(at.v, 0x40123456);
}

static void faults_say_why(void **state)
{
	struct cpu_mode user = long_mode;
	uint32_t error;
	gpa_t at;

	(void)state;
	user.cpl = 3;
	assert_false(pagewalk(&mem, &long_mode, HIGH, WALK_WRITE, &at, &error));
	assert_int_equal(error, PF_WRITE);
	map_4k(RW);
	assert_false(pagewalk(&mem, &user, HIGH, WALK_READ, &at, &error));
	assert_int_equal(error, PF_PRESENT | PF_USER);
	map_4k(RWU);
	assert_true(pagewalk(&mem, &user, HIGH, WALK_WRITE, &at, &error));
	put(0x3000, 0, 0x4000 | PTE_PRESENT | PTE_USER); /* one level read-only: all is */
	assert_false(pagewalk(&mem, &user, HIGH, WALK_WRITE, &at, &error));
	assert_int_equal(error, PF_PRESENT | PF_USER | PF_WRITE);
	assert_false(pagewalk(&mem, &long_mode, HIGH, WALK_WRITE, &at, &error));
	struct cpu_mode no_wp = long_mode;
	no_wp.cr0 &= ~CR0_WP;
	assert_true(pagewalk(&mem, &no_wp, HIGH, WALK_WRITE, &at, &error));
	put(0x2000, 0, 0x3000 | RWU | PTE_NX);
	assert_false(pagewalk(&mem, &long_mode, HIGH, WALK_FETCH, &at, &error));
	assert_int_equal(error, PF_PRESENT | PF_FETCH);
	assert_true(pagewalk(&mem, &long_mode, HIGH, WALK_READ, &at, &error));
}

static void tables_outside_ram_are_not_present(void **state)
{
	struct cpu_mode m = long_mode;
	uint32_t error;
	gpa_t at;

	(void)state;
	put(ROOT, 273, 0xd0000000 | RW);
	assert_false(pagewalk(&mem, &long_mode, HIGH, WALK_READ, &at, &error));
	m.cr3 = ~0ull;
	assert_false(pagewalk(&mem, &m, HIGH, WALK_READ, &at, &error));
}

static void pae_has_four_entries_at_32_bytes(void **state)
{
	uint32_t error;
	gpa_t at;

	(void)state;
	put(0x1020, 3, 0x2000 | PTE_PRESENT); /* 0xc0000000: no rights here */
	put(0x2000, 0, 0x3000 | RW);
	put(0x3000, 1, 0x7000 | RW);
	assert_true(pagewalk(&mem, &pae, 0xc0001abc, WALK_WRITE, &at, &error));
	assert_int_equal(at.v, 0x7abc);
	assert_int_equal(get(0x1020, 3), 0x2000 | PTE_PRESENT); /* no accessed bit in a PDPTE */
	put(0x2000, 1, 0x400000 | RW | PTE_LARGE);
	assert_true(pagewalk(&mem, &pae, 0xc0234567, WALK_READ, &at, &error));
	assert_int_equal(at.v, 0x400000 + 0x34567);
}

static void two_levels_and_4_mib_pages(void **state)
{
	struct cpu_mode no_pse = old;
	uint32_t error;
	gpa_t at;

	(void)state;
	put32(ROOT, 0x300, 0x2000 | RW);
	put32(0x2000, 5, 0x9000 | RW);
	assert_true(pagewalk(&mem, &old, 0xc0005123, WALK_READ, &at, &error));
	assert_int_equal(at.v, 0x9123);
	put32(ROOT, 0x301, 0x400000 | 1 << 13 | (uint32_t)(RW | PTE_LARGE));    /* PSE-36: bit 32 */
	assert_true(pagewalk(&mem, &old, 0xc0456789, WALK_READ, &at, &error));
	assert_int_equal(at.v, 0x100400000 + 0x56789);
	no_pse.cr4 = 0;
	assert_false(pagewalk(&mem, &no_pse, 0xc0856789, WALK_READ, &at, &error));
}

static void without_paging_linear_is_physical(void **state)
{
	const struct cpu_mode flat = { .cr0 = CR0_PE };
	uint32_t error;
	gpa_t at;

	(void)state;
	assert_true(pagewalk(&mem, &flat, 0x123456789, WALK_WRITE, &at, &error));
	assert_int_equal(at.v, 0x23456789);
}

static void copies_cross_pages_or_fault_where_they_must(void **state)
{
	uint8_t data[16], got[16] = { 0 };
	uint64_t fault;
	uint32_t error;

	(void)state;
	map_4k(RW);
	put(0x4000, 0x124, 0xa000 | RW);
	for (unsigned i = 0; i < 16; i++)
		data[i] = (uint8_t)i;
	uint64_t at = (HIGH & ~0xfffull) + 0xff8;
	assert_true(pagewalk_write(&mem, &long_mode, at, data, 16, &fault, &error));
	assert_true(pagewalk_read(&mem, &long_mode, at, got, 16, WALK_READ, &fault, &error));
	assert_memory_equal(got, data, 16);
	mem_read(&mem, gpa(0xa000), got, 8);
	assert_memory_equal(got, data + 8, 8);
	put(0x4000, 0x124, 0);
	memset(data, 0xff, sizeof(data));
	assert_false(pagewalk_write(&mem, &long_mode, at, data, 16, &fault, &error));
	assert_int_equal(fault, at + 8);
	assert_int_equal(error, PF_WRITE);
	mem_read(&mem, gpa(0x5ff8), got, 8);
	assert_int_equal(got[1], 1);                                    /* nothing was written */
}

/* The first half of the write takes the second page away: it was translated before that. */
static void a_write_that_changes_its_own_tables_is_still_whole(void **state)
{
	uint64_t at = (HIGH & ~MASK(20, 0)) + 510 * PAGE_SIZE + 0xff8, fault, got;
	static const uint64_t data[2] = { 0, 0x1122334455667788 };
	uint32_t error;

	(void)state;
	map_4k(RW);
	put(0x4000, 510, 0x4000 | RW);                  /* the page holds its own table */
	put(0x4000, 511, 0xa000 | RW);
	assert_true(pagewalk_write(&mem, &long_mode, at, data, sizeof(data), &fault, &error));
	assert_int_equal(get(0x4000, 511), 0);
	mem_read(&mem, gpa(0xa000), &got, sizeof(got));
	assert_int_equal(got, data[1]);
}

static void segments_have_bases_except_in_64_bit_mode(void **state)
{
	struct cpu_mode m = long_mode;

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		m.seg_base[i] = 0x1000;
	assert_int_equal(pagewalk_linear(&m, SEG_DS, 0xffffffff12345678, 8), 0xffffffff12345678);
	assert_int_equal(pagewalk_linear(&m, SEG_GS, 0x10, 8), 0x1010);
	assert_int_equal(pagewalk_linear(&m, SEG_DS, 0xffffffff12345678, 4), 0x12345678);
	m.efer = 0;
	assert_int_equal(pagewalk_linear(&m, SEG_DS, 0x1fffff010, 4), 0x10);    /* wraps at 4 GiB */
	assert_int_equal(pagewalk_linear(&m, SEG_DS, 0x12345, 2), 0x3345);
}

static void put_code(uint64_t page, uint8_t byte)
{
	assert_int_equal(mem_write(&mem, gpa(page + (HIGH & (PAGE_SIZE - 1))), &byte, 1), OK);
}

/* The first byte of the code at HIGH. */
static int code_at(const struct cpu_mode *mode, struct pagewalk_memo *memo)
{
	uint8_t bytes[INSN_LEN_MAX];

	return pagewalk_code(&mem, mode, HIGH, memo, bytes) == INSN_LEN_MAX ? bytes[0] : -1;
}

/* Whatever the guest changes on the way to its code, what is remembered does not hide it. */
static void remembered_code_is_never_old(void **state)
{
	static const uint64_t tables[] = { ROOT, 0x2000, 0x3000 };
	static const unsigned index[] = { 273, 0, 0 };
	struct pagewalk_memo memo = { 0 };
	struct cpu_mode other = long_mode;

	(void)state;
	assert_null(pagewalk_recall(&memo, 0, 0));      /* nothing is remembered */
	map_4k(RW);
	put_code(0x5000, 0x11);
	put_code(0x6000, 0x22);
	assert_int_equal(code_at(&long_mode, &memo), 0x11);
	assert_non_null(pagewalk_recall(&memo, long_mode.cr3, HIGH));
	assert_null(pagewalk_recall(&memo, long_mode.cr3, HIGH + PAGE_SIZE));
	assert_null(pagewalk_recall(&memo, long_mode.cr3, ALIGN_DOWN(HIGH, PAGE_SIZE) - 1));
	uint64_t last = ALIGN_UP(HIGH, PAGE_SIZE) - INSN_LEN_MAX;       /* one byte more crosses */
	assert_non_null(pagewalk_recall(&memo, long_mode.cr3, last));
	assert_null(pagewalk_recall(&memo, long_mode.cr3, last + 1));
	put_code(0x5000, 0x33);                         /* the code itself */
	assert_int_equal(code_at(&long_mode, &memo), 0x33);
	put(0x4000, 0x123, 0x6000 | RW);                /* the page */
	assert_null(pagewalk_recall(&memo, long_mode.cr3, HIGH));
	assert_int_equal(code_at(&long_mode, &memo), 0x22);
	for (unsigned i = 0; i < COUNT(tables); i++) {  /* any table above it */
		uint64_t entry = get(tables[i], index[i]);
		put(tables[i], index[i], 0);
		assert_int_equal(code_at(&long_mode, &memo), -1);
		put(tables[i], index[i], entry);
		assert_int_equal(code_at(&long_mode, &memo), 0x22);
	}
	put(0x3000, 0, 0x200000 | RW | PTE_LARGE);      /* a large page instead of a table */
	put_code(0x323000, 0x44);
	assert_int_equal(code_at(&long_mode, &memo), 0x44);
	assert_int_equal(code_at(&long_mode, &memo), 0x44);
	other.cr3 = 0x9000;                             /* other tables, or other rights */
	assert_int_equal(code_at(&other, &memo), -1);
	assert_int_equal(code_at(&long_mode, &memo), 0x44);
	other = long_mode;
	other.cpl = 3;
	assert_int_equal(code_at(&other, &memo), -1);
}

/* --- Another vCPU that changes tables while we walk them ------------------------------------- */

static void takes_the_page_away(uint64_t table)
{
	put(table, 0x123, 0);
}

static void gives_another_page(uint64_t table)
{
	put(table, 0x123, 0xa000 | RW);
}

/* SDM vol. 3, "Accessed and Dirty Flags": set by a locked operation, in what the walk has used. */
static void an_entry_that_is_taken_away_stays_away(void **state)
{
	uint32_t error;
	gpa_t at;

	(void)state;
	map_4k(RW);
	race_begin(&mem, 0x4000, takes_the_page_away);
	assert_false(pagewalk(&mem, &long_mode, HIGH, WALK_WRITE, &at, &error));
	assert_int_equal(error, PF_WRITE);
	assert_int_equal(get(0x4000, 0x123), 0);
}

static void an_entry_that_changes_is_walked_again(void **state)
{
	uint32_t error;
	gpa_t at;

	(void)state;
	map_4k(RW);
	race_begin(&mem, 0x4000, gives_another_page);
	assert_true(pagewalk(&mem, &long_mode, HIGH, WALK_WRITE, &at, &error));
	assert_int_equal(at.v, 0xa456);
	assert_int_equal(get(0x4000, 0x123), 0xa000 | RW | PTE_ACCESSED | PTE_DIRTY);
}

static void takes_the_page_away_32(uint64_t table)
{
	put32(table, 5, 0);
}

static void entries_of_32_bits_are_not_given_back_either(void **state)
{
	uint32_t error;
	gpa_t at;

	(void)state;
	put32(ROOT, 0x300, 0x2000 | RW);
	put32(0x2000, 5, 0x9000 | RW);
	put32(0x2000, 6, 0xb000 | RW);
	race_begin(&mem, 0x2000, takes_the_page_away_32);
	assert_false(pagewalk(&mem, &old, 0xc0005123, WALK_READ, &at, &error));
	assert_int_equal(get(0x2000, 2) & UINT32_MAX, 0);
	assert_int_equal(get(0x2000, 3) & UINT32_MAX, 0xb000 | RW);
}

/* The table above, by which the walk has come already. */
static void takes_the_table_away(uint64_t table)
{
	(void)table;
	put(0x3000, 0, 0);
}

static void forbids_to_run_it(uint64_t table)
{
	(void)table;
	put(0x3000, 0, 0x4000 | RW | PTE_NX);
}

/* The walk was right when it was there; what it led to must not be believed any longer. */
static void a_way_that_is_gone_is_not_remembered(void **state)
{
	static void (*const changes[])(uint64_t) = { takes_the_table_away, forbids_to_run_it };

	for (unsigned i = 0; i < COUNT(changes); i++) {
		struct pagewalk_memo memo = { 0 };

		fresh(state);
		map_4k(RW);
		put_code(0x5000, 0x11);
		put_code(0, 0x22);
		race_begin(&mem, 0x4000, changes[i]);
		assert_int_equal(code_at(&long_mode, &memo), 0x11);
		assert_int_equal(code_at(&long_mode, &memo), -1);
		assert_null(pagewalk_recall(&memo, long_mode.cr3, HIGH));
	}
}

/* Nor what another walk has led to: a memo is of one way as a whole. */
static void a_walk_that_fails_leaves_nothing_to_remember(void **state)
{
	struct pagewalk_memo memo = { 0 };
	uint8_t bytes[INSN_LEN_MAX];

	(void)state;
	map_4k(RW);
	put_code(0x5000, 0x11);
	assert_int_equal(code_at(&long_mode, &memo), 0x11);
	assert_int_equal(pagewalk_code(&mem, &long_mode, HIGH + PAGE_SIZE, &memo, bytes), 0);
	assert_null(pagewalk_recall(&memo, long_mode.cr3, HIGH));
	assert_null(pagewalk_recall(&memo, long_mode.cr3, HIGH + PAGE_SIZE));
	assert_int_equal(code_at(&long_mode, &memo), 0x11);
}

static unsigned races;

/* Whichever of two tables we mark, the other one is fresh again. */
static void never_rests(uint64_t table)
{
	uint64_t other = table == 0x3000 ? 0x4000 : 0x3000;
	unsigned index = table == 0x3000 ? 0 : 0x123, other_index = table == 0x3000 ? 0x123 : 0;

	races++;
	put(table, index, get(table, index) ^ BIT(52));
	put(other, other_index, get(other, other_index) & ~PTE_ACCESSED);
	race_begin(&mem, other, never_rests);
}

static void a_guest_that_always_changes_its_tables_gets_a_fault(void **state)
{
	uint32_t error;
	gpa_t at;

	(void)state;
	races = 0;
	map_4k(RW);
	race_begin(&mem, 0x3000, never_rests);
	assert_false(pagewalk(&mem, &long_mode, HIGH, WALK_READ, &at, &error));
	assert_in_range(races, 2, 100);
	race_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(four_levels_lead_to_the_page, fresh),
		cmocka_unit_test_setup(large_pages_end_the_walk, fresh),
		cmocka_unit_test_setup(faults_say_why, fresh),
		cmocka_unit_test_setup(tables_outside_ram_are_not_present, fresh),
		cmocka_unit_test_setup(pae_has_four_entries_at_32_bytes, fresh),
		cmocka_unit_test_setup(two_levels_and_4_mib_pages, fresh),
		cmocka_unit_test_setup(without_paging_linear_is_physical, fresh),
		cmocka_unit_test_setup(copies_cross_pages_or_fault_where_they_must, fresh),
		cmocka_unit_test_setup(a_write_that_changes_its_own_tables_is_still_whole, fresh),
		cmocka_unit_test_setup(segments_have_bases_except_in_64_bit_mode, fresh),
		cmocka_unit_test_setup(remembered_code_is_never_old, fresh),
		cmocka_unit_test_setup(an_entry_that_is_taken_away_stays_away, fresh),
		cmocka_unit_test_setup(an_entry_that_changes_is_walked_again, fresh),
		cmocka_unit_test_setup(entries_of_32_bits_are_not_given_back_either, fresh),
		cmocka_unit_test_setup(a_way_that_is_gone_is_not_remembered, fresh),
		cmocka_unit_test_setup(a_walk_that_fails_leaves_nothing_to_remember, fresh),
		cmocka_unit_test_setup(a_guest_that_always_changes_its_tables_gets_a_fault, fresh),
	};
	void *pool = aligned_alloc(FRAME_SIZE, 32 * MIB);

	pages_add_region(ptr_hpa(pool), 32 * MIB);
	if (mem_create(&mem, 8 * MIB) != OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
