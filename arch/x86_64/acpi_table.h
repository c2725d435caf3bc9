/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/acpi_table.h - between acpi.c, which finds tables, and the parsers of their contents.
 */
#ifndef ARCH_X86_64_ACPI_TABLE_H
#define ARCH_X86_64_ACPI_TABLE_H

#include "arch/x86_64/acpi.h"

#define ACPI_HEADER_LEN 36              /* of every table but the RSDP */

/* A whole table with a good checksum; `len` is at least ACPI_HEADER_LEN. */
struct acpi_table { const uint8_t *p; size_t len; };

/* Fields are packed and unaligned. */
static inline uint16_t acpi_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t acpi_u32(const uint8_t *p)
{
	return acpi_u16(p) | (uint32_t)acpi_u16(p + 2) << 16;
}
static inline uint64_t acpi_u64(const uint8_t *p)
{
	return acpi_u32(p) | (uint64_t)acpi_u32(p + 4) << 32;
}

/* ACPI 6.5, "Generic Address Structure" */
#define ACPI_GAS_LEN    12
struct acpi_register acpi_gas(const uint8_t *p);

/*
 * The next of the records that follow each other from `*at` to the end of the table; NULL after the
 * last one.  A record begins with its type and its length: a byte each, or two (`wide`).  One that
 * is shorter than that or longer than the table ends the walk, with a line in the log.
 */
struct acpi_record { unsigned type; size_t len; const uint8_t *p; };
bool acpi_next_record(const struct acpi_table *t, size_t *at, bool wide, struct acpi_record *out);

typedef void acpi_parse_fn(const struct acpi_table *t, struct acpi_info *out);

acpi_parse_fn acpi_parse_madt;          /* acpi_irq.c: CPUs, IOAPICs, overrides                */
acpi_parse_fn acpi_parse_fadt;          /* acpi_power.c: PM timer, reset, sleep                */
acpi_parse_fn acpi_parse_hpet;          /* acpi_topology.c: what is where                      */
acpi_parse_fn acpi_parse_mcfg;
acpi_parse_fn acpi_parse_srat;
acpi_parse_fn acpi_parse_dmar;
acpi_parse_fn acpi_parse_ivrs;

/*
 * acpi_power.c: the package \_S5 within `len` bytes of AML; false: it is not there.  One that
 * reaches beyond the end is not found; ACPI_S5_MAX bytes hold any.
 */
#define ACPI_S5_MAX     24
bool acpi_find_s5(const uint8_t *aml, size_t len, uint8_t type[2]);

#endif
