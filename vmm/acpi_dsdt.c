/* SPDX-License-Identifier: MIT */
/*
 * vmm/acpi_dsdt.c - the DSDT: the PCI root with its windows and interrupt routing, COM1, RTC,
 * timer, and how to turn the machine off.
 *
 * Its code (AML) is emitted by hand, bottom up: integers and names, blocks whose length is filled
 * in at their end, resources, devices.  The source that a compiler would take stands above
 * acpi_dsdt_make().  tests/host/test_machine.c lets iasl read the result.
 */
#include "vmm/acpi_writer.h"
#include "vmm/machine.h"

#include "lib/log.h"

/* --- AML (ACPI 6, "ACPI Machine Language Specification") -------------------------------------- */

enum aml {
	AML_NAME = 0x08, AML_BYTE = 0x0a, AML_WORD = 0x0b, AML_DWORD = 0x0c, AML_SCOPE = 0x10,
	AML_BUFFER = 0x11, AML_PACKAGE = 0x12, AML_EXT = 0x5b, AML_EXT_DEVICE = 0x82,
};

/* A length that counts itself, always in its two-byte form; filled in by block_end(). */
static unsigned block_begin(struct acpi_writer *w, enum aml op)
{
	acpi_put8(w, op);
	acpi_put16(w, 0);
	return w->len - 2;
}

static void block_end(struct acpi_writer *w, unsigned at)
{
	unsigned len = w->len - at;

	ASSERT(len < BIT(12));
	w->buf[at] = (uint8_t)(0x40 | (len & 15));
	w->buf[at + 1] = (uint8_t)(len >> 4);
}

static void aml_integer(struct acpi_writer *w, uint32_t v)
{
	if (v < 2) {
		acpi_put8(w, v);             /* ZeroOp, OneOp */
	} else if (v <= UINT8_MAX) {
		acpi_put8(w, AML_BYTE);
		acpi_put8(w, v);
	} else if (v <= UINT16_MAX) {
		acpi_put8(w, AML_WORD);
		acpi_put16(w, v);
	} else {
		acpi_put8(w, AML_DWORD);
		acpi_put32(w, v);
	}
}

/* Names have four characters here, padded by hand. */
static void aml_name(struct acpi_writer *w, const char *name)
{
	acpi_put8(w, AML_NAME);
	acpi_put(w, name, 4);
}

static void aml_name_integer(struct acpi_writer *w, const char *name, uint32_t v)
{
	aml_name(w, name);
	aml_integer(w, v);
}

static unsigned device_begin(struct acpi_writer *w, const char *name)
{
	unsigned at;

	acpi_put8(w, AML_EXT);
	at = block_begin(w, AML_EXT_DEVICE);
	acpi_put(w, name, 4);
	return at;
}

/* EISA IDs: three letters of five bits, then four digits, big-endian. */
static void aml_hid(struct acpi_writer *w, unsigned pnp)
{
	aml_name(w, "_HID");
	acpi_put8(w, AML_DWORD);
	acpi_put8(w, 0x41);                  /* "PNP" */
	acpi_put8(w, 0xd0);
	acpi_put8(w, pnp >> 8);
	acpi_put8(w, pnp);
}

/* --- Resources (ACPI 6, "Resource Data Types for ACPI") --------------------------------------- */

enum resource {
	RES_IRQ = 0x22, RES_IO = 0x47, RES_END = 0x79,
	RES_DWORD_SPACE = 0x87, RES_WORD_SPACE = 0x88,
};
enum space_type { SPACE_MEMORY, SPACE_IO, SPACE_BUS };
#define SPACE_FIXED     (BIT(2) | BIT(3))       /* both ends are fixed                  */
#define MEMORY_RW       BIT(0)                  /* read-write, not cacheable            */
#define IO_ENTIRE       (BIT(0) | BIT(1))       /* ISA and other I/O                    */
#define DECODE_16       1

/* Name (_CRS, Buffer (size) { ... }): the size is a word, so that its place is known. */
static unsigned crs_begin(struct acpi_writer *w)
{
	unsigned at;

	aml_name(w, "_CRS");
	at = block_begin(w, AML_BUFFER);
	acpi_put8(w, AML_WORD);
	acpi_put16(w, 0);
	return at;
}

static void crs_end(struct acpi_writer *w, unsigned at)
{
	unsigned bytes_at = at + 2 + 3;         /* behind the length and the size */

	acpi_put8(w, RES_END);
	acpi_put8(w, 0);                             /* no checksum */
	w->buf[bytes_at - 2] = (uint8_t)(w->len - bytes_at);
	w->buf[bytes_at - 1] = (uint8_t)((w->len - bytes_at) >> 8);
	block_end(w, at);
}

static void crs_io(struct acpi_writer *w, unsigned base, unsigned len)
{
	acpi_put8(w, RES_IO);
	acpi_put8(w, DECODE_16);
	acpi_put16(w, base);
	acpi_put16(w, base);
	acpi_put8(w, 1);
	acpi_put8(w, len);
}

static void crs_irq(struct acpi_writer *w, unsigned irq)
{
	acpi_put8(w, RES_IRQ);
	acpi_put16(w, (unsigned)BIT(irq));
}

static void crs_word_space(struct acpi_writer *w, enum space_type type, unsigned flags,
                           unsigned min, unsigned max)
{
	acpi_put8(w, RES_WORD_SPACE);
	acpi_put16(w, 3 + 5 * 2);
	acpi_put8(w, type);
	acpi_put8(w, SPACE_FIXED);
	acpi_put8(w, flags);
	acpi_put16(w, 0);
	acpi_put16(w, min);
	acpi_put16(w, max);
	acpi_put16(w, 0);
	acpi_put16(w, max - min + 1);
}

static void crs_memory(struct acpi_writer *w, uint32_t min, uint32_t max)
{
	acpi_put8(w, RES_DWORD_SPACE);
	acpi_put16(w, 3 + 5 * 4);
	acpi_put8(w, SPACE_MEMORY);
	acpi_put8(w, SPACE_FIXED);
	acpi_put8(w, MEMORY_RW);
	acpi_put32(w, 0);
	acpi_put32(w, min);
	acpi_put32(w, max);
	acpi_put32(w, 0);
	acpi_put32(w, max - min + 1);
}

/* --- DSDT ------------------------------------------------------------------------------------- */

#define PNP_PCI_ROOT    0x0a03
#define PNP_COM         0x0501
#define PNP_RTC         0x0b00
#define PNP_TIMER       0x0100
#define ANY_FUNCTION    0xffffu

/* Each slot's INTA, hard-wired to a pin of the IOAPIC: by default level-triggered, active low. */
static void prt_make(struct acpi_writer *w)
{
	unsigned prt, entry;

	aml_name(w, "_PRT");
	prt = block_begin(w, AML_PACKAGE);
	acpi_put8(w, MACHINE_SLOT_END - MACHINE_SLOT_NET);
	for (unsigned slot = MACHINE_SLOT_NET; slot < MACHINE_SLOT_END; slot++) {
		entry = block_begin(w, AML_PACKAGE);
		acpi_put8(w, 4);
		aml_integer(w, slot << 16 | ANY_FUNCTION);
		aml_integer(w, 0);              /* INTA */
		aml_integer(w, 0);              /* no link device */
		aml_integer(w, MACHINE_PCI_GSI(slot));
		block_end(w, entry);
	}
	block_end(w, prt);
}

static void pci_root_make(struct acpi_writer *w)
{
	unsigned dev = device_begin(w, "PCI0"), crs;

	aml_hid(w, PNP_PCI_ROOT);
	aml_name_integer(w, "_UID", 0);
	aml_name_integer(w, "_BBN", 0);
	crs = crs_begin(w);
	crs_word_space(w, SPACE_BUS, 0, 0, 0);
	crs_io(w, 0xcf8, 8);
	crs_word_space(w, SPACE_IO, IO_ENTIRE, 0x0000, 0x0cf7);
	crs_word_space(w, SPACE_IO, IO_ENTIRE, 0x0d00, 0xffff);
	crs_memory(w, (uint32_t)MACHINE_PCI_MMIO_BASE, (uint32_t)(MACHINE_PCI_MMIO_END - 1));
	crs_end(w, crs);
	prt_make(w);
	block_end(w, dev);
}

static void isa_device_make(struct acpi_writer *w, const char *name, unsigned pnp, unsigned port,
                            unsigned len, unsigned irq)
{
	unsigned dev = device_begin(w, name), crs;

	aml_hid(w, pnp);
	aml_name_integer(w, "_UID", 1);
	crs = crs_begin(w);
	crs_io(w, port, len);
	crs_irq(w, irq);
	crs_end(w, crs);
	block_end(w, dev);
}

/*
 * DefinitionBlock ("", "DSDT", 2, "GODWIT", "GODWIT  ", 1) {
 *     Name (_S5, Package () { 5, 5, 0, 0 })            // what PM1a control's SLP_TYP takes
 *     Scope (\_SB) {
 *         Device (PCI0) {
 *             Name (_HID, EisaId ("PNP0A03"))  Name (_UID, 0)  Name (_BBN, 0)
 *             Name (_CRS, ResourceTemplate () {
 *                 WordBusNumber (...  0, 0 ...)
 *                 IO (Decode16, 0xCF8, 0xCF8, 1, 8)
 *                 WordIO (... 0x0000, 0x0CF7 ...)  WordIO (... 0x0D00, 0xFFFF ...)
 *                 DWordMemory (... NonCacheable, ReadWrite, 0xE0000000, 0xEFFFFFFF ...)
 *             })
 *             Name (_PRT, Package () { Package () { 0x0002FFFF, 0, 0, 18 }, ... })
 *         }
 *         Device (COM1) { PNP0501: ports 0x3F8-0x3FF, IRQ 4 }
 *         Device (RTC)  { PNP0B00: ports 0x70-0x71, IRQ 8 }
 *         Device (TIMR) { PNP0100: ports 0x40-0x43, IRQ 0 }
 *     }
 * }
 */
void acpi_dsdt_make(struct acpi_writer *w)
{
	unsigned table = acpi_table_begin(w, "DSDT", 2), block;

	aml_name(w, "_S5_");
	block = block_begin(w, AML_PACKAGE);
	acpi_put8(w, 4);
	aml_integer(w, VPM_SLP_TYP_S5);
	aml_integer(w, VPM_SLP_TYP_S5);
	aml_integer(w, 0);
	aml_integer(w, 0);
	block_end(w, block);

	block = block_begin(w, AML_SCOPE);
	acpi_put8(w, '\\');
	acpi_put(w, "_SB_", 4);
	pci_root_make(w);
	isa_device_make(w, "COM1", PNP_COM, 0x3f8, 8, MACHINE_COM1_IRQ);
	isa_device_make(w, "RTC_", PNP_RTC, 0x70, 2, 8);
	isa_device_make(w, "TIMR", PNP_TIMER, 0x40, 4, 0);
	block_end(w, block);
	acpi_table_end(w, table);
}
