/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_memmap.c - free RAM is what the firmware's map says, minus holes, each page once.
 */
#include "tests/host/support.h"

#include <string.h>

#include "boot/memmap.h"

#define WORLD_PAGES 256

/* How often each page of a small world was given. */
static uint8_t given[WORLD_PAGES];

static void take(void *ctx, struct span s)
{
	(void)ctx;
	assert_true(s.from < s.to && s.from % PAGE_SIZE == 0 && s.to % PAGE_SIZE == 0);
	for (uint64_t p = s.from / PAGE_SIZE; p < s.to / PAGE_SIZE; p++)
		given[p]++;
}

static void add(struct boot_info *info, uint64_t from, uint64_t to, bool available)
{
	info->region[info->nregions++] = (struct mb_region){ from, to - from, available };
}

static void memmap_leaves_out_holes_and_half_pages(void **state)
{
	static struct boot_info info;
	static struct memmap m;

	(void)state;
	memset(given, 0, sizeof(given));
	add(&info, 0x0, 0x9fc00, true);
	add(&info, 0x10800, 0x10900, false);
	memmap_hole(&m, 0x3001, 0x3002);        /* part of a page: all of it */
	memmap_hole(&m, 0x0, 0x1000);
	memmap_hole(&m, 0x5000, 0x5000);        /* empty */
	memmap_each(&m, &info, take, NULL);
	for (unsigned p = 0; p < WORLD_PAGES; p++)
		assert_int_equal(given[p], p < 0x9f && p != 0 && p != 3 && p != 0x10);
	assert_int_equal(memmap_total(&info), 0x9fc00);
}

/* A simple generator: the same worlds every time. */
static uint32_t roll(void)
{
	static uint32_t seed = 1;

	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

static struct span roll_span(void)
{
	uint64_t a = roll() % (WORLD_PAGES * PAGE_SIZE), b = roll() % (WORLD_PAGES * PAGE_SIZE);

	return (struct span){ MIN(a, b), MAX(a, b) };
}

static bool meets(struct span s, uint64_t page)
{
	return s.from < s.to && s.from < (page + 1) * PAGE_SIZE && s.to > page * PAGE_SIZE;
}

static bool covers(struct span s, uint64_t page)
{
	return s.from <= page * PAGE_SIZE && s.to >= (page + 1) * PAGE_SIZE;
}

static void memmap_is_right_for_overlapping_regions(void **state)
{
	(void)state;
	for (unsigned world = 0; world < 2000; world++) {
		static struct boot_info info;
		static struct memmap m;
		struct span hole[4], region[6];

		memset(&info, 0, sizeof(info));
		memset(&m, 0, sizeof(m));
		memset(given, 0, sizeof(given));
		for (unsigned i = 0; i < COUNT(hole); i++) {
			hole[i] = roll_span();
			memmap_hole(&m, hole[i].from, hole[i].to);
		}
		for (unsigned i = 0; i < COUNT(region); i++) {
			region[i] = roll_span();
			add(&info, region[i].from, region[i].to, i % 3 != 2);
		}
		memmap_each(&m, &info, take, NULL);
		for (uint64_t p = 0; p < WORLD_PAGES; p++) {
			bool ram = false, no = false;
			for (unsigned i = 0; i < COUNT(region); i++) {
				ram |= i % 3 != 2 && covers(region[i], p);
				no |= i % 3 == 2 && meets(region[i], p);
			}
			for (unsigned i = 0; i < COUNT(hole); i++)
				no |= meets(hole[i], p);
			assert_int_equal(given[p], ram && !no);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memmap_leaves_out_holes_and_half_pages),
		cmocka_unit_test(memmap_is_right_for_overlapping_regions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
