/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/test_fuzz_acpi.c - ACPI tables of real firmware, bent in thousands of ways; bounded,
 * and the same in every run.
 *
 * Each table is given to its parser in memory of exactly its length, so that AddressSanitizer sees
 * a byte too far; then whole sets go by way of the root table, with right checksums.  Whatever a
 * table says: what we know afterwards is consistent.  Seeds: tests/fuzz/seeds/acpi.hex, of
 * SeaBIOS and OVMF under QEMU, and of Bochs.
 */
#include "tests/host/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/acpi_table.h"
#include "tests/host/acpi_bytes.h"

#define SEEDS_FILE      "tests/fuzz/seeds/acpi.hex"
#define SEEDS_MAX       32
#define SEED_BYTES_MAX  512
#define ROUNDS          20000
#define WHOLE_ROUNDS    3000
#define BENDS_MAX       8

struct seed { char signature[5]; uint8_t bytes[SEED_BYTES_MAX]; size_t len; };

static struct seed seeds[SEEDS_MAX];
static unsigned nseeds;

static const struct { const char *signature; acpi_parse_fn *parse; } parsers[] = {
	{ "APIC", acpi_parse_madt }, { "FACP", acpi_parse_fadt }, { "HPET", acpi_parse_hpet },
	{ "MCFG", acpi_parse_mcfg }, { "SRAT", acpi_parse_srat }, { "DMAR", acpi_parse_dmar },
	{ "IVRS", acpi_parse_ivrs },
};

static int load_seeds(void **state)
{
	static char line[2 * SEED_BYTES_MAX + 16];
	FILE *f = fopen(SEEDS_FILE, "r");

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		struct seed *s = &seeds[nseeds];
		int at;
		if (line[0] == '#' || sscanf(line, "%4s %n", s->signature, &at) != 1)
			continue;
		unsigned byte;
		for (char *p = line + at; sscanf(p, "%2x", &byte) == 1; p += 2)
			s->bytes[s->len++] = (uint8_t)byte;
		assert_true(++nseeds < SEEDS_MAX);
	}
	fclose(f);
	assert_true(nseeds > 10);
	return 0;
}

static unsigned below(unsigned n)
{
	return (unsigned)rand() % n;
}

/* A few bytes changed, more often to values that are the edge of something. */
static void bend(uint8_t *p, size_t len)
{
	static const uint8_t edges[] = { 0, 1, 2, 4, 8, 0x10, 0x7f, 0x80, 0xfe, 0xff };

	for (unsigned n = below(BENDS_MAX); n; n--)
		p[below((unsigned)len)] = below(2) ? edges[below(COUNT(edges))]
		                                   : (uint8_t)below(256);
}

/* What must hold, whatever the tables said. */
static void check_consistent(const struct acpi_info *a)
{
	assert_true(a->ncpus <= CPUS_MAX && a->nioapics <= ACPI_IOAPICS_MAX);
	assert_true(a->noverrides <= ACPI_OVERRIDES_MAX && a->niommus <= ACPI_IOMMUS_MAX);
	assert_true(a->ncpu_domains <= CPUS_MAX && a->nmemory_domains <= ACPI_MEMORY_MAX);
	for (unsigned i = 0; i < a->ncpus; i++)
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(a->apic_id[i], a->apic_id[j]);
	for (unsigned i = 0; i < a->nmemory_domains; i++)
		for (unsigned j = 0; j < i; j++) {
			const struct acpi_memory_domain *x = &a->memory_domain[i];
			const struct acpi_memory_domain *y = &a->memory_domain[j];
			assert_true(x->base >= y->base + y->len || y->base >= x->base + x->len);
		}
	assert_true(acpi_count_domains(a) <= a->ncpu_domains + a->nmemory_domains);
	assert_int_equal(a->hpet_address % PAGE_SIZE, 0);
	assert_int_equal(a->mcfg_base % MIB, 0);
	assert_true(a->power.s5_type[0] <= 7 && a->power.s5_type[1] <= 7);
	assert_true(a->power.reset.space != ACPI_PORT || a->power.reset.address <= UINT16_MAX);
}

static void acpi_parsers_stay_within_a_bent_table(void **state)
{
	(void)state;
	srand(1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		const struct seed *s = &seeds[below(nseeds)];
		size_t len = s->len < ACPI_HEADER_LEN || below(3) ? s->len
			: ACPI_HEADER_LEN + below((unsigned)(s->len - ACPI_HEADER_LEN + 1));
		uint8_t *p = malloc(len), type[2];
		struct acpi_info a = { 0 };
		memcpy(p, s->bytes, len);
		bend(p, len);
		acpi_find_s5(p, len, type);
		/* A record is a record: each parser also gets tables that are not its own. */
		const struct acpi_table t = { p, len };
		for (unsigned i = 0; i < COUNT(parsers) && len >= ACPI_HEADER_LEN; i++)
			parsers[i].parse(&t, &a);
		check_consistent(&a);
		free(p);
	}
}

/* --- Whole sets, by way of the root table ----------------------------------------------------- */

#define BASE    0x10000000ull
#define SLOT    1024                    /* bytes for each table */
#define FADT_DSDT   40
#define FADT_X_DSDT 140

static struct { uint8_t rsdp[ACPI_RSDP_MAX], memory[SLOT * (SEEDS_MAX + 1)]; } world;

static bool read_world(void *ctx, uint64_t address, void *to, size_t len)
{
	(void)ctx;
	if (address < BASE || address - BASE > sizeof(world.memory) ||
	    len > sizeof(world.memory) - (address - BASE))
		return false;
	memcpy(to, world.memory + (address - BASE), len);
	return true;
}

static void seal_table(uint8_t *p)
{
	uint32_t len = acpi_u32(p + 4);

	if (len <= SLOT)
		checksum(p, len, ACPI_CHECKSUM_AT);
}

/* AML becomes the DSDT that every FADT points to. */
static void place_seed(unsigned i)
{
	const struct seed *s = &seeds[i];
	uint8_t *p = world.memory + SLOT * (i + 1);
	size_t head = memcmp(s->signature, "AML", 3) ? 0 : ACPI_HEADER_LEN;

	memcpy(p + head, s->bytes, s->len);
	if (head) {
		memcpy(p, "DSDT", 4);
		put(p + 4, head + s->len, 4);
	}
	bend(p, head + s->len);
}

static uint64_t find_dsdt(void)
{
	for (unsigned i = 0; i < nseeds; i++)
		if (!strcmp(seeds[i].signature, "AML"))
			return BASE + SLOT * (i + 1);
	return 0;
}

static void build_world(void)
{
	uint8_t *root = world.memory;

	memset(&world, 0, sizeof(world));
	memcpy(root, "XSDT", 4);
	put(root + 4, ACPI_HEADER_LEN + 8 * nseeds, 4);
	for (unsigned i = 0; i < nseeds; i++) {
		put(root + ACPI_HEADER_LEN + 8 * i, BASE + SLOT * (i + 1), 8);
		place_seed(i);
		uint8_t *p = world.memory + SLOT * (i + 1);
		if (!memcmp(p, "FACP", 4)) {
			put(p + FADT_DSDT, find_dsdt(), 4);
			put(p + FADT_X_DSDT, find_dsdt(), 8);   /* beyond the end of old ones */
		}
		seal_table(p);
	}
	if (below(2))
		bend(root, ACPI_HEADER_LEN + 8 * nseeds);
	seal_table(root);
	memcpy(world.rsdp, "RSD PTR ", 8);
	world.rsdp[15] = 2;
	put(world.rsdp + 20, ACPI_RSDP_MAX, 4);
	put(world.rsdp + 24, BASE, 8);
	checksum(world.rsdp, 20, 8);
	checksum(world.rsdp, ACPI_RSDP_MAX, 32);
}

static void acpi_of_bent_sets_is_consistent(void **state)
{
	static const struct acpi_reader reader = { read_world, NULL };
	unsigned good = 0, with_s5 = 0;
	struct acpi_info a;

	(void)state;
	srand(2);
	for (unsigned round = 0; round < WHOLE_ROUNDS; round++) {
		build_world();
		good += acpi_parse(&reader, world.rsdp, ACPI_RSDP_MAX, &a) == OK;
		with_s5 += a.power.has_s5;
		check_consistent(&a);
	}
	assert_true(good > WHOLE_ROUNDS / 2 && with_s5 > WHOLE_ROUNDS / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acpi_parsers_stay_within_a_bent_table),
		cmocka_unit_test(acpi_of_bent_sets_is_consistent),
	};

	return cmocka_run_group_tests(tests, load_seeds, NULL);
}
