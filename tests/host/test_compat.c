/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_compat.c - may this guest live here: every reason against it, by name.
 */
#include "tests/host/support.h"

#include <stdio.h>
#include <string.h>

#include "mig/compat.h"

static struct hello hello;
static struct compat_here here;
static struct reasons why;

static void begin(void)
{
	memset(&hello, 0, sizeof(hello));
	memset(&here, 0, sizeof(here));
	memset(&why, 0, sizeof(why));
	hello.config.ram_bytes = 96 * MIB;
	hello.tsc_khz = 2500000;
	here.bytes_free = GIB;
}

static void guest_that_fits_has_nothing_against_it(void **state)
{
	(void)state;
	begin();
	compat_check(&hello, &here, &why);
	assert_int_equal(why.n, 0);
	here.bytes_free = ALIGN_UP(96 * MIB, FRAME_SIZE) + compat_extra_bytes(96 * MIB);
	compat_check(&hello, &here, &why);
	assert_int_equal(why.n, 0);
}

static void too_little_memory_is_said_in_figures(void **state)
{
	(void)state;
	begin();
	here.bytes_free = 96 * MIB;
	compat_check(&hello, &here, &why);
	assert_int_equal(why.n, 1);
	assert_non_null(strstr(why.text, "96 MiB are free here"));
}

static void any_tsc_frequency_that_there_is_will_do(void **state)
{
	static const struct { uint64_t khz; bool ok; } cases[] = {
		{ 2500000, true }, { 1000, true }, { 6000000, true }, { 999, false },
		{ 0, false }, { UINT64_MAX, false },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		begin();
		hello.tsc_khz = cases[i].khz;
		compat_check(&hello, &here, &why);
		assert_int_equal(why.n == 0, cases[i].ok);
	}
}

static void all_reasons_are_given_not_only_the_first(void **state)
{
	(void)state;
	begin();
	hello.tsc_khz = 0;
	here.bytes_free = 0;
	compat_check(&hello, &here, &why);
	assert_int_equal(why.n, 2);
	assert_non_null(strstr(why.text, "TSC"));
	assert_non_null(strstr(why.text, "; the guest needs"));
}

static void cpu_with_everything(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	(void)leaf;
	(void)subleaf;
	*out = (struct cpuid_regs){ ~0u, ~0u, ~0u, ~0u };
}

/* A host without any feature is asked for all: the longest list that there can be. */
static void each_missing_feature_is_named(void **state)
{
	static const struct cpu_baseline everything;
	const struct cpuid_source from = { .raw = cpu_with_everything, .xcr0_mask = 7, .cpus = 1,
		                           .tsc_khz = 2500000, .baseline = &everything };
	char item[80];

	(void)state;
	begin();
	cpuid_table_make(&hello.cpuid, &from);
	compat_check(&hello, &here, &why);
	assert_int_equal(why.n, 1);
	assert_int_equal(strncmp(why.text, "the CPU here lacks ", 19), 0);
	for (unsigned i = 0; i < cpu_nfeatures; i++) {
		if (cpu_feature_table[i].class == CPU_SMP)
			continue;
		snprintf(item, sizeof(item), ", %s (leaf ", cpu_feature_table[i].name);
		assert_non_null(strstr(why.text, item));
	}
	assert_null(strstr(why.text, "..."));
}

static const struct field fields[] = { { "x", 0, 4, 1, false } };
static const struct section vpic = { .name = "vpic", .version = 1, .fields = fields, .nfields = 1 };
static const struct section vpit = { .name = "vpit", .version = 2, .fields = fields, .nfields = 1 };
static const struct section_ref ghost[] = { { &vpic, NULL, 0 },
					    { &vpit, NULL, 0 },
					    { &vpit, NULL, 1 } };

static void announce_all(void)
{
	begin();
	for (unsigned i = 0; i < COUNT(ghost); i++)
		hello.section[hello.nsections++] = section_head_of(&ghost[i]);
}

static void sections_must_be_the_same_set(void **state)
{
	(void)state;
	announce_all();
	compat_sections(&hello, ghost, COUNT(ghost), &why);
	assert_int_equal(why.n, 0);

	hello.nsections = 2;
	strcpy(hello.section[0].name, "vfan");
	compat_sections(&hello, ghost, COUNT(ghost), &why);
	assert_non_null(strstr(why.text, "section vfan.0 is unknown here"));
	assert_non_null(strstr(why.text, "section vpic.0 is needed here and will not come"));
	assert_non_null(strstr(why.text, "section vpit.1 is needed here and will not come"));
	assert_int_equal(why.n, 3);
}

static void other_versions_and_fields_are_named(void **state)
{
	(void)state;
	announce_all();
	hello.section[0].version = 7;
	hello.section[2].layout ^= 1;
	compat_sections(&hello, ghost, COUNT(ghost), &why);
	assert_int_equal(why.n, 2);
	assert_non_null(strstr(why.text, "section vpic: version 7 there, 1 here"));
	assert_non_null(strstr(why.text, "section vpit: the fields of version 2 differ"));
}

static void reasons_without_room_end_in_dots(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 500; i++)
		reasons_add(&why, "reason number %u", i);
	assert_int_equal(why.n, 500);
	assert_true(strlen(why.text) < sizeof(why.text));
	assert_int_equal(strncmp(why.text, "reason number 0; reason number 1; ", 34), 0);
	assert_string_equal(why.text + strlen(why.text) - 4, " ...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_that_fits_has_nothing_against_it),
		cmocka_unit_test(too_little_memory_is_said_in_figures),
		cmocka_unit_test(any_tsc_frequency_that_there_is_will_do),
		cmocka_unit_test(all_reasons_are_given_not_only_the_first),
		cmocka_unit_test(each_missing_feature_is_named),
		cmocka_unit_test(sections_must_be_the_same_set),
		cmocka_unit_test(other_versions_and_fields_are_named),
		cmocka_unit_test(reasons_without_room_end_in_dots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
