/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_acpi_tables.c - the parsers of single ACPI tables, and the search for \_S5.
 * ACPI 6.5, "Fixed ACPI Description Table", "System Resource Affinity Table", "AML Grammar"; VT-d
 * and AMD IOMMU: "DMAR", "IVRS".  How tables are found: test_acpi.c.
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/acpi_table.h"
#include "tests/host/acpi_bytes.h"

static void put_gas(uint8_t *p, uint8_t space, uint64_t address)
{
	p[0] = space;
	put(p + 4, address, 8);
}

/* A FADT of revision 6 with everything in it. */
static void whole_fadt(uint8_t p[276])
{
	memset(p, 0, 276);
	memcpy(p, "FACP", 4);
	put(p + 40, 0x1000, 4);                 /* DSDT                       */
	put(p + 48, 0xb2, 4);                   /* SMI_CMD, ACPI_ENABLE       */
	p[52] = 0xa1;
	put(p + 64, 0x604, 4);                  /* PM1a_CNT, PM1b_CNT         */
	put(p + 68, 0x704, 4);
	put(p + 76, 0x608, 4);                  /* PM_TMR, 4 bytes            */
	p[91] = 4;
	put(p + 112, 1 << 8 | 1 << 10, 4);      /* TMR_VAL_EXT, RESET_REG_SUP */
	put_gas(p + 116, 1, 0xcf9);             /* RESET_REG                  */
	p[128] = 6;
}

static void fadt_says_how_to_reset_and_to_sleep(void **state)
{
	struct acpi_info a = { 0 };
	uint8_t p[276];

	(void)state;
	whole_fadt(p);
	acpi_parse_fadt(&(struct acpi_table){ p, sizeof(p) }, &a);
	assert_int_equal(a.power.reset.space, ACPI_PORT);
	assert_int_equal(a.power.reset.address, 0xcf9);
	assert_int_equal(a.power.reset_value, 6);
	assert_int_equal(a.power.control[0].address, 0x604);
	assert_int_equal(a.power.control[1].address, 0x704);
	assert_int_equal(a.power.smi_port, 0xb2);
	assert_int_equal(a.power.acpi_enable, 0xa1);
	assert_int_equal(a.power.dsdt, 0x1000);
	assert_int_equal(a.power.sleep.space, ACPI_NOWHERE);
	assert_int_equal(a.pm_timer_port, 0x608);
	assert_true(a.pm_timer_32bit);
}

static void fadt_prefers_the_wide_fields(void **state)
{
	struct acpi_info a = { 0 };
	uint8_t p[276];

	(void)state;
	whole_fadt(p);
	put(p + 112, 1 << 10 | 1 << 20, 4);             /* RESET_REG_SUP, HW_REDUCED */
	put_gas(p + 116, 0, 0xfed80000);
	put(p + 140, 0x123456789000, 8);
	put_gas(p + 172, 0, 0xfed80804);
	put_gas(p + 208, 1, 0x808);
	put_gas(p + 244, 1, 0x405);
	acpi_parse_fadt(&(struct acpi_table){ p, sizeof(p) }, &a);
	assert_int_equal(a.power.reset.space, ACPI_MEMORY);
	assert_int_equal(a.power.control[0].space, ACPI_MEMORY);
	assert_int_equal(a.power.control[0].address, 0xfed80804);
	assert_int_equal(a.power.control[1].address, 0x704);
	assert_int_equal(a.power.dsdt, 0x123456789000);
	assert_int_equal(a.power.sleep.address, 0x405);
	assert_int_equal(a.pm_timer_port, 0x808);
}

static void fadt_of_any_length_gives_nothing_beyond_its_end(void **state)
{
	uint8_t whole[276];

	(void)state;
	whole_fadt(whole);
	for (size_t len = ACPI_HEADER_LEN; len <= sizeof(whole); len++) {
		struct acpi_info a = { 0 };
		uint8_t *p = malloc(len);               /* the sanitizer watches its end */
		memcpy(p, whole, len);
		acpi_parse_fadt(&(struct acpi_table){ p, len }, &a);
		assert_int_equal(a.power.reset.space, len > 128 ? ACPI_PORT : ACPI_NOWHERE);
		free(p);
	}
}

/* --- \_S5 ------------------------------------------------------------------------------------- */

#define S5       '_', 'S', '5', '_'

static void s5_is_found_in_each_form(void **state)
{
	static const struct { uint8_t aml[24]; size_t len; int a, b; } cases[] = {
		{ { 0x08, S5, 0x12, 6, 4, 0x0a, 5, 0x0a, 6, 0, 0 }, 12, 5, 6 },
		{ { 0x08, '\\', S5, 0x12, 6, 4, 0x0a, 7, 0, 0, 0 }, 12, 7, 0 },
		{ { 0x08, S5, 0x12, 6, 4, 0, 0, 0, 0 }, 10, 0, 0 },
		{ { 0x08, S5, 0x12, 5, 2, 1, 1 }, 10, 1, 1 },
		{ { 0x08, S5, 0x12, 0x46, 0, 2, 0x0b, 3, 0, 0x0c, 4, 0, 0, 0 }, 17, 3, 4 },
		{ { 0x08, S5, 0x12, 7, 1, 0x0b, 5, 6 }, 11, 5, 6 },     /* both in one element */
		{ { 0x5b, S5, 0x08, S5, 0x12, 6, 4, 0x0a, 2, 1, 0, 0 }, 17, 2, 1 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		uint8_t type[2];
		if (!acpi_find_s5(cases[i].aml, cases[i].len, type))
			fail_msg("case %u: not found", i);
		assert_int_equal(type[0], cases[i].a);
		assert_int_equal(type[1], cases[i].b);
	}
}

static void s5_that_is_something_else_is_not_found(void **state)
{
	static const struct { uint8_t aml[16]; size_t len; } cases[] = {
		{ { S5, 0x12, 6, 4, 0x0a, 5 }, 9 },                     /* no name operator     */
		{ { 0x14, S5, 0x12, 6, 4, 0x0a, 5 }, 10 },              /* a method             */
		{ { 0x08, S5, 0x11, 6, 4, 0x0a, 5, 0 }, 11 },           /* a buffer             */
		{ { 0x08, S5, 0x12, 6, 0, 0x0a, 5, 0 }, 11 },           /* an empty package     */
		{ { 0x08, S5, 0x12, 6, 2, 0x0a, 8, 0 }, 11 },           /* no such sleep type   */
		{ { 0x08, S5, 0x12, 6, 2, 0x70, 5, 0 }, 11 },           /* not a constant       */
		{ { 0x08, S5, 0x12, 6, 2, 0x0a, 5 }, 10 },              /* cut in the second    */
		{ { 0x08, S5, 0x12, 6, 2, 0x0a }, 9 },                  /* cut in the first     */
		{ { 0x08, S5, 0x12, 0xc6 }, 7 },                        /* cut in the length    */
		{ { 0x08, S5 }, 5 },
		{ { 0x08, '_', 'S', '5' }, 4 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		uint8_t type[2], *p = malloc(cases[i].len);
		memcpy(p, cases[i].aml, cases[i].len);
		if (acpi_find_s5(p, cases[i].len, type))
			fail_msg("case %u: found", i);
		free(p);
	}
}

/* --- Records ---------------------------------------------------------------------------------- */

#define TABLE(signature, at, ...) \
	{ signature, at, { __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) }
struct sample { const char *signature; size_t at; uint8_t bytes[160]; size_t len; };

static struct acpi_table make(const struct sample *s, uint8_t *to)
{
	memset(to, 0, s->at);
	memcpy(to, s->signature, 4);
	memcpy(to + s->at, s->bytes, s->len);
	return (struct acpi_table){ to, s->at + s->len };
}

static void srat_gives_each_cpu_and_range_a_domain(void **state)
{
	static const struct sample s = TABLE("SRAT", 48,
		0, 16, 1, 3, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0,        /* APIC 3 in 0x201      */
		0, 16, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,        /* off                  */
		2, 24, 0, 0, 5, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		1, 40, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0,
		0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		1, 40, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0x48, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0,
		0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);        /* overlaps: left out   */
	struct acpi_info a = { 0 };
	uint8_t p[256];
	struct acpi_table t = make(&s, p);

	(void)state;
	acpi_parse_srat(&t, &a);
	assert_int_equal(acpi_cpu_domain(&a, 3), 0x201);
	assert_int_equal(acpi_cpu_domain(&a, 4), ACPI_NO_DOMAIN);
	assert_int_equal(acpi_cpu_domain(&a, 0x100), 5);
	assert_int_equal(a.nmemory_domains, 1);
	assert_int_equal(a.memory_domain[0].base, 0x40000000);
	assert_int_equal(a.memory_domain[0].len, 0x10000000);
	assert_int_equal(acpi_count_domains(&a), 2);
}

static void iommus_are_counted_once(void **state)
{
	static const struct sample dmar = TABLE("DMAR", 48,
		0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0,
		1, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0xda, 0xfe, 0, 0, 0, 0,  /* RMRR: no unit        */
		0, 0, 16, 0, 1, 0, 0, 0, 0, 0x10, 0xd9, 0xfe, 0, 0, 0, 0);
	static const struct sample ivrs = TABLE("IVRS", 48,
		0x10, 0xfe, 16, 0, 2, 0, 0x40, 0, 0, 0, 0xb8, 0xfd, 0, 0, 0, 0,
		0x11, 0xfe, 16, 0, 2, 0, 0x40, 0, 0, 0, 0xb8, 0xfd, 0, 0, 0, 0);
	struct acpi_info intel = { 0 }, amd = { 0 };
	uint8_t p[256];
	struct acpi_table t = make(&dmar, p);

	(void)state;
	acpi_parse_dmar(&t, &intel);
	assert_int_equal(intel.iommu_kind, ACPI_IOMMU_DMAR);
	assert_int_equal(intel.niommus, 2);
	assert_int_equal(intel.iommu[1], 0xfed91000);
	t = make(&ivrs, p);
	acpi_parse_ivrs(&t, &amd);
	assert_int_equal(amd.iommu_kind, ACPI_IOMMU_IVRS);
	assert_int_equal(amd.niommus, 1);
	assert_int_equal(amd.iommu[0], 0xfdb80000);
}

static void mcfg_takes_segment_0_from_bus_0_only(void **state)
{
	static const struct sample s = TABLE("MCFG", 44,
		0, 0, 0, 0xa0, 0, 0, 0, 0, 1, 0, 0, 255, 0, 0, 0, 0,    /* segment 1            */
		0, 0, 0, 0xa0, 0, 0, 0, 0, 0, 0, 64, 255, 0, 0, 0, 0,   /* from bus 64          */
		0, 0, 8, 0xa0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0,    /* half a MiB           */
		0, 0, 0xf0, 255, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 0,    /* beyond the end */
		0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 0, 0, 127, 0, 0, 0, 0);
	struct acpi_info a = { 0 };
	uint8_t p[256];
	struct acpi_table t = make(&s, p);

	(void)state;
	acpi_parse_mcfg(&t, &a);
	assert_int_equal(a.mcfg_base, 0xb0000000);
	assert_int_equal(a.mcfg_bus_last, 127);
}

static void madt_counts_a_cpu_once(void **state)
{
	static const struct sample s = TABLE("APIC", 44,
		0, 8, 0, 1, 1, 0, 0, 0,
		9, 16, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,        /* again, as x2APIC     */
		1, 12, 4, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,
		1, 12, 5, 0, 0, 0x10, 0xc0, 0xfe, 0, 0, 0, 0);          /* the same interrupts  */
	struct acpi_info a = { 0 };
	uint8_t p[256];
	struct acpi_table t = make(&s, p);

	(void)state;
	acpi_parse_madt(&t, &a);
	assert_int_equal(a.ncpus, 1);
	assert_int_equal(a.nioapics, 1);
	assert_int_equal(a.ioapic[0].id, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fadt_says_how_to_reset_and_to_sleep),
		cmocka_unit_test(fadt_prefers_the_wide_fields),
		cmocka_unit_test(fadt_of_any_length_gives_nothing_beyond_its_end),
		cmocka_unit_test(s5_is_found_in_each_form),
		cmocka_unit_test(s5_that_is_something_else_is_not_found),
		cmocka_unit_test(srat_gives_each_cpu_and_range_a_domain),
		cmocka_unit_test(iommus_are_counted_once),
		cmocka_unit_test(mcfg_takes_segment_0_from_bus_0_only),
		cmocka_unit_test(madt_counts_a_cpu_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
