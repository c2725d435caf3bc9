/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_acpi.c - ACPI tables in a small physical memory, good and damaged.
 * ACPI 6.5, sections 5.2.5 (RSDP), 5.2.7 and 5.2.8 (root tables), 5.2.9 (FADT), 5.2.12 (MADT).
 */
#include "tests/host/support.h"

#include <string.h>

#include "arch/x86_64/acpi.h"
#include "tests/host/acpi_bytes.h"

#define MEMORY_BASE     0x7fe0000ull
#define XSDT_AT         0x000
#define RSDT_AT         0x080
#define MADT_AT         0x100
#define FADT_AT         0x200
#define HPET_AT         0x400
#define MCFG_AT         0x480
#define OTHER_AT        0x500

struct world { uint8_t memory[0x600], rsdp[ACPI_RSDP_MAX]; };

static bool read_world(void *ctx, uint64_t address, void *to, size_t len)
{
	struct world *w = ctx;
	uint64_t at = address - MEMORY_BASE;

	if (address < MEMORY_BASE || at > sizeof(w->memory) || len > sizeof(w->memory) - at)
		return false;
	memcpy(to, w->memory + at, len);
	return true;
}

static uint8_t *table(struct world *w, size_t at, const char *signature, uint32_t len)
{
	uint8_t *p = w->memory + at;

	memcpy(p, signature, 4);
	put(p + 4, len, 4);
	return p;
}

static void seal(uint8_t *p)
{
	uint32_t len;

	memcpy(&len, p + 4, 4);
	checksum(p, len, ACPI_CHECKSUM_AT);
}

static void build_madt(struct world *w)
{
	static const uint8_t entries[] = {
		0, 8, 0, 0, 1, 0, 0, 0,                         /* CPU, APIC ID 0        */
		0, 8, 1, 2, 0, 0, 0, 0,                         /* CPU, not enabled      */
		9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,/* x2APIC ID 0x100       */
		1, 12, 4, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,      /* IOAPIC 4 at fec00000  */
		2, 10, 0, 0, 2, 0, 0, 0, 0, 0,                  /* IRQ 0 is GSI 2        */
		2, 10, 0, 9, 9, 0, 0, 0, 0x0f, 0,               /* IRQ 9 level, low      */
		77, 4, 0, 0,                                    /* unknown: skipped      */
	};
	uint8_t *p = table(w, MADT_AT, "APIC", 44 + sizeof(entries));

	put(p + 36, 0xfee00000, 4);
	put(p + 40, 1, 4);
	memcpy(p + 44, entries, sizeof(entries));
	seal(p);
}

static void build(struct world *w)
{
	static const uint32_t tables[] = { OTHER_AT, MADT_AT, FADT_AT, HPET_AT, MCFG_AT };
	uint8_t *xsdt = table(w, XSDT_AT, "XSDT", 36 + 8 * COUNT(tables));
	uint8_t *rsdt = table(w, RSDT_AT, "RSDT", 36 + 4 * COUNT(tables)), *p;

	for (unsigned i = 0; i < COUNT(tables); i++) {
		put(xsdt + 36 + 8 * i, MEMORY_BASE + tables[i], 8);
		put(rsdt + 36 + 4 * i, MEMORY_BASE + tables[i], 4);
	}
	seal(xsdt);
	seal(rsdt);
	build_madt(w);
	p = table(w, FADT_AT, "FACP", 244);
	put(p + 76, 0x608, 4);
	p[91] = 4;
	put(p + 112, 1 << 8, 4);
	seal(p);
	p = table(w, HPET_AT, "HPET", 56);
	put(p + 44, 0xfed00000, 8);
	seal(p);
	p = table(w, MCFG_AT, "MCFG", 60);
	put(p + 44, 0xb0000000, 8);
	p[55] = 255;
	seal(p);
	seal(table(w, OTHER_AT, "SSDT", 36));

	memcpy(w->rsdp, "RSD PTR ", 8);
	w->rsdp[15] = 2;
	put(w->rsdp + 16, MEMORY_BASE + RSDT_AT, 4);
	put(w->rsdp + 20, 36, 4);
	put(w->rsdp + 24, MEMORY_BASE + XSDT_AT, 8);
	checksum(w->rsdp, 20, 8);
	checksum(w->rsdp, 36, 32);
}

static enum err parse(struct world *w, size_t rsdp_len, struct acpi_info *out)
{
	const struct acpi_reader r = { read_world, w };

	return acpi_parse(&r, w->rsdp, rsdp_len, out);
}

static void expect_all(const struct acpi_info *a)
{
	assert_true(a->present && a->has_8259);
	assert_int_equal(a->lapic_address, 0xfee00000);
	assert_int_equal(a->ncpus, 2);
	assert_int_equal(a->apic_id[1], 0x100);
	assert_int_equal(a->nioapics, 1);
	assert_int_equal(a->ioapic[0].address, 0xfec00000);
	assert_int_equal(a->noverrides, 2);
	assert_int_equal(a->override[0].gsi, 2);
	assert_true(a->override[0].as_bus);
	assert_true(a->override[1].level && a->override[1].active_low && !a->override[1].as_bus);
	assert_int_equal(a->pm_timer_port, 0x608);
	assert_true(a->pm_timer_32bit);
	assert_int_equal(a->hpet_address, 0xfed00000);
	assert_int_equal(a->mcfg_base, 0xb0000000);
	assert_int_equal(a->mcfg_bus_last, 255);
}

static void acpi_reads_by_xsdt_and_by_rsdt(void **state)
{
	static struct world w;
	static struct acpi_info a;

	(void)state;
	build(&w);
	assert_int_equal(parse(&w, 36, &a), OK);
	expect_all(&a);
	w.memory[XSDT_AT] = 'Y';                /* revision 1 does not look at it */
	assert_int_equal(parse(&w, 20, &a), OK);
	expect_all(&a);
}

static void acpi_refuses_a_bad_root(void **state)
{
	static struct world w;
	static struct acpi_info a;

	(void)state;
	build(&w);
	assert_int_equal(parse(&w, 19, &a), ERR_BAD_FORMAT);
	w.rsdp[9] ^= 1;
	assert_int_equal(parse(&w, 36, &a), ERR_BAD_FORMAT);
	w.rsdp[9] ^= 1;
	w.memory[XSDT_AT + 40] ^= 1;
	assert_int_equal(parse(&w, 36, &a), ERR_BAD_FORMAT);
	assert_false(a.present);
	assert_int_equal(a.ncpus, 0);
}

static void acpi_leaves_out_a_damaged_table(void **state)
{
	static struct world w;
	static struct acpi_info a;

	(void)state;
	build(&w);
	w.memory[FADT_AT + 76] ^= 1;            /* wrong checksum */
	put(w.memory + HPET_AT + 4, 0xffffffff, 4);
	assert_int_equal(parse(&w, 36, &a), OK);
	assert_int_equal(a.pm_timer_port, 0);
	assert_int_equal(a.hpet_address, 0);
	assert_int_equal(a.nioapics, 1);
}

/*
 * Any byte of any table may be anything, with a checksum that fits: nothing is read beyond the end.
 */
static void acpi_survives_any_sealed_damage(void **state)
{
	static const uint8_t damage[] = { 0x00, 0x01, 0x7f, 0xff };
	static const size_t at[] = { XSDT_AT, MADT_AT, FADT_AT, HPET_AT, MCFG_AT };
	static struct world good, w;
	static struct acpi_info a;

	(void)state;
	build(&good);
	for (unsigned t = 0; t < COUNT(at); t++)
		for (size_t i = 4; i < 256; i++)
			for (unsigned d = 0; d < COUNT(damage); d++) {
				uint32_t len;
				w = good;
				w.memory[at[t] + i] = damage[d];
				memcpy(&len, w.memory + at[t] + 4, 4);
				if (len >= 10 && len <= sizeof(w.memory) - at[t])
					checksum(w.memory + at[t], len, 9);
				parse(&w, 36, &a);
				assert_true(a.ncpus <= CPUS_MAX && a.nioapics <= ACPI_IOAPICS_MAX);
			}
}

/* A table that claims more than we take, in a memory where everything can be read. */
static bool read_endless(void *ctx, uint64_t address, void *to, size_t len)
{
	struct world *w = ctx;

	if (!read_world(w, address, to, len))
		memset(to, 0, len);
	return true;
}

static void acpi_leaves_out_a_table_that_is_too_long(void **state)
{
	static struct world w;
	static struct acpi_info a;
	const struct acpi_reader r = { read_endless, &w };

	(void)state;
	build(&w);
	put(w.memory + MADT_AT + 4, 1 << 20, 4);
	assert_int_equal(acpi_parse(&r, w.rsdp, 36, &a), OK);
	assert_int_equal(a.nioapics, 0);
	assert_int_equal(a.pm_timer_port, 0x608);
}

/* An entry must end within its table: the bytes behind belong to somebody else. */
static void acpi_takes_no_madt_entry_beyond_the_end(void **state)
{
	static struct world w;
	static struct acpi_info a;

	(void)state;
	build(&w);
	uint8_t *madt = w.memory + MADT_AT;
	put(madt + 4, 44 + 8 + 8 + 16 + 11, 4); /* one byte of the IOAPIC's entry is missing */
	seal(madt);
	assert_int_equal(parse(&w, 36, &a), OK);
	assert_int_equal(a.ncpus, 2);
	assert_int_equal(a.nioapics, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acpi_reads_by_xsdt_and_by_rsdt),
		cmocka_unit_test(acpi_refuses_a_bad_root),
		cmocka_unit_test(acpi_leaves_out_a_damaged_table),
		cmocka_unit_test(acpi_survives_any_sealed_damage),
		cmocka_unit_test(acpi_leaves_out_a_table_that_is_too_long),
		cmocka_unit_test(acpi_takes_no_madt_entry_beyond_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
