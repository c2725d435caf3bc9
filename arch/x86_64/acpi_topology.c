/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/acpi_topology.c - small tables that say what is where: HPET, MCFG, SRAT, DMAR, IVRS.
 *
 * The SRAT's proximity domains and the IOMMUs are told (boot/describe.c) and not used otherwise.
 * Pure.  (ACPI 6.5, "System Resource Affinity Table"; PCI Firmware 3.3, "MCFG"; IA-PC HPET 1.0a;
 * Intel VT-d 4.1, "BIOS Considerations"; AMD IOMMU 3.08, "I/O Virtualization ACPI Table")
 * Called by acpi.c.
 */
#include "arch/x86_64/acpi_table.h"

#include "lib/log.h"

enum hpet_field { HPET_ADDRESS = 40, HPET_END = 56 };
enum mcfg_field { MCFG_ENTRIES = 44, MCFG_ENTRY_LEN = 16, MCFG_SEGMENT = 8, MCFG_FIRST = 10,
	          MCFG_LAST = 11 };
enum srat_field { SRAT_RECORDS = 48 };
enum dmar_field { DMAR_RECORDS = 48, IVRS_RECORDS = 48, IOMMU_BASE = 8, IOMMU_RECORD_MIN = 16 };

#define ECAM_BUS_BYTES  MIB             /* of configuration space for each bus */
#define AFFINITY_ON     BIT(0)          /* the record counts                   */

enum srat_type { SRAT_APIC = 0, SRAT_MEMORY = 1, SRAT_X2APIC = 2 };
enum srat_len { SRAT_APIC_LEN = 16, SRAT_MEMORY_LEN = 40, SRAT_X2APIC_LEN = 24 };
enum dmar_type { DMAR_DRHD = 0 };
enum ivrs_type { IVHD_10 = 0x10, IVHD_11 = 0x11, IVHD_40 = 0x40 };

void acpi_parse_hpet(const struct acpi_table *t, struct acpi_info *out)
{
	if (t->len < HPET_END)
		return;
	struct acpi_register r = acpi_gas(t->p + HPET_ADDRESS);
	if (r.space == ACPI_MEMORY && r.address % PAGE_SIZE == 0)
		out->hpet_address = r.address;
}

/* Only segment 0 from bus 0 on: that is where we look for devices. */
void acpi_parse_mcfg(const struct acpi_table *t, struct acpi_info *out)
{
	for (size_t at = MCFG_ENTRIES; at + MCFG_ENTRY_LEN <= t->len; at += MCFG_ENTRY_LEN) {
		const uint8_t *e = t->p + at;
		uint64_t base = acpi_u64(e), end;
		if (acpi_u16(e + MCFG_SEGMENT) || e[MCFG_FIRST])
			continue;
		if (!base || base % ECAM_BUS_BYTES ||
		    __builtin_add_overflow(base, (e[MCFG_LAST] + 1) * ECAM_BUS_BYTES, &end)) {
			log_line("acpi: MCFG: 0x%lx cannot be configuration space", base);
			continue;
		}
		out->mcfg_base = base;
		out->mcfg_bus_first = 0;
		out->mcfg_bus_last = e[MCFG_LAST];
		return;
	}
}

/* --- Proximity domains ------------------------------------------------------------------------ */

static void add_cpu_domain(struct acpi_info *out, uint32_t apic_id, uint32_t domain)
{
	if (out->ncpu_domains < CPUS_MAX && acpi_cpu_domain(out, apic_id) == ACPI_NO_DOMAIN)
		out->cpu_domain[out->ncpu_domains++] = (struct acpi_cpu_domain){ apic_id, domain };
}

/* Memory cannot be in two places: a range that meets an earlier one is left out. */
static void add_memory_domain(struct acpi_info *out, const uint8_t *e)
{
	struct acpi_memory_domain new = { acpi_u64(e + 8), acpi_u64(e + 16), acpi_u32(e + 2) };

	if (!new.len || new.base + new.len < new.base)
		return;
	for (unsigned i = 0; i < out->nmemory_domains; i++) {
		const struct acpi_memory_domain *old = &out->memory_domain[i];
		if (new.base < old->base + old->len && old->base < new.base + new.len) {
			log_line("acpi: SRAT: memory at 0x%lx is in two domains", new.base);
			return;
		}
	}
	if (out->nmemory_domains < ACPI_MEMORY_MAX)
		out->memory_domain[out->nmemory_domains++] = new;
}

static void take_affinity(struct acpi_info *out, const struct acpi_record *r)
{
	const uint8_t *e = r->p;

	switch (r->type) {
	case SRAT_APIC:
		if (r->len >= SRAT_APIC_LEN && (acpi_u32(e + 4) & AFFINITY_ON))
			add_cpu_domain(out, e[3], e[2] | (uint32_t)e[9] << 8 |
			               (uint32_t)acpi_u16(e + 10) << 16);
		break;
	case SRAT_X2APIC:
		if (r->len >= SRAT_X2APIC_LEN && (acpi_u32(e + 12) & AFFINITY_ON))
			add_cpu_domain(out, acpi_u32(e + 8), acpi_u32(e + 4));
		break;
	case SRAT_MEMORY:
		if (r->len >= SRAT_MEMORY_LEN && (acpi_u32(e + 28) & AFFINITY_ON))
			add_memory_domain(out, e);
		break;
	}
}

void acpi_parse_srat(const struct acpi_table *t, struct acpi_info *out)
{
	struct acpi_record r;
	size_t at = SRAT_RECORDS;

	while (acpi_next_record(t, &at, false, &r))
		take_affinity(out, &r);
}

uint32_t acpi_cpu_domain(const struct acpi_info *info, uint32_t apic_id)
{
	for (unsigned i = 0; i < info->ncpu_domains; i++)
		if (info->cpu_domain[i].apic_id == apic_id)
			return info->cpu_domain[i].domain;
	return ACPI_NO_DOMAIN;
}

/* Domain `i`, CPUs' first, then memory's. */
static uint32_t domain_at(const struct acpi_info *info, unsigned i)
{
	return i < info->ncpu_domains ? info->cpu_domain[i].domain
	                              : info->memory_domain[i - info->ncpu_domains].domain;
}

unsigned acpi_count_domains(const struct acpi_info *info)
{
	unsigned n = 0;

	for (unsigned i = 0; i < info->ncpu_domains + info->nmemory_domains; i++) {
		unsigned earlier = 0;
		while (domain_at(info, earlier) != domain_at(info, i))
			earlier++;
		n += earlier == i;
	}
	return n;
}

/* --- IOMMUs ----------------------------------------------------------------------------------- */

/* One unit may be described by several records (AMD: one a format). */
static void add_iommu(struct acpi_info *out, enum acpi_iommu_kind kind, uint64_t base)
{
	for (unsigned i = 0; i < out->niommus; i++)
		if (out->iommu[i] == base)
			return;
	if (!base || out->niommus == ACPI_IOMMUS_MAX)
		return;
	out->iommu_kind = kind;
	out->iommu[out->niommus++] = base;
}

void acpi_parse_dmar(const struct acpi_table *t, struct acpi_info *out)
{
	struct acpi_record r;
	size_t at = DMAR_RECORDS;

	while (acpi_next_record(t, &at, true, &r))
		if (r.type == DMAR_DRHD && r.len >= IOMMU_RECORD_MIN)
			add_iommu(out, ACPI_IOMMU_DMAR, acpi_u64(r.p + IOMMU_BASE));
}

/* The type is one byte here, the second one flags. */
void acpi_parse_ivrs(const struct acpi_table *t, struct acpi_info *out)
{
	struct acpi_record r;
	size_t at = IVRS_RECORDS;

	while (acpi_next_record(t, &at, true, &r)) {
		unsigned type = r.type & UINT8_MAX;
		if ((type == IVHD_10 || type == IVHD_11 || type == IVHD_40) &&
		    r.len >= IOMMU_RECORD_MIN)
			add_iommu(out, ACPI_IOMMU_IVRS, acpi_u64(r.p + IOMMU_BASE));
	}
}
