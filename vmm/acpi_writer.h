/* SPDX-License-Identifier: MIT */
/*
 * vmm/acpi_writer.h - a buffer in which ACPI tables are made, for vmm/acpi_tables.c and
 * vmm/acpi_dsdt.c alone.  Little-endian; too much is a bug of ours.
 */
#ifndef VMM_ACPI_WRITER_H
#define VMM_ACPI_WRITER_H

#include "lib/types.h"

#define ACPI_TABLES_MAX 4096u

struct acpi_writer { uint8_t buf[ACPI_TABLES_MAX]; unsigned len; };

void acpi_put(struct acpi_writer *w, const void *bytes, unsigned len);
void acpi_put8(struct acpi_writer *w, unsigned v);
void acpi_put16(struct acpi_writer *w, unsigned v);
void acpi_put32(struct acpi_writer *w, uint32_t v);
void acpi_align(struct acpi_writer *w, unsigned to);

/* The byte that makes the sum of all 0. */
uint8_t acpi_checksum(const uint8_t *bytes, unsigned len);

struct acpi_header {
	char     signature[4];
	uint32_t length;
	uint8_t  revision, checksum;
	char     oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char     creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6, \"System Description Table Header\"");

struct acpi_header acpi_header(const char *signature, uint8_t revision);

/* A table with its header at the next multiple of 16; end fills in length and checksum. */
unsigned acpi_table_begin(struct acpi_writer *w, const char *signature, uint8_t revision);
void     acpi_table_end(struct acpi_writer *w, unsigned at);

/* The whole DSDT (vmm/acpi_dsdt.c). */
void     acpi_dsdt_make(struct acpi_writer *w);

#endif
