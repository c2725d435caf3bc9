/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_mem.c - guest RAM: bounds, the hole below 4 GiB, copies across frames, soft dirty
 * bits.
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bitmap.h"
#include "lib/config.h"
#include "lib/pages.h"
#include "vmm/mem.h"

#define POOL_BYTES (24 * MIB)

static int give_pool(void **state)
{
	(void)state;
	pages_add_region(ptr_hpa(aligned_alloc(FRAME_SIZE, POOL_BYTES)), POOL_BYTES);
	return 0;
}

/* A guest of 5 GiB whose frames are all the same one: enough to ask about addresses. */
static struct mem big_guest(void)
{
	struct mem m = { .ram_bytes = 5 * GIB };

	m.ram_pages = m.ram_bytes / PAGE_SIZE;
	m.nframes = m.ram_bytes / FRAME_SIZE;
	m.frame = calloc(m.nframes, sizeof(hpa_t));
	return m;
}

static void is_ram_knows_the_hole_and_the_ends(void **state)
{
	(void)state;
	static const struct { uint64_t a, len; bool ram; } cases[] = {
		{ 0, 1, true }, { 0, 3 * GIB, true }, { 0, 3 * GIB + 1, false },
		{ 3 * GIB - 1, 1, true }, { 3 * GIB - 1, 2, false }, { 3 * GIB, 1, false },
		{ 4 * GIB - 1, 1, false }, { 4 * GIB - 1, 2, false }, { 4 * GIB, 1, true },
		{ 4 * GIB, 2 * GIB, true }, { 4 * GIB, 2 * GIB + 1, false },
			{ 6 * GIB - 1, 1, true },
		{ 6 * GIB, 1, false }, { 6 * GIB, 0, false }, { 3 * GIB, 0, false },
			{ 5 * GIB, 0, true },
		{ UINT64_MAX, 1, false }, { UINT64_MAX, 2, false }, { 8, UINT64_MAX, false },
			{ 8, UINT64_MAX - 7, false },
	};
	struct mem m = big_guest();

	for (unsigned i = 0; i < COUNT(cases); i++)
		if (mem_is_ram(&m, gpa(cases[i].a), cases[i].len) != cases[i].ram)
			fail_msg("case %u: 0x%lx + 0x%lx", i, cases[i].a, cases[i].len);
	free(m.frame);
}

static void page_indices_have_no_hole(void **state)
{
	(void)state;
	struct mem m = big_guest();

	assert_int_equal(mem_index(&m, gpa(3 * GIB - 1)), 3 * GIB / PAGE_SIZE - 1);
	assert_int_equal(mem_index(&m, gpa(4 * GIB)), 3 * GIB / PAGE_SIZE);
	for (uint64_t i = 0; i < m.ram_pages; i += 12345)
		assert_int_equal(mem_index(&m, mem_gpa(&m, i)), i);
	assert_int_equal(mem_gpa(&m, m.ram_pages - 1).v, 6 * GIB - PAGE_SIZE);
	assert_panics(mem_gpa(&m, m.ram_pages));
	assert_panics(mem_index(&m, gpa(3 * GIB)));
	assert_panics(mem_page(&m, m.ram_pages));
	free(m.frame);
}

static void copies_cross_frames_that_are_not_neighbours(void **state)
{
	(void)state;
	struct mem m;
	uint8_t out[8192], in[8192];
	gpa_t at = gpa(FRAME_SIZE - 4096);

	assert_int_equal(mem_create(&m, 4 * MIB), OK);
	hpa_t first = m.frame[0];
	m.frame[0] = m.frame[1];                /* now in descending order */
	m.frame[1] = first;
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(mem_write(&m, at, out, sizeof(out)), OK);
	assert_int_equal(mem_read(&m, at, in, sizeof(in)), OK);
	assert_memory_equal(in, out, sizeof(in));
	assert_memory_equal(hpa_ptr(m.frame[1]), out + 4096, 4096);

	uint64_t run;
	assert_non_null(mem_peek(&m, at, sizeof(in), &run));
	assert_int_equal(run, 4096);
	assert_int_equal(mem_fill(&m, at, 0x5a, sizeof(in)), OK);
	assert_int_equal(((uint8_t *)hpa_ptr(m.frame[1]))[4095], 0x5a);
	assert_int_equal(((uint8_t *)hpa_ptr(m.frame[1]))[4096], 0);
	mem_destroy(&m);
}

static void a_run_goes_on_through_neighbours(void **state)
{
	(void)state;
	struct mem m;
	uint64_t run;

	assert_int_equal(mem_create(&m, 6 * MIB), OK);
	assert_non_null(mem_peek(&m, gpa(100), 6 * MIB, &run));
	assert_int_equal(run, 6 * MIB - 100);   /* the allocator gives them in a row */
	assert_non_null(mem_peek(&m, gpa(6 * MIB - 1), 10, &run));
	assert_int_equal(run, 1);
	assert_null(mem_peek(&m, gpa(6 * MIB), 1, &run));
	assert_null(mem_poke(&m, gpa(UINT64_MAX), 1, &run));
	assert_int_equal(run, 0);
	mem_destroy(&m);
}

static void what_is_refused_changes_nothing(void **state)
{
	(void)state;
	struct mem m;
	uint8_t byte[16] = { 1, 2, 3 };

	assert_int_equal(mem_create(&m, 4 * MIB), OK);
	assert_int_equal(mem_write(&m, gpa(4 * MIB - 8), byte, 16), ERR_BAD_ARGUMENT);
	assert_int_equal(mem_fill(&m, gpa(4 * MIB - 8), 9, 16), ERR_BAD_ARGUMENT);
	assert_int_equal(mem_write_page(&m, m.ram_pages, byte), ERR_BAD_FORMAT);
	assert_int_equal(mem_read(&m, gpa(4 * MIB - 8), byte, 8), OK);
	assert_int_equal(byte[0], 0);
	byte[0] = 77;
	assert_int_equal(mem_read(&m, gpa(4 * MIB - 8), byte, 9), ERR_BAD_ARGUMENT);
	assert_int_equal(byte[0], 77);
	assert_int_equal(bitmap_weight(m.soft_dirty, m.ram_pages), 0);
	mem_destroy(&m);
}

static void every_host_write_marks_its_pages(void **state)
{
	(void)state;
	struct mem m;
	static uint8_t page[PAGE_SIZE];
	uint64_t run;

	assert_int_equal(mem_create(&m, 4 * MIB), OK);
	assert_int_equal(mem_write(&m, gpa(4095), "ab", 2), OK);                /* pages 0, 1  */
	assert_int_equal(mem_fill(&m, gpa(5 * PAGE_SIZE), 1, PAGE_SIZE), OK);   /* page 5 only */
	assert_int_equal(mem_write_page(&m, 1000, page), OK);
	mem_poke(&m, gpa(7 * PAGE_SIZE + 1), PAGE_SIZE, &run);                  /* pages 7, 8  */
	mem_peek(&m, gpa(20 * PAGE_SIZE), PAGE_SIZE, &run);
	assert_int_equal(mem_read(&m, gpa(21 * PAGE_SIZE), page, 10), OK);
	assert_int_equal(mem_write(&m, gpa(30 * PAGE_SIZE), "", 0), OK);        /* nothing     */
	assert_int_equal(bitmap_weight(m.soft_dirty, m.ram_pages), 6);
	for (unsigned i = 0; i < 6; i++)
		assert_true(bitmap_test(m.soft_dirty, (uint64_t[]){ 0, 1, 5, 7, 8, 1000 }[i]));
	mem_destroy(&m);
}

static void create_is_all_or_nothing(void **state)
{
	(void)state;
	struct mem m;
	struct pages_stats before = pages_stats();

	assert_int_equal(mem_create(&m, before.frames_free * FRAME_SIZE),
	                 ERR_NO_MEMORY);       /* none for the tables */
	assert_int_equal(mem_create(&m, POOL_BYTES * 2), ERR_NO_MEMORY);
	assert_int_equal(mem_create(&m, 0), ERR_BAD_ARGUMENT);
	assert_int_equal(mem_create(&m, VM_RAM_MAX_BYTES + 1), ERR_BAD_ARGUMENT);
	assert_int_equal(pages_stats().frames_free, before.frames_free);
	assert_int_equal(mem_create(&m, 1), OK);
	assert_int_equal(m.ram_pages, PAGES_PER_FRAME);
	mem_destroy(&m);
	mem_destroy(&m);                        /* twice is harmless */
	assert_int_equal(pages_stats().frames_free, before.frames_free);
	assert_int_equal(pages_stats().bytes_guest, before.bytes_guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_ram_knows_the_hole_and_the_ends),
		cmocka_unit_test(page_indices_have_no_hole),
		cmocka_unit_test(copies_cross_frames_that_are_not_neighbours),
		cmocka_unit_test(a_run_goes_on_through_neighbours),
		cmocka_unit_test(what_is_refused_changes_nothing),
		cmocka_unit_test(every_host_write_marks_its_pages),
		cmocka_unit_test(create_is_all_or_nothing),
	};
	return cmocka_run_group_tests_name("mem", tests, give_pool, NULL);
}
