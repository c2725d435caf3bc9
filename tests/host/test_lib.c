/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_lib.c - formatting, bitmaps, CRC-32C and the page allocator.
 */
#include "tests/host/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bitmap.h"
#include "lib/config.h"
#include "lib/crc32c.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/pages.h"

#define SAME(...)                                                               \
	do {                                                                    \
		char ours[200], theirs[200];                                    \
		int a = fmt_format(ours, sizeof(ours), __VA_ARGS__);            \
		int b = snprintf(theirs, sizeof(theirs), __VA_ARGS__);          \
		assert_string_equal(ours, theirs);                              \
		assert_int_equal(a, b);                                         \
	} while (0)

static void fmt_agrees_with_snprintf(void **state)
{
	(void)state;
	SAME("%d %i %u %x %X %o %c %s %%", -5, 7, 9u, 0xbeefu, 0xbeefu, 8u, 'z', "text");
	SAME("[%5d] [%-5d] [%05d] [%+d] [% d] [%.3d] [%8.3d]", 42, 42, -42, 42, 42, 7, 7);
	SAME("[%#x] [%#o] [%#X] [%08x] [%-8x|]", 255u, 8u, 255u, 0xabcu, 0xabcu);
	SAME("%ld %lld %zu %hhu %hd %llx", -1L, -5ll, SIZE_MAX, (unsigned char)200, (short)-3,
	     ~0ull);
	SAME("[%10s] [%-10s] [%.3s] [%*s] [%-*s]", "abc", "abc", "abcdef", 6, "x", 6, "y");
	SAME("%s %p", "pointer", (void *)0x1234);
	SAME("%u %x %d", 0u, 0u, 0);
}

static void fmt_cuts_at_the_buffer_and_counts_on(void **state)
{
	char small[5];

	(void)state;
	assert_int_equal(fmt_format(small, sizeof(small), "%s", "abcdefgh"), 8);
	assert_string_equal(small, "abcd");
	assert_int_equal(fmt_format(NULL, 0, "%d", 12345), 5);
}

static void bitmap_next_finds_each_set_bit(void **state)
{
	uint64_t map[3] = { 0 };

	(void)state;
	bitmap_set(map, 0);
	bitmap_set(map, 63);
	bitmap_set(map, 64);
	bitmap_set(map, 130);
	assert_int_equal(bitmap_next(map, 131, 0), 0);
	assert_int_equal(bitmap_next(map, 131, 1), 63);
	assert_int_equal(bitmap_next(map, 131, 65), 130);
	assert_int_equal(bitmap_next(map, 130, 65), 130);       /* beyond the end: none */
	assert_int_equal(bitmap_weight(map, 131), 4);
	assert_int_equal(bitmap_weight(map, 130), 3);
}

static void bitmap_fill_leaves_bits_beyond(void **state)
{
	uint64_t map[2] = { 0, ~0ull };

	(void)state;
	bitmap_fill(map, 70, true);
	assert_int_equal(bitmap_weight(map, 128), 128);
	bitmap_fill(map, 70, false);
	assert_int_equal(bitmap_weight(map, 70), 0);
	assert_true(bitmap_test(map, 70));
}

static void bitmap_drain_moves(void **state)
{
	uint64_t to[2] = { 1, 0 }, from[2] = { 2, BIT(5) };

	(void)state;
	bitmap_drain(to, from, 128);
	assert_int_equal(to[0], 3);
	assert_int_equal(to[1], BIT(5));
	assert_int_equal(from[0] | from[1], 0);
}

static void crc32c_gives_the_values_of_rfc3720(void **state)
{
	uint8_t bytes[32];

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);     /* RFC 3720, B.4 */
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

/* Whatever begins where and is as long as it likes; what a CPU is better at may be either. */
static void crc32c_is_the_same_in_both_ways(void **state)
{
	uint8_t bytes[80];

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + 5);
	for (unsigned from = 0; from < 9; from++)
		for (unsigned len = 0; from + len <= sizeof(bytes); len++) {
			crc32c_use(CRC32C_INSTRUCTION);
			uint32_t want = crc32c(len, bytes + from, len);

			crc32c_use(CRC32C_TABLES);
			assert_int_equal(crc32c(len, bytes + from, len), want);
		}
	crc32c_gives_the_values_of_rfc3720(NULL);
	crc32c_choose(true);
	crc32c_gives_the_values_of_rfc3720(NULL);
	assert_int_equal(crc32c_choose(false), CRC32C_TABLES);
	crc32c_gives_the_values_of_rfc3720(NULL);
}

/* Pages stay: the allocator has no way to forget a region, so all page tests share one. */
#define REGION (8 * FRAME_SIZE)
static uint8_t *region;

static int region_setup(void **state)
{
	(void)state;
	region = aligned_alloc(FRAME_SIZE, REGION);
	pages_add_region(ptr_hpa(region + PAGE_SIZE), REGION - 2 * PAGE_SIZE);
	return region ? 0 : -1;
}

static void pages_ends_of_a_region_are_not_frames(void **state)
{
	(void)state;
	assert_int_equal(pages_stats().frames_total, 6);
	assert_int_equal(pages_stats().frames_free, 6);
}

static void pages_frames_run_out_and_come_back(void **state)
{
	hpa_t f[6], more;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(frame_alloc(&f[i]), OK);
		assert_int_equal(f[i].v % FRAME_SIZE, 0);
		assert_int_equal(*(char *)hpa_ptr(f[i]), 0);
		memset(hpa_ptr(f[i]), 0x5a, FRAME_SIZE);
	}
	assert_int_equal(frame_alloc(&more), ERR_NO_MEMORY);
	for (unsigned i = 0; i < 6; i++)
		frame_free(f[i]);
	assert_int_equal(pages_stats().frames_free, 6);
	assert_panics(frame_free(f[0]));
}

/* The search begins behind what is taken: what is given back before that is found again. */
static void pages_given_back_in_any_order_are_found(void **state)
{
	hpa_t f[6], again, more;

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(frame_alloc(&f[i]), OK);
	frame_free(f[4]);
	frame_free(f[1]);
	assert_int_equal(frames_alloc_run(2, &more), ERR_NO_MEMORY);
	assert_int_equal(frame_alloc(&again), OK);
	assert_int_equal(again.v, f[1].v);
	assert_int_equal(frame_alloc(&again), OK);
	assert_int_equal(again.v, f[4].v);
	assert_int_equal(frame_alloc(&more), ERR_NO_MEMORY);
	frame_free(f[3]);
	frame_free(f[2]);
	assert_int_equal(frames_alloc_used(2, &more), OK);
	assert_int_equal(more.v, f[2].v);
	frames_free_run(more, 2);
	for (unsigned i = 0; i < 6; i++)
		if (i != 2 && i != 3)
			frame_free(f[i]);
	assert_int_equal(pages_stats().frames_free, 6);
}

static void pages_broken_frames_become_whole_again(void **state)
{
	static hpa_t page[4000];
	unsigned n = 0;

	(void)state;
	while (n < COUNT(page) && page_alloc(&page[n]) == OK)
		n++;
	assert_true(n > 6 * PAGES_PER_FRAME);
	assert_true(n < 8 * PAGES_PER_FRAME);
	assert_int_equal(pages_stats().frames_free, 0);
	while (n > 0)
		page_free(page[--n]);
	assert_int_equal(pages_stats().frames_free, 6);
	assert_int_equal(pages_stats().pages_used, 0);
}

static void pages_runs_lie_in_one_piece(void **state)
{
	hpa_t a, b, hole;

	(void)state;
	assert_int_equal(frame_alloc(&hole), OK);
	assert_int_equal(frames_alloc_run(3, &a), OK);
	assert_int_equal(frames_alloc_run(3, &b), ERR_NO_MEMORY);
	frames_free_run(a, 3);
	frame_free(hole);
	assert_int_equal(pages_stats().pages_used, 0);
}

static char logged[LOG_LINE_MAX + 1];
static void sink(const char *text, size_t len) { memcpy(logged, text, len); logged[len] = 0; }

static void log_line_is_cut_with_dots(void **state)
{
	char longer[2 * LOG_LINE_MAX];

	(void)state;
	log_add_sink(sink);
	support_now_ns = 1500 * NS_PER_MS;
	log_line("hello %d", 5);
	assert_string_equal(logged, "[    1.500000] hello 5\n");
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	log_line("%s", longer);
	assert_int_equal(strlen(logged), LOG_LINE_MAX - 1);
	assert_string_equal(logged + LOG_LINE_MAX - 5, "...\n");
	assert_int_equal(fail(ERR_BUSY, "no %s", "way"), ERR_BUSY);
	assert_string_equal(err_reason(), "no way");
	assert_int_equal(refuse(ERR_BUSY, "again: %s", err_reason()), ERR_BUSY);
	assert_string_equal(err_reason(), "again: no way");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fmt_agrees_with_snprintf),
		cmocka_unit_test(fmt_cuts_at_the_buffer_and_counts_on),
		cmocka_unit_test(bitmap_next_finds_each_set_bit),
		cmocka_unit_test(bitmap_fill_leaves_bits_beyond),
		cmocka_unit_test(bitmap_drain_moves),
		cmocka_unit_test(crc32c_gives_the_values_of_rfc3720),
		cmocka_unit_test(crc32c_is_the_same_in_both_ways),
		cmocka_unit_test(pages_ends_of_a_region_are_not_frames),
		cmocka_unit_test(pages_frames_run_out_and_come_back),
		cmocka_unit_test(pages_given_back_in_any_order_are_found),
		cmocka_unit_test(pages_broken_frames_become_whole_again),
		cmocka_unit_test(pages_runs_lie_in_one_piece),
		cmocka_unit_test(log_line_is_cut_with_dots),
	};

	return cmocka_run_group_tests(tests, region_setup, NULL);
}
