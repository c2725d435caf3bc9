/* SPDX-License-Identifier: MIT */
/* lib/pci.c - see the header. */
#include "lib/insn.h"
#include "lib/pci.h"

enum {
	PORT_ADDRESS = 0xcf8, PORT_DATA = 0xcfc, ADDRESS_ENABLE = (int)0x80000000,
	BAR_IO = 1, BAR_TYPE = 6, BAR_64 = 4, BAR_FLAGS_MEMORY = 0xf, BAR_FLAGS_IO = 3,
};

static uint16_t select(struct pci_device d, unsigned reg)
{
	insn_outl(PORT_ADDRESS, (uint32_t)ADDRESS_ENABLE | (uint32_t)d.slot << 11 |
		  (uint32_t)d.function << 8 | (reg & 0xfcu));
	return (uint16_t)(PORT_DATA + (reg & 3));
}

uint8_t pci_read8(struct pci_device d, unsigned reg)
{
	return insn_inb(select(d, reg));
}

uint16_t pci_read16(struct pci_device d, unsigned reg)
{
	return insn_inw(select(d, reg));
}

uint32_t pci_read32(struct pci_device d, unsigned reg)
{
	return insn_inl(select(d, reg));
}

void pci_write16(struct pci_device d, unsigned reg, uint16_t value)
{
	insn_outw(select(d, reg), value);
}

void pci_write32(struct pci_device d, unsigned reg, uint32_t value)
{
	insn_outl(select(d, reg), value);
}

unsigned pci_functions(uint8_t slot)
{
	struct pci_device d = { slot, 0 };

	if (pci_read16(d, PCI_VENDOR) == PCI_NOBODY)
		return 1;
	return pci_read8(d, PCI_HEADER) & PCI_HEADER_MULTI ? 8 : 1;
}

bool pci_find(uint16_t vendor, uint16_t device, struct pci_device *d)
{
	for (d->slot = 0; d->slot < PCI_SLOTS; d->slot++)
		for (d->function = 0; d->function < pci_functions(d->slot); d->function++)
			if (pci_read16(*d, PCI_VENDOR) == vendor &&
			    pci_read16(*d, PCI_DEVICE) == device)
				return true;
	return false;
}

unsigned pci_next_capability(struct pci_device d, unsigned after)
{
	if (after)
		return pci_read8(d, after + 1) & 0xfcu;
	if (!(pci_read16(d, PCI_STATUS) & PCI_STATUS_CAPABILITIES))
		return 0;
	return pci_read8(d, PCI_CAPABILITIES) & 0xfcu;
}

/* One register's value with all ones written to it. */
static uint32_t probe(struct pci_device d, unsigned reg)
{
	uint32_t old = pci_read32(d, reg);

	pci_write32(d, reg, UINT32_MAX);
	uint32_t mask = pci_read32(d, reg);
	pci_write32(d, reg, old);
	return mask;
}

struct pci_bar pci_bar(struct pci_device d, unsigned i)
{
	unsigned reg = PCI_BAR0 + 4 * i;
	uint32_t low = pci_read32(d, reg), mask = probe(d, reg);
	struct pci_bar bar = { .io = low & BAR_IO };

	if (!mask)
		return bar;
	if (bar.io) {
		bar.address = low & ~(uint32_t)BAR_FLAGS_IO;
		bar.size = (uint16_t)(~(mask & ~(uint32_t)BAR_FLAGS_IO) + 1);
		return bar;
	}
	bar.wide = (low & BAR_TYPE) == BAR_64 && i + 1 < PCI_BARS;
	bar.address = low & ~(uint32_t)BAR_FLAGS_MEMORY;
	uint64_t full = (mask & ~(uint32_t)BAR_FLAGS_MEMORY) | (uint64_t)UINT32_MAX << 32;
	if (bar.wide) {
		bar.address |= (uint64_t)pci_read32(d, reg + 4) << 32;
		full = (full & UINT32_MAX) | (uint64_t)probe(d, reg + 4) << 32;
	}
	bar.size = ~full + 1;
	return bar;
}
