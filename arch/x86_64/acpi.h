/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/acpi.h - what we want to know from the firmware's ACPI tables (ACPI 6.5, chapter 5).
 *
 * Pure: tables are bytes behind a reader, checked like any bytes from outside.  No AML.
 */
#ifndef ARCH_X86_64_ACPI_H
#define ARCH_X86_64_ACPI_H

#include "lib/config.h"
#include "lib/err.h"
#include "lib/types.h"

#define ACPI_IOAPICS_MAX        8
#define ACPI_OVERRIDES_MAX      32
#define ACPI_RSDP_MAX           36              /* bytes of the RSDP, revision 2                 */

struct acpi_ioapic   { uint8_t id; uint64_t address; uint32_t gsi_base; };
struct acpi_override { uint8_t irq; uint32_t gsi; bool level, active_low, as_bus; };

struct acpi_info {
	bool     present;                       /* false: nothing below is known                 */
	uint64_t lapic_address;
	bool     has_8259;
	unsigned ncpus;                         /* enabled ones                                  */
	uint32_t apic_id[CPUS_MAX];
	unsigned nioapics;
	struct acpi_ioapic ioapic[ACPI_IOAPICS_MAX];
	unsigned noverrides;
	struct acpi_override override[ACPI_OVERRIDES_MAX];
	uint16_t pm_timer_port;                 /* 0: none                                       */
	bool     pm_timer_32bit;
	uint64_t hpet_address;                  /* 0: none                                       */
	uint64_t mcfg_base;                     /* ECAM of segment 0; 0: none                    */
	uint8_t  mcfg_bus_first, mcfg_bus_last;
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

#endif
