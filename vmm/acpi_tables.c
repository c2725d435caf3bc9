/* SPDX-License-Identifier: MIT */
/*
 * vmm/acpi_tables.c - what the board looks like, in the words of ACPI 6.
 *
 *   RSDP -> XSDT (and RSDT for the old) -> FADT -> DSDT, FACS
 *                                       -> MADT
 *
 * The tables are made in a buffer and written to MACHINE_ACPI_BASE at once.  The DSDT's code is
 * emitted by hand; its source is in the comment above dsdt_make().  Called by the loaders.
 */
#include "vmm/machine.h"

#include <string.h>

#include "lib/log.h"
#include "vmm/vm.h"

#define TABLES_MAX      4096u

struct writer { uint8_t buf[TABLES_MAX]; unsigned len; };

static uint64_t address_of(unsigned at)
{
	return MACHINE_ACPI_BASE + at;
}

static void put(struct writer *w, const void *bytes, unsigned len)
{
	ASSERT(w->len + len <= TABLES_MAX);
	memcpy(w->buf + w->len, bytes, len);
	w->len += len;
}

static void put8(struct writer *w, unsigned v)
{
	put(w, &(uint8_t){ (uint8_t)v }, 1);
}

static void put16(struct writer *w, unsigned v)
{
	put8(w, v);
	put8(w, v >> 8);
}

static void put32(struct writer *w, uint32_t v)
{
	put16(w, v);
	put16(w, v >> 16);
}

static void align(struct writer *w, unsigned to)
{
	while (w->len % to)
		put8(w, 0);
}

static uint8_t checksum(const uint8_t *bytes, unsigned len)
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

/* --- The header of every table ---------------------------------------------------------------- */

struct header {
	char     signature[4];
	uint32_t length;
	uint8_t  revision, checksum;
	char     oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char     creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct header) == 36, "ACPI 6, \"System Description Table Header\"");

static struct header header_of(const char *signature, uint8_t revision)
{
	struct header h = { .revision = revision, .oem_revision = 1, .creator_revision = 1 };

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, "GODWIT", sizeof(h.oem_id));
	memcpy(h.oem_table_id, "GODWIT  ", sizeof(h.oem_table_id));
	memcpy(h.creator_id, "GDWT", sizeof(h.creator_id));
	return h;
}

static unsigned table_begin(struct writer *w, const char *signature, uint8_t revision)
{
	struct header h = header_of(signature, revision);
	unsigned at;

	align(w, 16);
	at = w->len;
	put(w, &h, sizeof(h));
	return at;
}

static void table_end(struct writer *w, unsigned at)
{
	struct header *h = (struct header *)(w->buf + at);

	h->length = w->len - at;
	h->checksum = checksum(w->buf + at, w->len - at);
}

/* --- AML (ACPI 6, "ACPI Machine Language Specification") -------------------------------------- */

enum aml {
	AML_NAME = 0x08, AML_BYTE = 0x0a, AML_WORD = 0x0b, AML_DWORD = 0x0c, AML_SCOPE = 0x10,
	AML_BUFFER = 0x11, AML_PACKAGE = 0x12, AML_EXT = 0x5b, AML_EXT_DEVICE = 0x82,
};

/* A length that counts itself, always in its two-byte form; filled in by block_end(). */
static unsigned block_begin(struct writer *w, enum aml op)
{
	put8(w, op);
	put16(w, 0);
	return w->len - 2;
}

static void block_end(struct writer *w, unsigned at)
{
	unsigned len = w->len - at;

	ASSERT(len < BIT(12));
	w->buf[at] = (uint8_t)(0x40 | (len & 15));
	w->buf[at + 1] = (uint8_t)(len >> 4);
}

static void aml_integer(struct writer *w, uint32_t v)
{
	if (v < 2) {
		put8(w, v);             /* ZeroOp, OneOp */
	} else if (v <= UINT8_MAX) {
		put8(w, AML_BYTE);
		put8(w, v);
	} else if (v <= UINT16_MAX) {
		put8(w, AML_WORD);
		put16(w, v);
	} else {
		put8(w, AML_DWORD);
		put32(w, v);
	}
}

/* Names have four characters here, padded by hand. */
static void aml_name(struct writer *w, const char *name)
{
	put8(w, AML_NAME);
	put(w, name, 4);
}

static void aml_name_integer(struct writer *w, const char *name, uint32_t v)
{
	aml_name(w, name);
	aml_integer(w, v);
}

static unsigned device_begin(struct writer *w, const char *name)
{
	unsigned at;

	put8(w, AML_EXT);
	at = block_begin(w, AML_EXT_DEVICE);
	put(w, name, 4);
	return at;
}

/* EISA IDs: three letters of five bits, then four digits, big-endian. */
static void aml_hid(struct writer *w, unsigned pnp)
{
	aml_name(w, "_HID");
	put8(w, AML_DWORD);
	put8(w, 0x41);                  /* "PNP" */
	put8(w, 0xd0);
	put8(w, pnp >> 8);
	put8(w, pnp);
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
static unsigned crs_begin(struct writer *w)
{
	unsigned at;

	aml_name(w, "_CRS");
	at = block_begin(w, AML_BUFFER);
	put8(w, AML_WORD);
	put16(w, 0);
	return at;
}

static void crs_end(struct writer *w, unsigned at)
{
	unsigned bytes_at = at + 2 + 3;         /* behind the length and the size */

	put8(w, RES_END);
	put8(w, 0);                             /* no checksum */
	w->buf[bytes_at - 2] = (uint8_t)(w->len - bytes_at);
	w->buf[bytes_at - 1] = (uint8_t)((w->len - bytes_at) >> 8);
	block_end(w, at);
}

static void crs_io(struct writer *w, unsigned base, unsigned len)
{
	put8(w, RES_IO);
	put8(w, DECODE_16);
	put16(w, base);
	put16(w, base);
	put8(w, 1);
	put8(w, len);
}

static void crs_irq(struct writer *w, unsigned irq)
{
	put8(w, RES_IRQ);
	put16(w, (unsigned)BIT(irq));
}

static void crs_word_space(struct writer *w, enum space_type type, unsigned flags, unsigned min,
                           unsigned max)
{
	put8(w, RES_WORD_SPACE);
	put16(w, 3 + 5 * 2);
	put8(w, type);
	put8(w, SPACE_FIXED);
	put8(w, flags);
	put16(w, 0);
	put16(w, min);
	put16(w, max);
	put16(w, 0);
	put16(w, max - min + 1);
}

static void crs_memory(struct writer *w, uint32_t min, uint32_t max)
{
	put8(w, RES_DWORD_SPACE);
	put16(w, 3 + 5 * 4);
	put8(w, SPACE_MEMORY);
	put8(w, SPACE_FIXED);
	put8(w, MEMORY_RW);
	put32(w, 0);
	put32(w, min);
	put32(w, max);
	put32(w, 0);
	put32(w, max - min + 1);
}

/* --- DSDT ------------------------------------------------------------------------------------- */

#define PNP_PCI_ROOT    0x0a03
#define PNP_COM         0x0501
#define PNP_RTC         0x0b00
#define PNP_TIMER       0x0100
#define ANY_FUNCTION    0xffffu

/* Each slot's INTA, hard-wired to a pin of the IOAPIC: by default level-triggered, active low. */
static void prt_make(struct writer *w)
{
	unsigned prt, entry;

	aml_name(w, "_PRT");
	prt = block_begin(w, AML_PACKAGE);
	put8(w, MACHINE_SLOT_END - MACHINE_SLOT_NET);
	for (unsigned slot = MACHINE_SLOT_NET; slot < MACHINE_SLOT_END; slot++) {
		entry = block_begin(w, AML_PACKAGE);
		put8(w, 4);
		aml_integer(w, slot << 16 | ANY_FUNCTION);
		aml_integer(w, 0);              /* INTA */
		aml_integer(w, 0);              /* no link device */
		aml_integer(w, MACHINE_PCI_GSI(slot));
		block_end(w, entry);
	}
	block_end(w, prt);
}

static void pci_root_make(struct writer *w)
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

static void isa_device_make(struct writer *w, const char *name, unsigned pnp, unsigned port,
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
static void dsdt_make(struct writer *w)
{
	unsigned table = table_begin(w, "DSDT", 2), block;

	aml_name(w, "_S5_");
	block = block_begin(w, AML_PACKAGE);
	put8(w, 4);
	aml_integer(w, VPM_SLP_TYP_S5);
	aml_integer(w, VPM_SLP_TYP_S5);
	aml_integer(w, 0);
	aml_integer(w, 0);
	block_end(w, block);

	block = block_begin(w, AML_SCOPE);
	put8(w, '\\');
	put(w, "_SB_", 4);
	pci_root_make(w);
	isa_device_make(w, "COM1", PNP_COM, 0x3f8, 8, MACHINE_COM1_IRQ);
	isa_device_make(w, "RTC_", PNP_RTC, 0x70, 2, 8);
	isa_device_make(w, "TIMR", PNP_TIMER, 0x40, 4, 0);
	block_end(w, block);
	table_end(w, table);
}

/* --- FACS, FADT ------------------------------------------------------------------------------- */

static void facs_make(struct writer *w)         /* "Firmware ACPI Control Structure" */
{
	enum { FACS_LEN = 64, FACS_VERSION = 2, LENGTH_AT = 4, VERSION_AT = 32 };
	uint8_t facs[FACS_LEN] = { [LENGTH_AT] = FACS_LEN, [VERSION_AT] = FACS_VERSION };

	memcpy(facs, "FACS", 4);
	align(w, FACS_LEN);
	put(w, facs, sizeof(facs));
}

struct gas { uint8_t space, bits, offset, access; uint64_t address; } __attribute__((packed));
#define GAS_IO          1

struct fadt {                                   /* "Fixed ACPI Description Table" */
	struct header header;
	uint32_t firmware_ctrl, dsdt;
	uint8_t  reserved0, pm_profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t  acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t  pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t  gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	uint16_t lvl2_latency, lvl3_latency, flush_size, flush_stride;
	uint8_t  duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t  reserved1;
	uint32_t flags;
	struct gas reset_reg;
	uint8_t  reset_value;
	uint16_t arm_boot_arch;
	uint8_t  minor_version;
	uint64_t x_firmware_ctrl, x_dsdt;
	struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr;
	struct gas x_gpe0, x_gpe1;
	struct gas sleep_control, sleep_status;
} __attribute__((packed));
_Static_assert(offsetof(struct fadt, flags) == 112, "FADT layout");
_Static_assert(offsetof(struct fadt, x_pm_tmr) == 208, "FADT layout");
_Static_assert(sizeof(struct fadt) == 268, "FADT of ACPI 5");

#define FADT_REVISION           5
#define BOOT_LEGACY_DEVICES     BIT(0)          /* COM1; no 8042                            */
#define BOOT_NO_VGA             BIT(2)
#define FADT_WBINVD             BIT(0)
#define FADT_C1                 BIT(2)          /* HLT works on every CPU                   */
#define FADT_NO_SLEEP_BUTTON    BIT(5)
#define FADT_NO_RTC_WAKE        BIT(6)
#define FADT_TIMER_32           BIT(8)
#define FADT_RESET_REG          BIT(10)
#define LATENCY_NO_C2           101             /* above 100 us: not there                  */
#define LATENCY_NO_C3           1001
#define CMOS_CENTURY            0x32
#define RESET_PORT              0xcf9
#define RESET_VALUE             0x06
#define ACCESS_BYTE             1
#define ACCESS_WORD             2
#define ACCESS_DWORD            3

static struct gas io_gas(unsigned port, unsigned bits, unsigned access)
{
	return (struct gas){
		.space = GAS_IO, .bits = (uint8_t)bits, .access = (uint8_t)access, .address = port,
	};
}

static void fadt_make(struct writer *w, uint64_t dsdt, uint64_t facs)
{
	struct fadt f = {
		.header = header_of("FACP", FADT_REVISION), .minor_version = 1,
		.firmware_ctrl = (uint32_t)facs, .dsdt = (uint32_t)dsdt, .x_dsdt = dsdt,
		.sci_int = MACHINE_SCI,
		.pm1a_evt = VPM_BASE, .pm1_evt_len = 4,
		.x_pm1a_evt = io_gas(VPM_BASE, 32, ACCESS_WORD),
		.pm1a_cnt = VPM_PM1_CONTROL, .pm1_cnt_len = 2,
		.x_pm1a_cnt = io_gas(VPM_PM1_CONTROL, 16, ACCESS_WORD),
		.pm_tmr = VPM_TIMER, .pm_tmr_len = 4,
		.x_pm_tmr = io_gas(VPM_TIMER, 32, ACCESS_DWORD),
		.lvl2_latency = LATENCY_NO_C2, .lvl3_latency = LATENCY_NO_C3,
		.century = CMOS_CENTURY,
		.boot_arch = BOOT_LEGACY_DEVICES | BOOT_NO_VGA,
		.flags = FADT_WBINVD | FADT_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_RTC_WAKE |
		         FADT_TIMER_32 | FADT_RESET_REG,
		.reset_reg = io_gas(RESET_PORT, 8, ACCESS_BYTE), .reset_value = RESET_VALUE,
	};
	unsigned at;

	align(w, 16);
	at = w->len;
	put(w, &f, sizeof(f));
	table_end(w, at);
}

/* --- MADT (ACPI 6, "Multiple APIC Description Table") ----------------------------------------- */

enum madt { MADT_LAPIC, MADT_IOAPIC, MADT_OVERRIDE, MADT_LAPIC_NMI = 4 };
#define MADT_REVISION   3
#define MADT_PCAT       BIT(0)                  /* there is a pair of 8259s as well         */
#define CPU_ENABLED     BIT(0)
#define ALL_CPUS        0xff
#define INTI_DEFAULT    0                       /* as ISA has it: edge, active high         */
#define INTI_LEVEL_HIGH 0x0d

static void madt_override(struct writer *w, unsigned irq, unsigned gsi, unsigned flags)
{
	put8(w, MADT_OVERRIDE);
	put8(w, 10);
	put8(w, 0);                             /* bus 0 is ISA */
	put8(w, irq);
	put32(w, gsi);
	put16(w, flags);
}

static void madt_make(struct writer *w, unsigned cpus)
{
	unsigned table = table_begin(w, "APIC", MADT_REVISION);

	put32(w, (uint32_t)MACHINE_LAPIC_BASE);
	put32(w, MADT_PCAT);
	for (unsigned i = 0; i < cpus; i++) {
		put8(w, MADT_LAPIC);
		put8(w, 8);
		put8(w, i);                     /* processor UID */
		put8(w, i);                     /* APIC ID       */
		put32(w, CPU_ENABLED);
	}
	put8(w, MADT_IOAPIC);
	put8(w, 12);
	put8(w, 0);                             /* its ID */
	put8(w, 0);
	put32(w, (uint32_t)MACHINE_IOAPIC_BASE);
	put32(w, 0);                            /* its first GSI */
	madt_override(w, 0, 2, INTI_DEFAULT);
	madt_override(w, MACHINE_SCI, MACHINE_SCI, INTI_LEVEL_HIGH);
	put8(w, MADT_LAPIC_NMI);
	put8(w, 6);
	put8(w, ALL_CPUS);
	put16(w, INTI_DEFAULT);
	put8(w, 1);                             /* LINT1 */
	table_end(w, table);
}

/* --- The roots -------------------------------------------------------------------------------- */

struct rsdp {
	char     signature[8];
	uint8_t  checksum;
	char     oem_id[6];
	uint8_t  revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t  extended_checksum, reserved[3];
} __attribute__((packed));
#define RSDP_V1_LEN     20
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 6, \"Root System Description Pointer\"");

static void rsdp_make(struct writer *w, uint64_t rsdt, uint64_t xsdt)
{
	struct rsdp *r = (struct rsdp *)w->buf;         /* its place was kept free */

	*r = (struct rsdp){
		.revision = 2, .rsdt = (uint32_t)rsdt, .length = sizeof(*r), .xsdt = xsdt,
	};
	memcpy(r->signature, "RSD PTR ", sizeof(r->signature));
	memcpy(r->oem_id, "GODWIT", sizeof(r->oem_id));
	r->checksum = checksum(w->buf, RSDP_V1_LEN);
	r->extended_checksum = checksum(w->buf, sizeof(*r));
}

static unsigned root_make(struct writer *w, const char *signature, unsigned entry_size,
                          const uint64_t *tables, unsigned n)
{
	unsigned at = table_begin(w, signature, 1);

	for (unsigned i = 0; i < n; i++)
		put(w, &tables[i], entry_size);
	table_end(w, at);
	return at;
}

/* A table is made at the next multiple of `alignment`. */
static uint64_t next_table(struct writer *w, unsigned alignment)
{
	align(w, alignment);
	return address_of(w->len);
}

enum err acpi_tables_write(struct vm *vm, gpa_t *rsdp)
{
	struct writer w = { .len = sizeof(struct rsdp) };
	uint64_t facs, dsdt, tables[2];
	unsigned rsdt, xsdt;

	_Static_assert(MACHINE_ACPI_BASE + TABLES_MAX <= MACHINE_ACPI_END,
		       "the tables fit their place");
	facs = next_table(&w, 64);
	facs_make(&w);
	dsdt = next_table(&w, 16);
	dsdt_make(&w);
	tables[0] = next_table(&w, 16);
	fadt_make(&w, dsdt, facs);
	tables[1] = next_table(&w, 16);
	madt_make(&w, vm->config.cpus);
	rsdt = root_make(&w, "RSDT", sizeof(uint32_t), tables, COUNT(tables));
	xsdt = root_make(&w, "XSDT", sizeof(uint64_t), tables, COUNT(tables));
	rsdp_make(&w, address_of(rsdt), address_of(xsdt));
	*rsdp = gpa(MACHINE_ACPI_BASE);
	return mem_write(&vm->mem, *rsdp, w.buf, w.len);
}
