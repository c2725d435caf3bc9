/* SPDX-License-Identifier: MIT */
/* lib/pci.h - bus 0 by configuration mechanism #1 (PCI Local Bus 3.0, "Configuration Space"). */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include <stdbool.h>
#include <stdint.h>

enum pci_reg {
	PCI_VENDOR = 0x00, PCI_DEVICE = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_HEADER = 0x0e, PCI_BAR0 = 0x10, PCI_CAPABILITIES = 0x34,
};

enum pci_value {
	PCI_SLOTS = 32, PCI_BARS = 6, PCI_NOBODY = 0xffff,
	PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4, PCI_STATUS_CAPABILITIES = 0x10,
	PCI_HEADER_MULTI = 0x80, PCI_CAP_VENDOR = 0x09, PCI_CAP_MSIX = 0x11,
	PCI_VENDOR_VIRTIO = 0x1af4, PCI_DEVICE_VIRTIO = 0x1040,   /* + virtio device type */
};

struct pci_device { uint8_t slot, function; };
struct pci_bar { uint64_t address, size; bool io, wide; };   /* size 0: not there */

uint8_t  pci_read8(struct pci_device d, unsigned reg);
uint16_t pci_read16(struct pci_device d, unsigned reg);
uint32_t pci_read32(struct pci_device d, unsigned reg);
void     pci_write16(struct pci_device d, unsigned reg, uint16_t value);
void     pci_write32(struct pci_device d, unsigned reg, uint32_t value);

unsigned pci_functions(uint8_t slot);             /* how many may be there: 1 or 8 */
bool     pci_find(uint16_t vendor, uint16_t device, struct pci_device *d);
/* Where the next capability stands; `after` is 0 for the first, and so is the answer at the end. */
unsigned pci_next_capability(struct pci_device d, unsigned after);
/* Sizes a BAR: writes the register and restores it. */
struct pci_bar pci_bar(struct pci_device d, unsigned i);

#endif
