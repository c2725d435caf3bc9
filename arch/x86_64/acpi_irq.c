/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/acpi_irq.c - the MADT: which CPUs and IOAPICs there are, how lines lead to them.
 * Pure.  (ACPI 6.5, "Multiple APIC Description Table")  Called by acpi.c.
 */
#include "arch/x86_64/acpi_table.h"

#include "lib/log.h"

enum madt_field { MADT_LAPIC = 36, MADT_FLAGS = 40, MADT_ENTRIES = 44 };

#define MADT_PCAT_COMPAT        BIT(0)
#define CPU_ENABLED             BIT(0)

enum madt_type {
	MADT_LOCAL_APIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_ADDRESS = 5,
	MADT_X2APIC = 9,
};
enum madt_len {
	LOCAL_APIC_LEN = 8, IOAPIC_LEN = 12, OVERRIDE_LEN = 10, LAPIC_ADDRESS_LEN = 12,
	X2APIC_LEN = 16,
};

/* MPS INTI flags of an override */
#define INTI_POLARITY           MASK(1, 0)
#define INTI_TRIGGER            MASK(3, 2)
#define INTI_AS_BUS             0
#define INTI_SECOND             3               /* active low; level */

/* Firmware lists some CPUs both as local APIC and as x2APIC. */
static void add_cpu(struct acpi_info *out, uint32_t id, uint32_t flags)
{
	if (!(flags & CPU_ENABLED))
		return;
	for (unsigned i = 0; i < out->ncpus; i++)
		if (out->apic_id[i] == id)
			return;
	if (out->ncpus < CPUS_MAX)
		out->apic_id[out->ncpus++] = id;
	else
		log_line("acpi: more than %d CPUs; the one with APIC ID %u is left out", CPUS_MAX,
		         id);
}

/* Two that claim the same first interrupt would make every route ambiguous: the first one stays. */
static void add_ioapic(struct acpi_info *out, const uint8_t *e)
{
	struct acpi_ioapic new = { e[2], acpi_u32(e + 4), acpi_u32(e + 8) };

	for (unsigned i = 0; i < out->nioapics; i++)
		if (out->ioapic[i].gsi_base == new.gsi_base ||
		    out->ioapic[i].address == new.address)
			return;
	if (out->nioapics < ACPI_IOAPICS_MAX && new.address)
		out->ioapic[out->nioapics++] = new;
}

static void add_override(struct acpi_info *out, const uint8_t *e)
{
	uint16_t flags = acpi_u16(e + 8);

	if (out->noverrides == ACPI_OVERRIDES_MAX)
		return;
	out->override[out->noverrides++] = (struct acpi_override){
		.irq = e[3], .gsi = acpi_u32(e + 4),
		.as_bus = GET(INTI_POLARITY, flags) == INTI_AS_BUS,
		.active_low = GET(INTI_POLARITY, flags) == INTI_SECOND,
		.level = GET(INTI_TRIGGER, flags) == INTI_SECOND,
	};
}

static void take_record(struct acpi_info *out, const struct acpi_record *r)
{
	const uint8_t *e = r->p;

	switch (r->type) {
	case MADT_LOCAL_APIC:
		if (r->len >= LOCAL_APIC_LEN)
			add_cpu(out, e[3], acpi_u32(e + 4));
		break;
	case MADT_X2APIC:
		if (r->len >= X2APIC_LEN)
			add_cpu(out, acpi_u32(e + 4), acpi_u32(e + 8));
		break;
	case MADT_IOAPIC:
		if (r->len >= IOAPIC_LEN)
			add_ioapic(out, e);
		break;
	case MADT_OVERRIDE:
		if (r->len >= OVERRIDE_LEN)
			add_override(out, e);
		break;
	case MADT_LAPIC_ADDRESS:
		if (r->len >= LAPIC_ADDRESS_LEN)
			out->lapic_address = acpi_u64(e + 4);
		break;
	}
}

void acpi_parse_madt(const struct acpi_table *t, struct acpi_info *out)
{
	struct acpi_record r;
	size_t at = MADT_ENTRIES;

	if (t->len < MADT_ENTRIES)
		return;
	out->lapic_address = acpi_u32(t->p + MADT_LAPIC);
	out->has_8259 = acpi_u32(t->p + MADT_FLAGS) & MADT_PCAT_COMPAT;
	while (acpi_next_record(t, &at, false, &r))
		take_record(out, &r);
}
