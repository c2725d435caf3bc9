/* SPDX-License-Identifier: MIT */
/*
 * vmm/acpi_tables.c - what the board looks like, in the words of ACPI 6.
 *
 *   RSDP -> XSDT (and RSDT for the old) -> FADT -> DSDT, FACS
 *                                       -> MADT
 *
 * The tables are made in a buffer and written to MACHINE_ACPI_BASE at once.  Called by the loaders.
 * Read next: vmm/acpi_dsdt.c.
 */
#include "vmm/machine.h"

#include <string.h>

#include "vmm/acpi_writer.h"
#include "vmm/vm.h"

static uint64_t address_of(unsigned at)
{
	return MACHINE_ACPI_BASE + at;
}

/* --- FACS, FADT ------------------------------------------------------------------------------- */

static void facs_make(struct acpi_writer *w)         /* "Firmware ACPI Control Structure" */
{
	enum { FACS_LEN = 64, FACS_VERSION = 2, LENGTH_AT = 4, VERSION_AT = 32 };
	uint8_t facs[FACS_LEN] = { [LENGTH_AT] = FACS_LEN, [VERSION_AT] = FACS_VERSION };

	memcpy(facs, "FACS", 4);
	acpi_align(w, FACS_LEN);
	acpi_put(w, facs, sizeof(facs));
}

struct gas { uint8_t space, bits, offset, access; uint64_t address; } __attribute__((packed));
#define GAS_IO          1

struct fadt {                                   /* "Fixed ACPI Description Table" */
	struct acpi_header header;
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

static void fadt_make(struct acpi_writer *w, uint64_t dsdt, uint64_t facs)
{
	struct fadt f = {
		.header = acpi_header("FACP", FADT_REVISION), .minor_version = 1,
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

	acpi_align(w, 16);
	at = w->len;
	acpi_put(w, &f, sizeof(f));
	acpi_table_end(w, at);
}

/* --- MADT (ACPI 6, "Multiple APIC Description Table") ----------------------------------------- */

enum madt { MADT_LAPIC, MADT_IOAPIC, MADT_OVERRIDE, MADT_LAPIC_NMI = 4 };
#define MADT_REVISION   3
#define MADT_PCAT       BIT(0)                  /* there is a pair of 8259s as well         */
#define CPU_ENABLED     BIT(0)
#define ALL_CPUS        0xff
#define INTI_DEFAULT    0                       /* as ISA has it: edge, active high         */
#define INTI_LEVEL_HIGH 0x0d

static void madt_override(struct acpi_writer *w, unsigned irq, unsigned gsi, unsigned flags)
{
	acpi_put8(w, MADT_OVERRIDE);
	acpi_put8(w, 10);
	acpi_put8(w, 0);                             /* bus 0 is ISA */
	acpi_put8(w, irq);
	acpi_put32(w, gsi);
	acpi_put16(w, flags);
}

static void madt_make(struct acpi_writer *w, unsigned cpus)
{
	unsigned table = acpi_table_begin(w, "APIC", MADT_REVISION);

	acpi_put32(w, (uint32_t)MACHINE_LAPIC_BASE);
	acpi_put32(w, MADT_PCAT);
	for (unsigned i = 0; i < cpus; i++) {
		acpi_put8(w, MADT_LAPIC);
		acpi_put8(w, 8);
		acpi_put8(w, i);                     /* processor UID */
		acpi_put8(w, i);                     /* APIC ID       */
		acpi_put32(w, CPU_ENABLED);
	}
	acpi_put8(w, MADT_IOAPIC);
	acpi_put8(w, 12);
	acpi_put8(w, 0);                             /* its ID */
	acpi_put8(w, 0);
	acpi_put32(w, (uint32_t)MACHINE_IOAPIC_BASE);
	acpi_put32(w, 0);                            /* its first GSI */
	madt_override(w, 0, 2, INTI_DEFAULT);
	madt_override(w, MACHINE_SCI, MACHINE_SCI, INTI_LEVEL_HIGH);
	acpi_put8(w, MADT_LAPIC_NMI);
	acpi_put8(w, 6);
	acpi_put8(w, ALL_CPUS);
	acpi_put16(w, INTI_DEFAULT);
	acpi_put8(w, 1);                             /* LINT1 */
	acpi_table_end(w, table);
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

static void rsdp_make(struct acpi_writer *w, uint64_t rsdt, uint64_t xsdt)
{
	struct rsdp *r = (struct rsdp *)w->buf;         /* its place was kept free */

	*r = (struct rsdp){
		.revision = 2, .rsdt = (uint32_t)rsdt, .length = sizeof(*r), .xsdt = xsdt,
	};
	memcpy(r->signature, "RSD PTR ", sizeof(r->signature));
	memcpy(r->oem_id, "GODWIT", sizeof(r->oem_id));
	r->checksum = acpi_checksum(w->buf, RSDP_V1_LEN);
	r->extended_checksum = acpi_checksum(w->buf, sizeof(*r));
}

static unsigned root_make(struct acpi_writer *w, const char *signature, unsigned entry_size,
                          const uint64_t *tables, unsigned n)
{
	unsigned at = acpi_table_begin(w, signature, 1);

	for (unsigned i = 0; i < n; i++)
		acpi_put(w, &tables[i], entry_size);
	acpi_table_end(w, at);
	return at;
}

/* A table is made at the next multiple of `alignment`. */
static uint64_t next_table(struct acpi_writer *w, unsigned alignment)
{
	acpi_align(w, alignment);
	return address_of(w->len);
}

enum err acpi_tables_write(struct vm *vm, gpa_t *rsdp)
{
	struct acpi_writer w = { .len = sizeof(struct rsdp) };
	uint64_t facs, dsdt, tables[2];
	unsigned rsdt, xsdt;

	_Static_assert(MACHINE_ACPI_BASE + ACPI_TABLES_MAX <= MACHINE_ACPI_END,
		       "the tables fit their place");
	facs = next_table(&w, 64);
	facs_make(&w);
	dsdt = next_table(&w, 16);
	acpi_dsdt_make(&w);
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
