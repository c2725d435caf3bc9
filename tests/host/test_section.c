/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_section.c - save and load by descriptor: only derived fields may differ, and what
 * does not fit is refused before the live object changes.
 */
#include "tests/host/support.h"

#include <string.h>

#include "mig/ramhash.h"
#include "mig/section.h"

struct toy {
	uint8_t  small[3];
	bool     armed;
	uint16_t mid;
	int32_t  negative;
	uint64_t wide[2];
	unsigned saves, resumes;                /* derived */
	void    *derived;
};

static void toy_save(void *object) { ((struct toy *)object)->saves++; }
static void toy_resume(void *object) { ((struct toy *)object)->resumes++; }

static enum err toy_check(const void *object)
{
	const struct toy *t = object;

	return t->mid == 0xbad ? refuse(ERR_BAD_FORMAT, "section toy: mid is %#x", t->mid) : OK;
}

static const struct field toy_fields[] = {
	FIELDS(struct toy, small), FIELD(struct toy, armed), FIELD(struct toy, mid),
	FIELD(struct toy, negative), FIELDS(struct toy, wide),
};
static const struct section toy_state = {
	.name = "toy", .version = 2, .fields = toy_fields, .nfields = COUNT(toy_fields),
	.object_size = sizeof(struct toy),
	.save = toy_save, .check = toy_check, .resume = toy_resume,
};

static uint8_t buf[256];

static struct wire_in saved(struct toy *t)
{
	struct wire_out w = { .buf = buf, .size = sizeof(buf) };

	section_save(&(struct section_ref){ &toy_state, t, 4 }, &w);
	assert_false(w.overflow);
	assert_int_equal(w.len, SECTION_HEAD_LEN + section_len(&toy_state));
	return (struct wire_in){ .buf = buf, .size = w.len };
}

static const struct toy pattern = { .small = { 1, 2, 3 }, .armed = true, .mid = 0x1234,
                                    .negative = -5,
                                    .wide = { 0x1122334455667788ull, ~0ull } };

static void round_trip_changes_fields_and_nothing_else(void **state)
{
	struct toy from = pattern, live = { .derived = &live, .saves = 70, .resumes = 80 },
		copy = live;
	struct section_ref ref = { &toy_state, &live, 4 };
	struct section_head head;

	(void)state;
	struct wire_in r = saved(&from);
	assert_int_equal(from.saves, 1);
	section_take_head(&r, &head);
	assert_string_equal(head.name, "toy");
	assert_int_equal(head.instance, 4);
	assert_int_equal(section_match(&ref, &head), OK);
	assert_int_equal(section_stage(&ref, &r, &copy), OK);
	assert_int_equal(live.mid, 0);          /* staging leaves the live object alone */
	section_commit(&ref, &copy);
	section_resume(&ref);
	assert_memory_equal(live.small, pattern.small, 3);
	assert_true(live.armed);
	assert_int_equal(live.mid, pattern.mid);
	assert_int_equal(live.negative, -5);
	assert_memory_equal(live.wide, pattern.wide, sizeof(live.wide));
	assert_ptr_equal(live.derived, &live);
	assert_int_equal(live.saves, 70);
	assert_int_equal(live.resumes, 81);
}

static enum err stage_of(struct wire_in r)
{
	struct toy live = { 0 }, copy = live;
	struct section_head head;

	section_take_head(&r, &head);
	return section_stage(&(struct section_ref){ &toy_state, &live, 4 }, &r, &copy);
}

static void too_short_too_long_and_bad_values_are_refused(void **state)
{
	struct toy from = pattern;
	struct wire_in r = saved(&from);

	(void)state;
	assert_int_equal(stage_of(r), OK);
	r.size--;
	assert_int_equal(stage_of(r), ERR_BAD_FORMAT);
	r.size += 2;
	assert_int_equal(stage_of(r), ERR_BAD_FORMAT);
	r.size--;
	buf[SECTION_HEAD_LEN + 3] = 2;
	assert_int_equal(stage_of(r), ERR_BAD_FORMAT);
	assert_non_null(strstr(err_reason(), "armed"));
	buf[SECTION_HEAD_LEN + 3] = 1;
	buf[SECTION_HEAD_LEN + 4] = 0xad;       /* what check() refuses */
	buf[SECTION_HEAD_LEN + 5] = 0x0b;
	assert_int_equal(stage_of(r), ERR_BAD_FORMAT);
	assert_non_null(strstr(err_reason(), "mid"));
}

static void version_and_layout_must_match_and_are_named(void **state)
{
	static const struct field other_fields[] = { FIELD(struct toy, mid),
	                                             FIELD(struct toy, negative) };
	struct section other = { .name = "toy", .version = 2, .fields = other_fields,
	                         .nfields = 2 };
	struct toy live;
	struct section_ref ref = { &toy_state, &live, 0 };
	struct section_head head = section_head_of(&ref);

	(void)state;
	head.version = 3;
	assert_int_equal(section_match(&ref, &head), ERR_NOT_SUPPORTED);
	assert_non_null(strstr(err_reason(), "section toy: version 3 there, 2 here"));
	head = section_head_of(&(struct section_ref){ &other, &live, 0 });
	assert_int_equal(section_match(&ref, &head), ERR_NOT_SUPPORTED);
	assert_non_null(strstr(err_reason(), "fields"));
}

static void layout_knows_names_sizes_and_order(void **state)
{
	static const struct field a[] = { { "x", 0, 4, 1, 0 }, { "y", 4, 4, 1, 0 } };
	static const struct field swapped[] = { { "y", 4, 4, 1, 0 }, { "x", 0, 4, 1, 0 } };
	static const struct field wider[] = { { "x", 0, 8, 1, 0 }, { "y", 8, 4, 1, 0 } };
	uint32_t base = section_layout(&(struct section){ .fields = a, .nfields = 2 });

	(void)state;
	assert_int_not_equal(base, section_layout(&(struct section){ .fields = swapped,
	                                                             .nfields = 2 }));
	assert_int_not_equal(base, section_layout(&(struct section){ .fields = wider,
	                                                             .nfields = 2 }));
	assert_int_not_equal(base, section_layout(&(struct section){ .fields = a, .nfields = 1 }));
}

static void head_with_a_name_that_does_not_end_is_bad(void **state)
{
	uint8_t bytes[SECTION_HEAD_LEN];
	struct section_head head;

	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	bytes[2] = 27;                          /* escape: not for a terminal */
	struct wire_in r = { .buf = bytes, .size = sizeof(bytes) };
	section_take_head(&r, &head);
	assert_true(r.bad);
	assert_string_equal(head.name, "aa?aaaaaaaaaaaa");
}

/* --- The fingerprint of RAM, which the same handoff uses -------------------------------------- */

static void hash_pages(uint8_t pages[3][PAGE_SIZE], const unsigned order[3],
                       uint8_t out[RAMHASH_LEN])
{
	struct ramhash h;

	ramhash_begin(&h);
	for (unsigned i = 0; i < 3; i++)
		ramhash_page(&h, i, pages[order[i]]);
	ramhash_end(&h, out);
}

static void ramhash_sees_every_bit_and_the_order_of_pages(void **state)
{
	static uint8_t pages[3][PAGE_SIZE];
	uint8_t base[RAMHASH_LEN], other[RAMHASH_LEN];
	static const unsigned straight[3] = { 0, 1, 2 }, crossed[3] = { 1, 0, 2 };

	(void)state;
	pages[0][0] = 1;
	hash_pages(pages, straight, base);
	hash_pages(pages, straight, other);
	assert_memory_equal(base, other, RAMHASH_LEN);
	hash_pages(pages, crossed, other);
	assert_memory_not_equal(base, other, RAMHASH_LEN);
	for (unsigned bit = 0; bit < 3 * PAGE_SIZE * 8; bit += 61) {
		uint8_t *byte = &pages[0][0] + bit / 8;

		*byte ^= 1 << bit % 8;
		hash_pages(pages, straight, other);
		assert_memory_not_equal(base, other, RAMHASH_LEN);
		/* ... and in every lane, so a shortened hash would still see it. */
		for (unsigned lane = 0; lane < RAMHASH_LEN; lane += 8)
			assert_memory_not_equal(base + lane, other + lane, 8);
		*byte ^= 1 << bit % 8;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip_changes_fields_and_nothing_else),
		cmocka_unit_test(too_short_too_long_and_bad_values_are_refused),
		cmocka_unit_test(version_and_layout_must_match_and_are_named),
		cmocka_unit_test(layout_knows_names_sizes_and_order),
		cmocka_unit_test(head_with_a_name_that_does_not_end_is_bad),
		cmocka_unit_test(ramhash_sees_every_bit_and_the_order_of_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
