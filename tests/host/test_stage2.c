/* SPDX-License-Identifier: MIT */
/* tests/host/test_stage2.c - second-stage tables: mapping, splitting, joining, harvesting. */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bitmap.h"
#include "lib/pages.h"
#include "vmm/stage2.h"

#define POOL_BYTES (24 * MIB)
#define GUEST_BYTES (6 * MIB)
#define GUEST_PAGES (GUEST_BYTES / PAGE_SIZE)

/*
 * EPT's bits, and a format whose bits lie elsewhere, to catch a constant that should be the
 * format's.
 */
static const struct s2_format ept = {
	.read = BIT(0), .write = BIT(1), .exec = BIT(2), .leaf = BIT(7),
	.accessed = BIT(8), .dirty = BIT(9), .ram_type = 6 << 3,
};
static const struct s2_format npt = {
	.read = BIT(0), .write = BIT(1), .exec = 0, .leaf = BIT(7),
	.accessed = BIT(5), .dirty = BIT(6), .ram_type = BIT(2), .table_type = BIT(2),
};
static const struct s2_format no_ad = {
	.read = BIT(0), .write = BIT(1), .exec = BIT(2), .leaf = BIT(7), .ram_type = 6 << 3,
};
/* The same two for a CPU that must not run code by large leaves. */
static const struct s2_format ept_small_code = {
	.read = BIT(0), .write = BIT(1), .exec = BIT(2), .leaf = BIT(7),
	.accessed = BIT(8), .dirty = BIT(9), .ram_type = 6 << 3, .small_code = true,
};
static const struct s2_format no_ad_small_code = {
	.read = BIT(0), .write = BIT(1), .exec = BIT(2), .leaf = BIT(7), .ram_type = 6 << 3,
	.small_code = true,
};

static struct mem mem;
static struct stage2 s2;
static uint64_t map[BITMAP_WORDS(GUEST_PAGES)];

static int give_pool(void **state)
{
	(void)state;
	pages_add_region(ptr_hpa(aligned_alloc(FRAME_SIZE, POOL_BYTES)), POOL_BYTES);
	return 0;
}

static void make(const struct s2_format *f)
{
	assert_int_equal(mem_create(&mem, GUEST_BYTES), OK);
	assert_int_equal(stage2_create(&s2, f), OK);
	assert_int_equal(stage2_map_ram(&s2, &mem), OK);
	memset(map, 0, sizeof(map));
}

static void unmake(void)
{
	stage2_destroy(&s2);
	mem_destroy(&mem);
}

/* The entry at `level` on the way to `a`, as a CPU walks. */
static uint64_t *entry_at(uint64_t a, unsigned level)
{
	uint64_t *table = hpa_ptr(s2.root);

	for (unsigned l = 4;; l--) {
		uint64_t *entry = &table[a >> (12 + 9 * (l - 1)) & 511];
		if (l == level)
			return entry;
		table = (uint64_t *)(*entry & MASK(51, 12));
	}
}

static void ram_is_mapped_by_large_leaves(void **state)
{
	(void)state;
	const struct s2_format *formats[] = { &ept, &npt, &no_ad };

	for (unsigned i = 0; i < COUNT(formats); i++) {
		const struct s2_format *f = formats[i];
		struct s2_leaf leaf;
		make(f);
		assert_true(stage2_lookup(&s2, gpa(FRAME_SIZE + 0x1234), &leaf));
		assert_int_equal(leaf.size, FRAME_SIZE);
		assert_int_equal(leaf.hpa.v, mem.frame[1].v + 0x1234);
		assert_int_equal(leaf.entry, mem.frame[1].v | f->read | f->write | f->exec |
		                 f->leaf | f->ram_type);
		assert_int_equal(*entry_at(0, 4) & 0xfff, f->read | f->write | f->exec |
		                 f->table_type);
		assert_false(stage2_lookup(&s2, gpa(GUEST_BYTES), &leaf));
		assert_false(stage2_lookup(&s2, gpa(0xfee00000), &leaf));
		assert_int_equal(s2.tables, 3);
		unmake();
	}
}

static void tracking_splits_and_joins_without_leaking(void **state)
{
	(void)state;
	struct s2_leaf leaf;
	uint64_t pages = pages_stats().pages_used;

	make(&ept);
	*entry_at(0, 2) |= ept.accessed | ept.dirty;            /* old dirty state is forgotten */
	assert_int_equal(stage2_track_start(&s2, &mem), OK);
	for (uint64_t i = 0; i < GUEST_PAGES; i++) {
		assert_true(stage2_lookup(&s2, gpa(i * PAGE_SIZE + 5), &leaf));
		assert_int_equal(leaf.size, PAGE_SIZE);
		assert_ptr_equal(hpa_ptr(leaf.hpa), (const uint8_t *)mem_page(&mem, i) + 5);
		assert_int_equal(leaf.entry & 0xfff, 7 | 6 << 3);
	}
	assert_int_equal(s2.tables, 6);
	stage2_track_stop(&s2, &mem);
	assert_int_equal(s2.tables, 3);
	assert_true(stage2_lookup(&s2, gpa(3 * MIB), &leaf));
	assert_int_equal(leaf.size, FRAME_SIZE);
	assert_int_equal(leaf.entry, mem.frame[1].v | 7 | BIT(7) | 6 << 3);
	assert_int_equal(s2.splits, 3);
	assert_int_equal(s2.collapses, 3);
	assert_int_equal(stage2_track_start(&s2, &mem), OK);    /* destroyed while tracking */
	unmake();
	assert_int_equal(pages_stats().pages_used, pages);
}

static void tracking_that_runs_out_of_memory_undoes_itself(void **state)
{
	(void)state;
	static hpa_t hoard[POOL_BYTES / PAGE_SIZE];
	struct s2_leaf leaf;
	unsigned n = 0;

	make(&ept);
	while (page_alloc(&hoard[n]) == OK)
		n++;
	page_free(hoard[--n]);
	page_free(hoard[--n]);                                  /* two of the three tables needed */
	assert_int_equal(stage2_track_start(&s2, &mem), ERR_NO_MEMORY);
	assert_false(s2.tracking);
	for (uint64_t a = 0; a < GUEST_BYTES; a += FRAME_SIZE) {
		assert_true(stage2_lookup(&s2, gpa(a), &leaf));
		assert_int_equal(leaf.size, FRAME_SIZE);
		assert_int_equal(leaf.hpa.v, mem.frame[a / FRAME_SIZE].v);
	}
	while (n > 0)
		page_free(hoard[--n]);
	unmake();
}

static void harvest_takes_exactly_the_dirty_pages(void **state)
{
	(void)state;
	static const uint64_t dirty[] = { 0, 1, 511, 512, 1025, GUEST_PAGES - 1 };

	make(&ept);
	assert_int_equal(stage2_track_start(&s2, &mem), OK);
	for (unsigned i = 0; i < COUNT(dirty); i++) {
		*entry_at(dirty[i] * PAGE_SIZE, 2) |= ept.accessed;
		*entry_at(dirty[i] * PAGE_SIZE, 1) |= ept.accessed | ept.dirty;
	}
	*entry_at(7 * PAGE_SIZE, 1) |= ept.accessed;            /* only read */
	stage2_harvest_begin(&s2, &mem);
	assert_int_equal(stage2_harvest_end(&s2, &mem, map), COUNT(dirty));
	assert_int_equal(bitmap_weight(map, GUEST_PAGES), COUNT(dirty));
	for (unsigned i = 0; i < COUNT(dirty); i++)
		assert_true(bitmap_test(map, dirty[i]));
	stage2_harvest_begin(&s2, &mem);
	assert_int_equal(stage2_harvest_end(&s2, &mem, map), 0);
	for (uint64_t i = 0; i < GUEST_PAGES; i++)
		assert_false(*entry_at(i * PAGE_SIZE, 1) & ept.dirty);
	unmake();
}

static void harvest_skips_tables_that_were_not_used(void **state)
{
	(void)state;
	make(&ept);
	assert_int_equal(stage2_track_start(&s2, &mem), OK);
	*entry_at(0, 1) |= ept.dirty;                   /* no CPU does so: proves the skip */
	*entry_at(FRAME_SIZE, 2) |= ept.accessed;
	*entry_at(FRAME_SIZE, 1) |= ept.dirty;
	stage2_harvest_begin(&s2, &mem);
	assert_false(*entry_at(FRAME_SIZE, 2) & ept.accessed);
	*entry_at(FRAME_SIZE, 2) |= ept.accessed;               /* used between the two steps */
	assert_int_equal(stage2_harvest_end(&s2, &mem, map), 1);
	assert_true(bitmap_test(map, 512));
	assert_true(*entry_at(FRAME_SIZE, 2) & ept.accessed);
	*entry_at(FRAME_SIZE + PAGE_SIZE, 1) |= ept.dirty;      /* the next harvest looks again */
	stage2_harvest_begin(&s2, &mem);
	assert_int_equal(stage2_harvest_end(&s2, &mem, map), 1);
	unmake();
}

static void without_dirty_bits_the_fault_marks(void **state)
{
	(void)state;
	struct s2_leaf leaf;

	make(&no_ad);
	assert_false(stage2_fault_dirty(&s2, &mem,
	                                gpa(0)));    /* not tracking: somebody else's fault */
	assert_int_equal(stage2_track_start(&s2, &mem), OK);
	assert_true(stage2_lookup(&s2, gpa(PAGE_SIZE), &leaf));
	assert_false(leaf.entry & no_ad.write);
	assert_true(stage2_fault_dirty(&s2, &mem, gpa(PAGE_SIZE + 8)));
	assert_true(stage2_lookup(&s2, gpa(PAGE_SIZE), &leaf));
	assert_true(leaf.entry & no_ad.write);
	assert_true(stage2_fault_dirty(&s2, &mem,
	                               gpa(PAGE_SIZE)));     /* a second vCPU: try again */
	assert_false(stage2_fault_dirty(&s2, &mem, gpa(0xfee00000)));
	stage2_harvest_begin(&s2, &mem);
	assert_int_equal(stage2_harvest_end(&s2, &mem, map), 1);
	assert_true(bitmap_test(map, 1));
	assert_true(stage2_lookup(&s2, gpa(PAGE_SIZE), &leaf));
	assert_false(leaf.entry & no_ad.write);
	stage2_harvest_begin(&s2, &mem);
	assert_int_equal(stage2_harvest_end(&s2, &mem, map), 0);
	stage2_track_stop(&s2, &mem);
	assert_true(stage2_lookup(&s2, gpa(PAGE_SIZE), &leaf));
	assert_true(leaf.entry & no_ad.write);
	unmake();
}

static void with_dirty_bits_a_fault_is_not_ours(void **state)
{
	(void)state;
	make(&ept);
	assert_int_equal(stage2_track_start(&s2, &mem), OK);
	assert_false(stage2_fault_dirty(&s2, &mem, gpa(0)));
	unmake();
}

/* --- Code by small leaves (CVE-2018-12207) ---------------------------------------------------- */

static uint64_t leaf_at(uint64_t a)
{
	struct s2_leaf leaf;

	assert_true(stage2_lookup(&s2, gpa(a), &leaf));
	assert_int_equal(leaf.hpa.v, mem.frame[a / FRAME_SIZE].v + a % FRAME_SIZE);
	assert_int_equal(leaf.size == FRAME_SIZE, !!(leaf.entry & BIT(7)));
	return leaf.entry & 0xfff;
}

/* What must never be, in whatever order faults and migrations come. */
static void assert_no_large_leaf_runs_code(void)
{
	for (uint64_t a = 0; a < GUEST_BYTES; a += FRAME_SIZE) {
		uint64_t entry = leaf_at(a);
		assert_true(!(entry & BIT(7)) || !(entry & ept.exec));
	}
}

static void a_fetch_splits_one_frame_and_only_once(void **state)
{
	(void)state;
	make(&ept_small_code);
	assert_no_large_leaf_runs_code();
	assert_int_equal(leaf_at(0), 3 | BIT(7) | 6 << 3);      /* read and write as ever */
	assert_int_equal(stage2_fault_code(&s2, &mem, gpa(FRAME_SIZE + 0x5123)), OK);
	for (uint64_t a = FRAME_SIZE; a < 2 * FRAME_SIZE; a += PAGE_SIZE)
		assert_int_equal(leaf_at(a), 7 | 6 << 3);
	assert_int_equal(leaf_at(2 * FRAME_SIZE), 3 | BIT(7) | 6 << 3);
	assert_int_equal(stage2_fault_code(&s2, &mem, gpa(FRAME_SIZE)), OK);
	assert_int_equal(s2.code_splits, 1);
	assert_int_equal(s2.tables, 4);
	assert_int_equal(stage2_fault_code(&s2, &mem, gpa(0xfee00000)), ERR_BAD_ARGUMENT);
	unmake();
	make(&ept);                                             /* a CPU that needs none of it */
	assert_int_equal(stage2_fault_code(&s2, &mem, gpa(0)), ERR_BAD_ARGUMENT);
	assert_int_equal(leaf_at(0), 7 | BIT(7) | 6 << 3);
	unmake();
}

static void a_fetch_that_finds_no_memory_changes_nothing(void **state)
{
	static hpa_t hoard[POOL_BYTES / PAGE_SIZE];
	unsigned n = 0;

	(void)state;
	make(&ept_small_code);
	while (page_alloc(&hoard[n]) == OK)
		n++;
	assert_int_equal(stage2_fault_code(&s2, &mem, gpa(0)), ERR_NO_MEMORY);
	assert_int_equal(leaf_at(0), 3 | BIT(7) | 6 << 3);
	assert_int_equal(s2.code_splits, 0);
	while (n > 0)
		page_free(hoard[--n]);
	unmake();
}

/* A migration begins, is cancelled, and begins again, with code that ran before and between. */
static void split_code_is_tracked_and_joined_like_the_rest(void **state)
{
	(void)state;
	make(&ept_small_code);
	assert_int_equal(stage2_fault_code(&s2, &mem, gpa(0)), OK);
	*entry_at(0, 1) |= ept.accessed | ept.dirty;            /* from before: forgotten */
	*entry_at(0, 2) |= ept.accessed;
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(stage2_track_start(&s2, &mem), OK);
		assert_int_equal(s2.tables, 6);
		for (uint64_t a = 0; a < GUEST_BYTES; a += PAGE_SIZE)
			assert_int_equal(leaf_at(a), 7 | 6 << 3);
		assert_false(*entry_at(0, 2) & ept.accessed);
		*entry_at(0, 2) |= ept.accessed;
		*entry_at(3 * PAGE_SIZE, 1) |= ept.accessed | ept.dirty;
		memset(map, 0, sizeof(map));
		stage2_harvest_begin(&s2, &mem);
		assert_int_equal(stage2_harvest_end(&s2, &mem, map), 1);
		assert_true(bitmap_test(map, 3));
		stage2_track_stop(&s2, &mem);
		assert_int_equal(s2.tables, 3);
		assert_no_large_leaf_runs_code();
		assert_int_equal(stage2_fault_code(&s2, &mem, gpa(FRAME_SIZE)), OK);
	}
	assert_int_equal(s2.code_splits, 3);
	unmake();
}

/* Without dirty bits, code is writable until tracking starts, and read-only from then on. */
static void split_code_is_write_protected_only_while_tracked(void **state)
{
	(void)state;
	make(&no_ad_small_code);
	assert_int_equal(stage2_fault_code(&s2, &mem, gpa(0)), OK);
	assert_int_equal(leaf_at(PAGE_SIZE), 7 | 6 << 3);
	assert_false(stage2_fault_dirty(&s2, &mem, gpa(PAGE_SIZE)));
	assert_int_equal(stage2_track_start(&s2, &mem), OK);
	assert_int_equal(leaf_at(PAGE_SIZE), 5 | 6 << 3);
	assert_true(stage2_fault_dirty(&s2, &mem, gpa(PAGE_SIZE)));
	stage2_harvest_begin(&s2, &mem);
	assert_int_equal(stage2_harvest_end(&s2, &mem, map), 1);
	stage2_track_stop(&s2, &mem);
	assert_no_large_leaf_runs_code();
	unmake();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_is_mapped_by_large_leaves),
		cmocka_unit_test(tracking_splits_and_joins_without_leaking),
		cmocka_unit_test(tracking_that_runs_out_of_memory_undoes_itself),
		cmocka_unit_test(harvest_takes_exactly_the_dirty_pages),
		cmocka_unit_test(harvest_skips_tables_that_were_not_used),
		cmocka_unit_test(without_dirty_bits_the_fault_marks),
		cmocka_unit_test(with_dirty_bits_a_fault_is_not_ours),
		cmocka_unit_test(a_fetch_splits_one_frame_and_only_once),
		cmocka_unit_test(a_fetch_that_finds_no_memory_changes_nothing),
		cmocka_unit_test(split_code_is_tracked_and_joined_like_the_rest),
		cmocka_unit_test(split_code_is_write_protected_only_while_tracked),
	};
	return cmocka_run_group_tests_name("stage2", tests, give_pool, NULL);
}
