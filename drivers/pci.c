/* SPDX-License-Identifier: MIT */
/*
 * drivers/pci.c - PCI devices of this machine: found once at boot, matched to drivers.
 *
 * Owns the list of devices and ports 0xcf8 and 0xcfc.  Buses are those that bridges lead to from
 * bus 0. (PCI Local Bus Specification 3.0, "Configuration Space")  Called by boot/main.c and the
 * drivers.
 */
#include "drivers/pci.h"

#include "arch/x86_64/insn.h"
#include "arch/x86_64/paging.h"
#include "lib/bitmap.h"
#include "lib/log.h"

#define DEVICES_MAX     64
#define BUSES           256
#define SLOTS           32
#define FUNCTIONS       8

#define CONFIG_ADDRESS  0xcf8
#define CONFIG_DATA     0xcfc
#define CONFIG_ENABLE   BIT(31)

enum config_register {
	REG_ID = 0x00, REG_CLASS = 0x08, REG_HEADER_TYPE = 0x0e, REG_BAR0 = 0x10,
	REG_SECONDARY_BUS = 0x19, REG_CAPS = 0x34, REG_IRQ_LINE = 0x3c, REG_IRQ_PIN = 0x3d,
};
#define REG_STATUS      0x06
#define STATUS_CAPS     BIT(4)
#define CAP_NEXT        1               /* in a capability: where the next one is */
#define CAP_FIRST_MIN   0x40

#define ID_NONE         0xffffffffu
#define HEADER_MANY     BIT(7)          /* has more than one function */
#define HEADER_TYPE     MASK(6, 0)
#define HEADER_DEVICE   0
#define HEADER_BRIDGE   1
#define BAR_IO          BIT(0)
#define BAR_TYPE        MASK(2, 1)
#define BAR_TYPE_64     2
#define BAR_MEM_FLAGS   MASK(3, 0)
#define BAR_IO_FLAGS    MASK(1, 0)
#define IRQ_LINE_NONE   0xff

static struct pci_dev devices[DEVICES_MAX];
static unsigned ndevices;

static void select(const struct pci_dev *d, uint8_t reg)
{
	uint32_t where = (uint32_t)(d->bus << 16 | d->slot << 11 | d->function << 8);

	insn_outl(CONFIG_ADDRESS, (uint32_t)CONFIG_ENABLE | where | (reg & ~3u));
}

uint8_t pci_read8(const struct pci_dev *d, uint8_t reg)
{
	select(d, reg);
	return insn_inb((uint16_t)(CONFIG_DATA + (reg & 3)));
}

uint16_t pci_read16(const struct pci_dev *d, uint8_t reg)
{
	select(d, reg);
	return insn_inw((uint16_t)(CONFIG_DATA + (reg & 2)));
}

uint32_t pci_read32(const struct pci_dev *d, uint8_t reg)
{
	select(d, reg);
	return insn_inl(CONFIG_DATA);
}

void pci_write16(const struct pci_dev *d, uint8_t reg, uint16_t value)
{
	select(d, reg);
	insn_outw((uint16_t)(CONFIG_DATA + (reg & 2)), value);
}

void pci_write32(const struct pci_dev *d, uint8_t reg, uint32_t value)
{
	select(d, reg);
	insn_outl(CONFIG_DATA, value);
}

void pci_enable(const struct pci_dev *d, bool bus_master)
{
	uint16_t command = pci_read16(d, PCI_COMMAND);

	command |= PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
	command &= (uint16_t)~PCI_COMMAND_INTX_OFF;
	if (bus_master)
		command |= PCI_COMMAND_MASTER;
	pci_write16(d, PCI_COMMAND, command);
}

uint8_t pci_cap(const struct pci_dev *d, uint8_t id, uint8_t after)
{
	uint64_t seen = 0;              /* a bit for each place: a list may lead in circles */
	uint8_t at = 0;

	if (!(pci_read16(d, REG_STATUS) & STATUS_CAPS))
		return 0;
	for (;;) {
		at = pci_read8(d, at ? (uint8_t)(at + CAP_NEXT) : REG_CAPS) & ~3u;
		if (at < CAP_FIRST_MIN || (seen & BIT(at / 4)))
			return 0;
		seen |= BIT(at / 4);
		if (after == 0 && pci_read8(d, at) == id)
			return at;
		if (at == after)
			after = 0;
	}
}

/* What stays 0 after writing ones is the size; the device must not decode meanwhile. */
static uint32_t bar_size_bits(const struct pci_dev *d, uint8_t reg)
{
	uint32_t old = pci_read32(d, reg);

	pci_write32(d, reg, UINT32_MAX);
	uint32_t bits = pci_read32(d, reg);
	pci_write32(d, reg, old);
	return bits;
}

static void read_bars(struct pci_dev *d)
{
	uint16_t command = pci_read16(d, PCI_COMMAND);

	pci_write16(d, PCI_COMMAND, (uint16_t)(command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY)));
	for (unsigned i = 0; i < PCI_BARS; i++) {
		uint8_t reg = (uint8_t)(REG_BAR0 + 4 * i);
		uint32_t low = pci_read32(d, reg);
		struct pci_bar *bar = &d->bar[i];
		bar->io = low & BAR_IO;
		if (bar->io) {
			bar->base = low & ~BAR_IO_FLAGS & UINT16_MAX;
			bar->len = (uint16_t)-(bar_size_bits(d, reg) & ~BAR_IO_FLAGS);
			continue;
		}
		uint64_t ones = bar_size_bits(d, reg) & ~BAR_MEM_FLAGS;
		bar->base = low & ~BAR_MEM_FLAGS & UINT32_MAX;
		if (GET(BAR_TYPE, low) == BAR_TYPE_64 && i + 1 < PCI_BARS) {
			bar->base |= (uint64_t)pci_read32(d, (uint8_t)(reg + 4)) << 32;
			ones |= (uint64_t)bar_size_bits(d, (uint8_t)(reg + 4)) << 32;
			i++;            /* the next register is this one's upper half */
		} else if (ones) {
			ones |= MASK(63, 32);
		}
		bar->len = -ones;
	}
	pci_write16(d, PCI_COMMAND, command);
}

static void add_device(const struct pci_dev *found)
{
	if (ndevices == DEVICES_MAX) {
		log_line("pci: more than %d devices; %02x:%02x.%u is left out", DEVICES_MAX,
		         found->bus, found->slot, found->function);
		return;
	}
	struct pci_dev *d = &devices[ndevices++];
	*d = *found;
	d->irq_pin = pci_read8(d, REG_IRQ_PIN);
	d->irq_line = pci_read8(d, REG_IRQ_LINE);
	read_bars(d);
	log_line("pci: %02x:%02x.%u %04x:%04x class %02x%02x irq %d", d->bus, d->slot, d->function,
	         d->id & UINT16_MAX, d->id >> 16, d->class, d->subclass,
	         d->irq_pin && d->irq_line != IRQ_LINE_NONE ? d->irq_line : -1);
}

/* Returns the header type byte; 0 with *present false when nobody answers. */
static uint8_t scan_function(uint8_t bus, uint8_t slot, uint8_t function, uint64_t *buses,
                             bool *present)
{
	struct pci_dev d = { .bus = bus, .slot = slot, .function = function };

	d.id = pci_read32(&d, REG_ID);
	*present = d.id != ID_NONE && d.id != 0;
	if (!*present)
		return 0;
	uint32_t class = pci_read32(&d, REG_CLASS);
	uint8_t type = pci_read8(&d, REG_HEADER_TYPE);
	d.class = (uint8_t)(class >> 24);
	d.subclass = (uint8_t)(class >> 16);
	if ((type & HEADER_TYPE) == HEADER_BRIDGE)
		bitmap_set(buses, pci_read8(&d, REG_SECONDARY_BUS));
	else if ((type & HEADER_TYPE) == HEADER_DEVICE)
		add_device(&d);
	return type;
}

static void scan_bus(uint8_t bus, uint64_t *buses)
{
	for (uint8_t slot = 0; slot < SLOTS; slot++) {
		bool present;
		uint8_t type = scan_function(bus, slot, 0, buses, &present);
		if (!present || !(type & HEADER_MANY))
			continue;
		for (uint8_t function = 1; function < FUNCTIONS; function++)
			scan_function(bus, slot, function, buses, &present);
	}
}

/*
 * Firmware numbers a bridge's far side higher than its near side, so one pass upwards sees every
 * bus once.
 */
enum err pci_scan(void)
{
	uint64_t buses[BITMAP_WORDS(BUSES)] = { BIT(0) };

	for (uint64_t bus = 0; bus < BUSES; bus = bitmap_next(buses, BUSES, bus + 1))
		scan_bus((uint8_t)bus, buses);
	if (!ndevices)
		log_line("pci: no devices; is there a PCI bus at all?");
	return OK;
}

struct pci_dev *pci_at(unsigned i)
{
	return i < ndevices ? &devices[i] : NULL;
}

static bool knows(const struct pci_driver *driver, const struct pci_dev *d)
{
	for (const uint32_t *id = driver->ids; *id; id++)
		if (*id == d->id)
			return true;
	return false;
}

void pci_start_drivers(const struct pci_driver *const *drivers, unsigned n)
{
	for (struct pci_dev *d = devices; d < devices + ndevices; d++)
		for (unsigned i = 0; i < n && !d->driver; i++)
			if (knows(drivers[i], d) && drivers[i]->start(d) == OK)
				d->driver = drivers[i]->name;
}

volatile void *pci_map_bar(const struct pci_dev *d, unsigned i, uint64_t len)
{
	const struct pci_bar *bar = &d->bar[i];

	ASSERT(i < PCI_BARS);
	if (bar->io || !bar->base || bar->len < len) {
		fail(ERR_NOT_SUPPORTED, "pci: %02x:%02x.%u: BAR %u is not memory of %lu bytes",
		     d->bus, d->slot, d->function, i, len);
		return NULL;
	}
	return paging_map_device(hpa(bar->base), bar->len);
}
