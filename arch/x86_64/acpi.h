/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/acpi.h - what we want to know from the firmware's ACPI tables (ACPI 6.5, chapter 5).
 *
 * Pure: tables are bytes behind a reader, checked like any bytes from outside.  No AML, but for one
 * package that is looked for by its bytes (acpi_power.c).
 */
#ifndef ARCH_X86_64_ACPI_H
#define ARCH_X86_64_ACPI_H

#include "lib/config.h"
#include "lib/err.h"
#include "lib/types.h"

#define ACPI_IOAPICS_MAX        8
#define ACPI_OVERRIDES_MAX      32
#define ACPI_MEMORY_MAX         32              /* ranges of memory with a domain                */
#define ACPI_IOMMUS_MAX         16
#define ACPI_RSDP_MAX           36              /* bytes of the RSDP, revision 2                 */
#define ACPI_NO_DOMAIN          UINT32_MAX

struct acpi_ioapic   { uint8_t id; uint64_t address; uint32_t gsi_base; };
struct acpi_override { uint8_t irq; uint32_t gsi; bool level, active_low, as_bus; };

/* Where a register is; the other spaces of ACPI are not used. */
enum acpi_space { ACPI_NOWHERE, ACPI_PORT, ACPI_MEMORY };
struct acpi_register { enum acpi_space space; uint64_t address; };

/* How to switch off and start again (ACPI 6.5, "Fixed ACPI Description Table"). */
struct acpi_power {
	struct acpi_register reset;             /* write reset_value there                       */
	uint8_t  reset_value;
	struct acpi_register control[2];        /* PM1a_CNT and PM1b_CNT; the second may be none */
	struct acpi_register sleep;             /* SLEEP_CONTROL, where hardware is "reduced"    */
	uint16_t smi_port;                      /* write acpi_enable there to get ACPI mode; 0:  */
	uint8_t  acpi_enable;                   /* it always is in ACPI mode                     */
	bool     has_s5;
	uint8_t  s5_type[2];                    /* SLP_TYP for each of control[]                 */
	uint64_t dsdt;                          /* where \_S5 should be                          */
};

struct acpi_cpu_domain    { uint32_t apic_id, domain; };
struct acpi_memory_domain { uint64_t base, len; uint32_t domain; };

/* By the table that describes them. */
enum acpi_iommu_kind { ACPI_IOMMU_NONE, ACPI_IOMMU_DMAR, ACPI_IOMMU_IVRS };

struct acpi_info {
	bool     present;                       /* false: nothing below is known                 */
	uint64_t lapic_address;
	bool     has_8259;
	unsigned ncpus;                         /* enabled ones, each APIC ID once               */
	uint32_t apic_id[CPUS_MAX];
	unsigned nioapics;
	struct acpi_ioapic ioapic[ACPI_IOAPICS_MAX];
	unsigned noverrides;
	struct acpi_override override[ACPI_OVERRIDES_MAX];
	uint16_t pm_timer_port;                 /* 0: none                                       */
	bool     pm_timer_32bit;
	struct acpi_power power;
	uint64_t hpet_address;                  /* 0: none                                       */
	uint64_t mcfg_base;                     /* ECAM of segment 0's bus 0; 0: none            */
	uint8_t  mcfg_bus_first, mcfg_bus_last;
	unsigned ncpu_domains;                  /* from the SRAT                                 */
	struct acpi_cpu_domain cpu_domain[CPUS_MAX];
	unsigned nmemory_domains;
	struct acpi_memory_domain memory_domain[ACPI_MEMORY_MAX];
	enum acpi_iommu_kind iommu_kind;        /* found and told; not used                      */
	unsigned niommus;
	uint64_t iommu[ACPI_IOMMUS_MAX];        /* addresses of their registers                  */
};

/* Copy `len` bytes of physical memory at `address`; false: cannot be read. */
struct acpi_reader {
	bool (*read)(void *ctx, uint64_t address, void *to, size_t len);
	void *ctx;
};

/*
 * Follow the RSDP (`rsdp_len` bytes, as the boot loader copied it) to the tables we know.  A table
 * with a bad checksum or length is left out, with a line in the log; a bad RSDP or root table is an
 * error, and `out` then says that nothing is known.
 */
enum err acpi_parse(const struct acpi_reader *r, const void *rsdp, size_t rsdp_len,
                    struct acpi_info *out);

/* The proximity domain of a CPU, or ACPI_NO_DOMAIN. */
uint32_t acpi_cpu_domain(const struct acpi_info *info, uint32_t apic_id);

/* How many different proximity domains CPUs and memory name; 0: the firmware says nothing. */
unsigned acpi_count_domains(const struct acpi_info *info);

#endif
