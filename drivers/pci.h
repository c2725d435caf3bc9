/* SPDX-License-Identifier: MIT */
/*
 * drivers/pci.h - PCI devices of this machine: found once at boot, matched to drivers.
 *
 * Configuration space by ports 0xcf8/0xcfc (mechanism #1).  Resources are those that the firmware
 * assigned; we assign none.
 */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H

#include "arch/x86_64/irq.h"
#include "lib/err.h"
#include "lib/types.h"

#define PCI_BARS        6
#define PCI_ID(vendor, device) ((uint32_t)(device) << 16 | (vendor))

struct pci_bar {
	uint64_t base;                  /* physical address or port; 0: not there or not assigned */
	uint64_t len;                   /* bytes */
	bool     io;                    /* ports, not memory */
};

struct pci_dev {
	uint8_t  bus, slot, function;
	uint32_t id;                    /* PCI_ID(vendor, device)                    */
	uint8_t  class, subclass;
	uint8_t  irq_pin;               /* 0: none, 1: INTA                          */
	uint8_t  irq_line;              /* what the firmware wrote: the legacy IRQ   */
	struct pci_bar bar[PCI_BARS];
	enum irq_kind irq;               /* what pci_irq_*() chose                    */
	const char *driver;             /* who drives it, or NULL                    */
};

/* A driver's answer to "do you know this device?"; start claims it or says why not with fail(). */
struct pci_driver {
	const char     *name;
	const uint32_t *ids;            /* PCI_ID values, 0 ends the list            */
	enum err      (*start)(struct pci_dev *dev);
};

/* Find all devices behind host bridge 0, in bus, slot, function order; logs one line each. */
enum err pci_scan(void);

/*
 * Give each device to the first of `n` drivers that knows it.  One that fails does not stop the
 * others.
 */
void pci_start_drivers(const struct pci_driver *const *drivers, unsigned n);

struct pci_dev *pci_at(unsigned i);     /* NULL: no such device */

/* Configuration registers; `reg` is aligned to the size. */
uint8_t  pci_read8(const struct pci_dev *dev, uint8_t reg);
uint16_t pci_read16(const struct pci_dev *dev, uint8_t reg);
uint32_t pci_read32(const struct pci_dev *dev, uint8_t reg);
void     pci_write16(const struct pci_dev *dev, uint8_t reg, uint16_t value);
void     pci_write32(const struct pci_dev *dev, uint8_t reg, uint32_t value);

/* Let the device answer memory and port accesses, and (bus_master) read and write RAM. */
void pci_enable(const struct pci_dev *dev, bool bus_master);

/*
 * Map memory BAR `i`, uncached, at least `len` bytes long; the pointer stays valid.  NULL: refused,
 * with fail().
 */
volatile void *pci_map_bar(const struct pci_dev *dev, unsigned i, uint64_t len);

/*
 * The first capability with this id behind the one at `after` (0: from the beginning); 0: none.
 * (PCI Local Bus Specification 3.0, "Capabilities List")
 */
uint8_t pci_cap(const struct pci_dev *dev, uint8_t id, uint8_t after);

/* No better kind of interrupt is used than this one; for boards on which one does not work. */
extern enum irq_kind pci_irq_best;

/*
 * MSI-X, with handlers[i] behind entry i.  False: the device has it not, or it may not be used;
 * then pci_irq_start().
 */
bool pci_irq_msix(struct pci_dev *dev, irq_handler_fn *const *handlers, unsigned n, void *ctx);

/* One interrupt for the whole device: MSI, else its line, else none: its driver has to poll. */
enum irq_kind pci_irq_start(struct pci_dev *dev, irq_handler_fn *handler, void *ctx);

/* "MSI-X", "IRQ 11" ...: for people; valid until the next call. */
const char *pci_irq_text(const struct pci_dev *dev);

#define PCI_COMMAND             0x04
#define PCI_COMMAND_IO          BIT(0)
#define PCI_COMMAND_MEMORY      BIT(1)
#define PCI_COMMAND_MASTER      BIT(2)
#define PCI_COMMAND_INTX_OFF    BIT(10)

#endif
