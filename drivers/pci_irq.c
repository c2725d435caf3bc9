/* SPDX-License-Identifier: MIT */
/*
 * drivers/pci_irq.c - how a PCI device interrupts us: MSI-X, MSI, its line, or not at all.
 *
 * A message is a write to the local APIC, with a vector of its own for each source; a line goes
 * through the IOAPIC and is shared.  (PCI Local Bus Specification 3.0, "MSI Capability and
 * Structure", "MSI-X Capability and Table Structures")  Called by the drivers.
 */
#include "drivers/pci.h"

#include "lib/fmt.h"
#include "lib/log.h"

#define CAP_MSI             0x05
#define CAP_MSIX            0x11

enum msi_register {                     /* from the capability on */
	MSI_CONTROL = 2, MSI_ADDRESS = 4, MSI_ADDRESS_HIGH = 8, MSI_DATA = 8, MSI_DATA_64 = 12,
};
#define MSI_ENABLE          BIT(0)
#define MSI_MESSAGES        MASK(6, 4)  /* how many are enabled: 0 is one */
#define MSI_64              BIT(7)

enum msix_register { MSIX_CONTROL = 2, MSIX_TABLE = 4 };
#define MSIX_TABLE_SIZE     MASK(10, 0) /* entries less one */
#define MSIX_MASK_ALL       BIT(14)
#define MSIX_ENABLE         BIT(15)
#define MSIX_TABLE_BAR      MASK(2, 0)
#define MSIX_TABLE_OFFSET   MASK(31, 3)

struct msix_entry { uint32_t address, address_high, data, control; };
#define MSIX_ENTRY_MASK     BIT(0)

enum irq_kind pci_irq_best = IRQ_MSIX;

static void set_control(const struct pci_dev *d, uint8_t reg, uint64_t clear, uint64_t set)
{
	pci_write16(d, reg, (uint16_t)((pci_read16(d, reg) & ~clear) | set));
}

static void stop_line(const struct pci_dev *d)
{
	set_control(d, PCI_COMMAND, 0, PCI_COMMAND_INTX_OFF);
}

/* The table's first `n` entries; NULL: too few, or not where the device may have them. */
static volatile struct msix_entry *map_msix(const struct pci_dev *d, uint8_t cap, unsigned n)
{
	uint32_t where = pci_read32(d, (uint8_t)(cap + MSIX_TABLE));
	unsigned entries = GET(MSIX_TABLE_SIZE, pci_read16(d, (uint8_t)(cap + MSIX_CONTROL))) + 1;
	unsigned bar = where & MSIX_TABLE_BAR;
	uint64_t offset = where & MSIX_TABLE_OFFSET;

	if (entries < n || bar >= PCI_BARS)
		return NULL;
	volatile uint8_t *base = pci_map_bar(d, bar, offset + n * sizeof(struct msix_entry));

	return base ? (volatile struct msix_entry *)(base + offset) : NULL;
}

static enum err fill_entry(volatile struct msix_entry *entry, irq_handler_fn *handler, void *ctx)
{
	struct irq_message m;
	uint8_t vector;
	enum err e = irq_vector_alloc(handler, ctx, &vector);

	if (e == OK)
		e = irq_message(vector, &m);
	if (e != OK)
		return e;
	entry->address = (uint32_t)m.address;
	entry->address_high = (uint32_t)(m.address >> 32);
	entry->data = m.data;
	entry->control &= (uint32_t)~MSIX_ENTRY_MASK;
	return OK;
}

bool pci_irq_msix(struct pci_dev *d, irq_handler_fn *const *handlers, unsigned n, void *ctx)
{
	uint8_t cap = pci_irq_best >= IRQ_MSIX ? pci_cap(d, CAP_MSIX, 0) : 0;
	uint8_t control = (uint8_t)(cap + MSIX_CONTROL);
	volatile struct msix_entry *table = cap ? map_msix(d, cap, n) : NULL;

	if (!table)
		return false;
	set_control(d, control, 0, MSIX_ENABLE | MSIX_MASK_ALL);
	for (unsigned i = 0; i < n; i++) {
		if (fill_entry(&table[i], handlers[i], ctx) != OK) {
			set_control(d, control, MSIX_ENABLE, 0);
			return false;           /* vectors taken so far stay silent */
		}
	}
	stop_line(d);
	set_control(d, control, MSIX_MASK_ALL, 0);
	d->irq = IRQ_MSIX;
	return true;
}

static bool start_msi(struct pci_dev *d, irq_handler_fn *handler, void *ctx)
{
	uint8_t cap = pci_irq_best >= IRQ_MSI ? pci_cap(d, CAP_MSI, 0) : 0;
	uint8_t control = (uint8_t)(cap + MSI_CONTROL);
	struct irq_message m;
	uint8_t vector;

	if (!cap || irq_vector_alloc(handler, ctx, &vector) != OK || irq_message(vector, &m) != OK)
		return false;
	bool wide = pci_read16(d, control) & MSI_64;

	pci_write32(d, (uint8_t)(cap + MSI_ADDRESS), (uint32_t)m.address);
	if (wide)
		pci_write32(d, (uint8_t)(cap + MSI_ADDRESS_HIGH), (uint32_t)(m.address >> 32));
	pci_write16(d, (uint8_t)(cap + (wide ? MSI_DATA_64 : MSI_DATA)), (uint16_t)m.data);
	stop_line(d);
	set_control(d, control, MSI_MESSAGES, MSI_ENABLE);
	return true;
}

enum irq_kind pci_irq_start(struct pci_dev *d, irq_handler_fn *handler, void *ctx)
{
	d->irq = IRQ_POLLED;
	if (start_msi(d, handler, ctx))
		d->irq = IRQ_MSI;
	else if (pci_irq_best >= IRQ_LINE && d->irq_pin &&
		 irq_register(d->irq_line, handler, ctx) == OK)
		d->irq = IRQ_LINE;
	return d->irq;
}

const char *pci_irq_text(const struct pci_dev *d)
{
	static char line[16];

	switch (d->irq) {
	case IRQ_POLLED:
		return "polled";
	case IRQ_MSI:
		return "MSI";
	case IRQ_MSIX:
		return "MSI-X";
	case IRQ_LINE:
		break;
	}
	fmt_format(line, sizeof(line), "IRQ %u", d->irq_line);
	return line;
}
