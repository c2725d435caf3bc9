/* SPDX-License-Identifier: MIT */
/*
 * lib/clock.c - finds the PM timer through the ACPI tables, and measures the TSC against it.
 *
 * The tables are searched as an operating system on a BIOS machine does: RSDP between 0xe0000 and
 * 1 MiB, RSDT or XSDT, FADT.
 */
#include "lib/clock.h"
#include "lib/guest.h"
#include "lib/insn.h"

enum {
	RSDP_FIRST        = 0xe0000,
	RSDP_END          = 0x100000,
	RSDP_STEP         = 16,
	TABLES_MAX        = 64,
	PM_PORT_OTHERWISE = 0xb008,
	TSC_MEASURE_US    = 20000,
	WAIT_MAX_US       = 1000000,
	PM_READS_MAX      = 100000000, /* a counter that stands still must not hang us */
};

struct rsdp {                        /* ACPI Specification, "Root System Description Pointer" */
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
} __attribute__((packed));

struct table {                       /* ACPI Specification, "System Description Table Header" */
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

struct fadt {                        /* ACPI Specification, "Fixed ACPI Description Table" */
	struct table header;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci;
	uint32_t smi_command;
	uint8_t enable, disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
} __attribute__((packed));
_Static_assert(offsetof(struct fadt, pm_timer) == 76, "FADT");

static uint16_t pm_port;
static uint64_t tsc_hz;

static const void *at(uint64_t address)
{
	return (const void *)(uintptr_t)address;
}

static const struct rsdp *find_rsdp(void)
{
	for (uint64_t a = RSDP_FIRST; a < RSDP_END; a += RSDP_STEP)
		if (!memcmp(at(a), "RSD PTR ", 8))
			return at(a);
	return NULL;
}

static const struct fadt *find_fadt(const struct rsdp *rsdp)
{
	bool wide = rsdp->revision >= 2 && rsdp->xsdt;
	const struct table *root = at(wide ? rsdp->xsdt : rsdp->rsdt);
	size_t entry = wide ? 8 : 4;
	size_t count = (root->length - sizeof(*root)) / entry;

	for (size_t i = 0; i < count && i < TABLES_MAX; i++) {
		uint64_t address = 0;
		memcpy(&address, (const uint8_t *)(root + 1) + i * entry, entry);
		const struct table *t = at(address);
		if (!memcmp(t->signature, "FACP", 4))
			return (const struct fadt *)t;
	}
	return NULL;
}

static uint16_t find_pm_port(void)
{
	const struct rsdp *rsdp = find_rsdp();
	const struct fadt *fadt = rsdp ? find_fadt(rsdp) : NULL;

	return fadt ? (uint16_t)fadt->pm_timer : PM_PORT_OTHERWISE;
}

uint32_t clock_pm_read(void)
{
	if (!pm_port)
		pm_port = find_pm_port();
	return insn_inl(pm_port) & CLOCK_PM_MASK;
}

uint64_t clock_pm_since(uint32_t start)
{
	return (clock_pm_read() - start) & CLOCK_PM_MASK;
}

void clock_wait_us(uint64_t us)
{
	CHECK(us <= WAIT_MAX_US, "clock_wait_us(%lu) is too long", us);
	uint64_t ticks = us * CLOCK_PM_HZ / 1000000;
	uint32_t start = clock_pm_read();
	for (int i = 0; clock_pm_since(start) < ticks; i++)
		CHECK(i < PM_READS_MAX, "the PM timer at port %x stands still", pm_port);
}

uint64_t clock_tsc_hz(void)
{
	if (!tsc_hz) {
		uint32_t pm = clock_pm_read();
		uint64_t tsc = insn_rdtsc();
		clock_wait_us(TSC_MEASURE_US);
		uint64_t ticks = clock_pm_since(pm);
		tsc_hz = (insn_rdtsc() - tsc) * CLOCK_PM_HZ / ticks;
	}
	return tsc_hz;
}
