/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_wire.c - the migration stream's bytes: cursors, headers, page batches, and that
 * every single flipped bit of a record is noticed.
 */
#include "tests/host/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mig/wire.h"

static const struct wire_id id = { .uuid = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                                             16 }, .epoch = 7 };

static void put_then_take_gives_the_same(void **state)
{
	uint8_t buf[128];
	struct wire_out w = { .buf = buf, .size = sizeof(buf) };
	char text[8], bytes[3];

	(void)state;
	wire_put_u8(&w, 0x12);
	wire_put_u16(&w, 0x3456);
	wire_put_u32(&w, 0x789abcde);
	wire_put_u64(&w, 0xfedcba9876543210ull);
	wire_put_text(&w, "seven!!");
	wire_put_bytes(&w, "abc", 3);
	assert_false(w.overflow);
	assert_memory_equal(buf,
	                    "\x12\x56\x34\xde\xbc\x9a\x78\x10\x32\x54\x76\x98\xba\xdc\xfe"
	                    "\x07\x00seven!!abc", w.len);

	struct wire_in r = { .buf = buf, .size = w.len };
	assert_int_equal(wire_take_u8(&r), 0x12);
	assert_int_equal(wire_take_u16(&r), 0x3456);
	assert_int_equal(wire_take_u32(&r), 0x789abcde);
	assert_int_equal(wire_take_u64(&r), 0xfedcba9876543210ull);
	wire_take_text(&r, text, sizeof(text));
	assert_string_equal(text, "seven!!");
	wire_take_bytes(&r, bytes, 3);
	assert_int_equal(wire_take_end(&r, "it"), OK);
}

static void put_beyond_the_end_writes_nothing(void **state)
{
	uint8_t buf[4] = { 9, 9, 9, 9 };
	struct wire_out w = { .buf = buf, .size = 3 };

	(void)state;
	wire_put_u32(&w, 0);
	assert_true(w.overflow);
	assert_int_equal(w.len, 0);
	wire_put_u8(&w, 0);                     /* once over, always over */
	assert_int_equal(w.len, 0);
	assert_memory_equal(buf, "\x09\x09\x09\x09", 4);
}

static void take_beyond_the_end_gives_zero_and_says_so(void **state)
{
	struct wire_in r = { .buf = (const uint8_t *)"\x01\x02\x03", .size = 3 };

	(void)state;
	assert_int_equal(wire_take_u32(&r), 0);
	assert_int_equal(wire_take_u8(&r), 0);
	assert_int_equal(wire_take_end(&r, "record X"), ERR_BAD_FORMAT);
	assert_non_null(strstr(err_reason(), "record X"));

	struct wire_in rest = { .buf = (const uint8_t *)"\x01\x02", .size = 2 };
	wire_take_u8(&rest);
	assert_int_equal(wire_take_end(&rest, "record X"), ERR_BAD_FORMAT);
	assert_non_null(strstr(err_reason(), "1 bytes too many"));
}

static void text_must_fit_and_hold_no_nul(void **state)
{
	char text[4];
	struct wire_in longer = { .buf = (const uint8_t *)"\x04\x00" "abcd", .size = 6 };
	struct wire_in nul = { .buf = (const uint8_t *)"\x03\x00" "a\0b", .size = 5 };

	(void)state;
	wire_take_text(&longer, text, sizeof(text));
	assert_true(longer.bad);
	assert_string_equal(text, "");
	wire_take_text(&nul, text, sizeof(text));
	assert_true(nul.bad);
}

static void stream_header_is_checked(void **state)
{
	uint8_t buf[WIRE_STREAM_LEN];
	struct wire_out w = { .buf = buf, .size = sizeof(buf) };

	(void)state;
	wire_put_stream(&w);
	assert_int_equal(w.len, WIRE_STREAM_LEN);
	for (unsigned bit = 0; bit <= 8 * WIRE_STREAM_LEN; bit++) {
		struct wire_in r = { .buf = buf, .size = sizeof(buf) };

		if (bit)
			buf[(bit - 1) / 8] ^= 1 << (bit - 1) % 8;
		assert_int_equal(wire_take_stream(&r) == OK, bit == 0);
		if (bit)
			buf[(bit - 1) / 8] ^= 1 << (bit - 1) % 8;
	}
}

static void header_round_trip_and_every_flipped_bit(void **state)
{
	static const char body[] = "a body of a record";
	struct wire_record rec = { .type = WIRE_REFUSED, .length = sizeof(body), .sequence = 3,
	                           .id = id }, back;
	uint8_t head[WIRE_HEADER_LEN];

	(void)state;
	wire_put_header(head, &rec, body);
	assert_int_equal(wire_take_header(head, &back), OK);
	assert_memory_equal(&back, &rec, sizeof(rec));
	assert_int_equal(wire_check_body(&back, body), OK);
	for (unsigned bit = 0; bit < 8 * WIRE_HEADER_LEN; bit++) {
		head[bit / 8] ^= 1 << bit % 8;
		assert_int_not_equal(wire_take_header(head, &back), OK);
		head[bit / 8] ^= 1 << bit % 8;
	}
	for (unsigned bit = 0; bit < 8 * sizeof(body); bit++) {
		char bent[sizeof(body)];

		memcpy(bent, body, sizeof(body));
		bent[bit / 8] ^= 1 << bit % 8;
		assert_int_equal(wire_check_body(&rec, bent), ERR_BAD_FORMAT);
	}
}

static enum err header_of(uint32_t type, uint32_t length)
{
	static uint8_t body[WIRE_BODY_MAX + 1];
	struct wire_record rec = { .type = type, .length = length, .id = id }, back;
	uint8_t head[WIRE_HEADER_LEN];

	wire_put_header(head, &rec, body);
	return wire_take_header(head, &back);
}

static void unknown_types_are_refused_unless_optional(void **state)
{
	(void)state;
	assert_int_equal(header_of(0x7777, 4), ERR_NOT_SUPPORTED);
	assert_non_null(strstr(err_reason(), "0x7777"));
	assert_int_equal(header_of(0x7777 | WIRE_OPTIONAL, 4), OK);
	assert_int_equal(header_of(0x7777 | WIRE_OPTIONAL, WIRE_BODY_MAX + 1), ERR_BAD_FORMAT);
}

static void every_type_has_a_cap(void **state)
{
	(void)state;
#define T(name, number, max, dir, text)                                           \
	assert_int_equal(header_of(WIRE_##name, max), OK);                        \
	assert_int_equal(header_of(WIRE_##name, (uint32_t)(max) + 1), ERR_BAD_FORMAT); \
	assert_non_null(strstr(err_reason(), #name));
	WIRE_TYPES(T)
#undef T
	assert_string_equal(wire_type_name(WIRE_ROUND), "ROUND");
}

/* A PAGES body with these indices. */
static struct wire_in pages_body(unsigned n, const uint32_t *index, uint8_t *buf, size_t size)
{
	struct wire_out w = { .buf = buf, .size = size };

	wire_put_u32(&w, n);
	for (unsigned i = 0; i < n; i++) {
		uint8_t page[PAGE_SIZE];

		memset(page, (int)index[i], PAGE_SIZE);
		wire_put_page(&w, index[i], ~0ull, page);
	}
	return (struct wire_in){ .buf = buf, .size = w.len };
}

static void pages_are_checked_against_the_guest(void **state)
{
	static uint8_t buf[WIRE_BODY_MAX * 2];
	struct wire_pages p;
	uint32_t many[WIRE_PAGES_MAX + 1];

	(void)state;
	struct wire_in good = pages_body(3, (uint32_t[]){ 1, 5, 9 }, buf, sizeof(buf));
	assert_int_equal(wire_take_pages(&good, 10, &p), OK);
	assert_int_equal(p.n, 3);
	assert_int_equal(p.page[2].index, 9);
	assert_int_equal(p.page[2].blocks[0], 9);

	struct wire_in beyond = pages_body(2, (uint32_t[]){ 1, 10 }, buf, sizeof(buf));
	assert_int_equal(wire_take_pages(&beyond, 10, &p), ERR_BAD_FORMAT);
	struct wire_in twice = pages_body(2, (uint32_t[]){ 5, 5 }, buf, sizeof(buf));
	assert_int_equal(wire_take_pages(&twice, 10, &p), ERR_BAD_FORMAT);
	struct wire_in short_one = pages_body(2, (uint32_t[]){ 1, 2 }, buf, sizeof(buf));
	short_one.size--;
	assert_int_equal(wire_take_pages(&short_one, 10, &p), ERR_BAD_FORMAT);

	for (unsigned i = 0; i < COUNT(many); i++)
		many[i] = i;
	struct wire_in too_many = pages_body(COUNT(many), many, buf, sizeof(buf));
	assert_int_equal(wire_take_pages(&too_many, 1000, &p), ERR_BAD_FORMAT);
}

/* A page whose mask is `mask`, through the wire and back. */
static void sparse_page(uint64_t mask)
{
	static uint64_t page[PAGE_SIZE / 8] __attribute__((aligned(8)));
	static uint8_t buf[WIRE_BODY_MAX], back[PAGE_SIZE];
	struct wire_out w = { .buf = buf, .size = sizeof(buf) };
	struct wire_pages p;

	memset(page, 0, sizeof(page));
	for (unsigned i = 0; i < 64; i++)               /* one word a block, each time another */
		page[i * 8 + i % 8] = mask >> i & 1 ? i + 1 : 0;
	assert_int_equal(wire_page_mask(page), mask);
	wire_put_u32(&w, 1);
	wire_put_page(&w, 3, mask, page);
	assert_int_equal(w.len, 4 + WIRE_PAGE_HEAD +
				(unsigned)__builtin_popcountll(mask) * WIRE_BLOCK);
	struct wire_in r = { .buf = buf, .size = w.len };
	assert_int_equal(wire_take_pages(&r, 4, &p), OK);
	memset(back, 0xee, sizeof(back));
	wire_unpack_page(&p.page[0], back);
	assert_memory_equal(back, page, sizeof(page));
	r = (struct wire_in){ .buf = buf, .size = w.len - 1 };
	assert_int_equal(wire_take_pages(&r, 4, &p), ERR_BAD_FORMAT);
}

static void page_is_sent_as_the_blocks_that_hold_anything(void **state)
{
	static const uint64_t masks[] = {
		0, 1, ~0ull, 1ull << 63, 0x8000000000000001, 0xff00, ~1ull, ~0ull >> 1,
		0x5555555555555555, 0xf0f00000000f0f0f,
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(masks); i++)
		sparse_page(masks[i]);
	for (unsigned i = 0; i < 64; i++)
		sparse_page(1ull << i);
}

static enum err take_runs(unsigned n, const struct wire_run *run, uint64_t ram_pages)
{
	static uint8_t buf[WIRE_BODY_MAX];
	static struct wire_zeroes z, back;
	struct wire_out w = { .buf = buf, .size = sizeof(buf) };

	z.n = n;
	memcpy(z.run, run, n * sizeof(*run));
	wire_put_zeroes(&w, &z);
	struct wire_in r = { .buf = buf, .size = w.len };
	enum err e = wire_take_zeroes(&r, ram_pages, &back);
	if (e == OK)
		assert_memory_equal(back.run, z.run, n * sizeof(*run));
	return e;
}

static void zero_runs_are_checked_against_the_guest(void **state)
{
	(void)state;
	assert_int_equal(take_runs(2, (struct wire_run[]){ { 0, 4 }, { 4, 6 } }, 10), OK);
	assert_int_equal(take_runs(1, (struct wire_run[]){ { 5, 6 } }, 10), ERR_BAD_FORMAT);
	assert_int_equal(take_runs(1, (struct wire_run[]){ { 5, UINT32_MAX } }, 10),
	                 ERR_BAD_FORMAT);
	assert_int_equal(take_runs(1, (struct wire_run[]){ { 10, 0 } }, 10), ERR_BAD_FORMAT);
	assert_int_equal(take_runs(2, (struct wire_run[]){ { 0, 4 }, { 3, 1 } }, 10),
	                 ERR_BAD_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_then_take_gives_the_same),
		cmocka_unit_test(put_beyond_the_end_writes_nothing),
		cmocka_unit_test(take_beyond_the_end_gives_zero_and_says_so),
		cmocka_unit_test(text_must_fit_and_hold_no_nul),
		cmocka_unit_test(stream_header_is_checked),
		cmocka_unit_test(header_round_trip_and_every_flipped_bit),
		cmocka_unit_test(unknown_types_are_refused_unless_optional),
		cmocka_unit_test(every_type_has_a_cap),
		cmocka_unit_test(pages_are_checked_against_the_guest),
		cmocka_unit_test(page_is_sent_as_the_blocks_that_hold_anything),
		cmocka_unit_test(zero_runs_are_checked_against_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
