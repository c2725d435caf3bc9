/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/acpi.c - what we want to know from the firmware's ACPI tables.
 *
 *   RSDP --> XSDT or RSDT --> "APIC" (MADT)  processors, IOAPICs, interrupt overrides
 *                             "FACP" (FADT)  the PM timer
 *                             "HPET", "MCFG" where those are
 *
 * Tables are copied into one buffer, checked (length, checksum) and then read field by field; an
 * address outside what the reader can reach is a damaged table, not a crash.  (ACPI 6.5, chapter 5)
 */
#include "arch/x86_64/acpi.h"

#include <string.h>

#include "lib/log.h"

#define RSDP_V1_LEN     20
#define RSDP_V2_LEN     36
#define HEADER_LEN      36
#define TABLE_MAX       (32 * KIB)      /* the largest that we read */
#define TABLES_MAX      128             /* entries of the root table that we follow */

/* Fields by offset: the structures are packed and unaligned. */
enum rsdp_field { RSDP_REVISION = 15, RSDP_RSDT = 16, RSDP_LENGTH = 20, RSDP_XSDT = 24 };
enum header_field { HEADER_LENGTH = 4 };
enum madt_field { MADT_LAPIC = 36, MADT_FLAGS = 40, MADT_ENTRIES = 44 };
enum fadt_field {
	FADT_PM_TIMER = 76, FADT_PM_TIMER_LEN = 91, FADT_FLAGS = 112, FADT_X_PM_TIMER = 208,
};
enum hpet_field { HPET_SPACE = 40, HPET_ADDRESS = 44, HPET_END = 56 };
enum mcfg_field { MCFG_ENTRIES = 44, MCFG_ENTRY_LEN = 16 };

#define MADT_PCAT_COMPAT        BIT(0)
#define CPU_ENABLED             BIT(0)
#define FADT_TMR_VAL_EXT        BIT(8)
#define GAS_SYSTEM_MEMORY       0
#define GAS_SYSTEM_IO           1
#define GAS_ADDRESS             4               /* within the Generic Address Structure */

enum madt_type {
	MADT_LOCAL_APIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_ADDRESS = 5,
	MADT_X2APIC = 9,
};

/* MPS INTI flags of an override */
#define INTI_POLARITY           MASK(1, 0)
#define INTI_TRIGGER            MASK(3, 2)
#define INTI_AS_BUS             0
#define INTI_SECOND             3               /* active low; level */

static uint8_t table[TABLE_MAX];

static uint16_t u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t u32(const uint8_t *p) { return u16(p) | (uint32_t)u16(p + 2) << 16; }
static uint64_t u64(const uint8_t *p) { return u32(p) | (uint64_t)u32(p + 4) << 32; }

static bool sum_is_zero(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	return sum == 0;
}

/*
 * Bring the table at `address` into the buffer, whole and checked; its length, or 0 with a line in
 * the log.
 */
static size_t load_table(const struct acpi_reader *r, uint64_t address)
{
	if (!r->read(r->ctx, address, table, HEADER_LEN)) {
		log_line("acpi: a table at 0x%lx cannot be read", address);
		return 0;
	}
	uint32_t len = u32(table + HEADER_LENGTH);
	if (len < HEADER_LEN || len > TABLE_MAX) {
		log_line("acpi: the table at 0x%lx claims %u bytes", address, len);
		return 0;
	}
	if (!r->read(r->ctx, address, table, len) || u32(table + HEADER_LENGTH) != len ||
	    !sum_is_zero(table, len)) {
		log_line("acpi: the table at 0x%lx has a wrong checksum", address);
		return 0;
	}
	return len;
}

static void add_cpu(struct acpi_info *out, uint32_t id, uint32_t flags)
{
	if ((flags & CPU_ENABLED) && out->ncpus < CPUS_MAX)
		out->apic_id[out->ncpus++] = id;
}

static void add_override(struct acpi_info *out, const uint8_t *e)
{
	uint16_t flags = u16(e + 8);

	if (out->noverrides == ACPI_OVERRIDES_MAX)
		return;
	out->override[out->noverrides++] = (struct acpi_override){
		.irq = e[3], .gsi = u32(e + 4),
		.as_bus = GET(INTI_POLARITY, flags) == INTI_AS_BUS,
		.active_low = GET(INTI_POLARITY, flags) == INTI_SECOND,
		.level = GET(INTI_TRIGGER, flags) == INTI_SECOND,
	};
}

static void madt_entry(struct acpi_info *out, const uint8_t *e, uint8_t len)
{
	switch (e[0]) {
	case MADT_LOCAL_APIC:
		if (len >= 8)
			add_cpu(out, e[3], u32(e + 4));
		break;
	case MADT_X2APIC:
		if (len >= 16)
			add_cpu(out, u32(e + 4), u32(e + 8));
		break;
	case MADT_IOAPIC:
		if (len >= 12 && out->nioapics < ACPI_IOAPICS_MAX)
			out->ioapic[out->nioapics++] =
				(struct acpi_ioapic){ e[2], u32(e + 4), u32(e + 8) };
		break;
	case MADT_OVERRIDE:
		if (len >= 10)
			add_override(out, e);
		break;
	case MADT_LAPIC_ADDRESS:
		if (len >= 12)
			out->lapic_address = u64(e + 4);
		break;
	}
}

static void parse_madt(struct acpi_info *out, size_t len)
{
	if (len < MADT_ENTRIES)
		return;
	out->lapic_address = u32(table + MADT_LAPIC);
	out->has_8259 = u32(table + MADT_FLAGS) & MADT_PCAT_COMPAT;
	for (size_t at = MADT_ENTRIES; at + 2 <= len;) {
		uint8_t entry_len = table[at + 1];
		if (entry_len < 2 || entry_len > len - at) {
			log_line("acpi: a MADT entry claims %u bytes; the rest is ignored",
			         entry_len);
			return;
		}
		madt_entry(out, table + at, entry_len);
		at += entry_len;
	}
}

static void parse_fadt(struct acpi_info *out, size_t len)
{
	if (len < FADT_FLAGS + 4)
		return;
	if (table[FADT_PM_TIMER_LEN] == 4)
		out->pm_timer_port = (uint16_t)u32(table + FADT_PM_TIMER);
	if (len >= FADT_X_PM_TIMER + 12 && table[FADT_X_PM_TIMER] == GAS_SYSTEM_IO &&
	    u64(table + FADT_X_PM_TIMER + GAS_ADDRESS) <= UINT16_MAX)
		out->pm_timer_port = (uint16_t)u64(table + FADT_X_PM_TIMER + GAS_ADDRESS);
	out->pm_timer_32bit = u32(table + FADT_FLAGS) & FADT_TMR_VAL_EXT;
}

static void parse_hpet(struct acpi_info *out, size_t len)
{
	if (len >= HPET_END && table[HPET_SPACE] == GAS_SYSTEM_MEMORY)
		out->hpet_address = u64(table + HPET_ADDRESS);
}

static void parse_mcfg(struct acpi_info *out, size_t len)
{
	for (size_t at = MCFG_ENTRIES; at + MCFG_ENTRY_LEN <= len; at += MCFG_ENTRY_LEN)
		if (u16(table + at + 8) == 0) {
			out->mcfg_base = u64(table + at);
			out->mcfg_bus_first = table[at + 10];
			out->mcfg_bus_last = table[at + 11];
		}
}

static const struct {
	char   signature[5];
	void (*parse)(struct acpi_info *, size_t len);
} parsers[] = {
	{ "APIC", parse_madt },
	{ "FACP", parse_fadt },
	{ "HPET", parse_hpet },
	{ "MCFG", parse_mcfg },
};

static void parse_table(const struct acpi_reader *r, uint64_t address, struct acpi_info *out)
{
	uint8_t signature[4];

	if (!r->read(r->ctx, address, signature, sizeof(signature)))
		return;
	for (unsigned i = 0; i < COUNT(parsers); i++)
		if (!memcmp(signature, parsers[i].signature, sizeof(signature))) {
			size_t len = load_table(r, address);
			if (len)
				parsers[i].parse(out, len);
		}
}

/* The root table's addresses: 8 bytes each in an XSDT, 4 in an RSDT. */
static enum err parse_root(const struct acpi_reader *r, uint64_t root, bool xsdt,
                           struct acpi_info *out)
{
	static uint64_t address[TABLES_MAX];
	size_t width = xsdt ? 8 : 4, len = load_table(r, root), n = 0;

	if (!len || memcmp(table, xsdt ? "XSDT" : "RSDT", 4))
		return fail(ERR_BAD_FORMAT, "acpi: there is no good root table at 0x%lx", root);
	for (size_t at = HEADER_LEN; at + width <= len && n < TABLES_MAX; at += width)
		address[n++] = xsdt ? u64(table + at) : u32(table + at);
	for (size_t i = 0; i < n; i++)
		parse_table(r, address[i], out);
	return OK;
}

enum err acpi_parse(const struct acpi_reader *r, const void *rsdp, size_t rsdp_len,
                    struct acpi_info *out)
{
	const uint8_t *p = rsdp;

	memset(out, 0, sizeof(*out));
	if (rsdp_len < RSDP_V1_LEN || memcmp(p, "RSD PTR ", 8) || !sum_is_zero(p, RSDP_V1_LEN))
		return fail(ERR_BAD_FORMAT, "acpi: the root pointer (RSDP) is damaged");
	bool xsdt = p[RSDP_REVISION] >= 2 && rsdp_len >= RSDP_V2_LEN &&
	            sum_is_zero(p, RSDP_V2_LEN) && u64(p + RSDP_XSDT);
	enum err e = parse_root(r, xsdt ? u64(p + RSDP_XSDT) : u32(p + RSDP_RSDT), xsdt, out);
	if (e != OK)
		memset(out, 0, sizeof(*out));
	out->present = e == OK;
	return e;
}
