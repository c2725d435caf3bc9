/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/pci.h - PCI bus 0: configuration mechanism #1, the host bridge, and what every function
 * behind it has in common (PCI Local Bus 3.0, "Configuration Space").
 *
 * There is no firmware, so BARs are placed at create; a guest may move them.  A device model embeds
 * struct pci_func, names itself by a struct pci_id, adds BARs and capabilities, and is put into a
 * slot.
 */
#ifndef VMM_DEV_PCI_H
#define VMM_DEV_PCI_H

#include "vmm/bus.h"
#include "vmm/dev/msix.h"
#include "vmm/dev/vpm.h"

#define PCI_CONFIG_SIZE  256u
#define PCI_BARS         6u
#define PCI_SLOTS        32u

/* Configuration registers: offsets. */
#define PCI_VENDOR           0x00
#define PCI_DEVICE           0x02
#define PCI_COMMAND          0x04
#define PCI_STATUS           0x06
#define PCI_REVISION         0x08
#define PCI_CLASS            0x09       /* interface, subclass, class: 24 bits */
#define PCI_BAR0             0x10
#define PCI_SUBSYSTEM_VENDOR 0x2c
#define PCI_SUBSYSTEM        0x2e
#define PCI_CAPABILITIES     0x34
#define PCI_INTERRUPT_LINE   0x3c
#define PCI_INTERRUPT_PIN    0x3d

#define PCI_COMMAND_MEMORY       BIT(1)
#define PCI_COMMAND_MASTER       BIT(2)
#define PCI_COMMAND_INTX_DISABLE BIT(10)
#define PCI_STATUS_INTERRUPT     BIT(3)
#define PCI_STATUS_CAPABILITIES  BIT(4)

#define PCI_CAP_VENDOR  0x09
#define PCI_CAP_MSIX    0x11

struct pci_id {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t  revision;
	uint32_t class;
};

struct pci_func;
struct pci_func_ops {
	uint64_t (*bar_read)(struct pci_func *f, unsigned bar, uint64_t offset,
	                     const struct access *a);
	void     (*bar_write)(struct pci_func *f, unsigned bar, uint64_t offset,
	                      const struct access *a, uint64_t value);
	/* For capabilities that act: before a read of `offset`, after a write to it.  Or NULL. */
	void     (*config_read)(struct pci_func *f, unsigned offset, const struct access *a);
	void     (*config_write)(struct pci_func *f, unsigned offset, const struct access *a);
	/* After an access to a BAR: as dev_ops.deadline.  May be NULL. */
	uint64_t (*deadline)(const struct pci_func *f);
};

/* What the bus is given for a BAR. */
struct pci_bar {
	struct pci_func *func;
	uint64_t size;                          /* 0: there is none; otherwise a power of two    */
	uint64_t base;                          /* where the bus has it now, if mapped           */
	uint8_t  index;
	bool     is64, mapped;
};

struct pci_func {
	uint8_t  config[PCI_CONFIG_SIZE];       /* as the guest reads it                         */
	struct msix msix;
	uint8_t  intx;                          /* the device asserts its pin                    */
	uint8_t  writable[PCI_CONFIG_SIZE];     /* derived: bits that the guest may change       */
	uint8_t  power_up[PCI_CONFIG_SIZE];     /* derived: config[] after reset                 */
	struct pci_bar bar[PCI_BARS];           /* derived                                       */
	uint8_t  cap_end, cap_last;             /* derived: while capabilities are added         */
	uint8_t  msix_cap, msix_bar;            /* derived: 0 and unused when there is no MSI-X  */
	struct bus *bus;                        /* derived                                       */
	struct wire pin;                        /* derived: INTA                                 */
	const struct pci_func_ops *ops;         /* derived                                       */
};

#define PCI_FUNC_FIELDS(type, m)                                                           \
	FIELDS(type, m.config), MSIX_FIELDS(type, m.msix), FIELD(type, m.intx)

struct pci {
	uint32_t address;                       /* port 0xcf8                                    */
	uint8_t  reset_control;                 /* port 0xcf9                                    */
	struct pci_func  bridge;                /* 0:0.0                                         */
	struct pci_func *slot[PCI_SLOTS];       /* derived                                       */
	uint64_t next_mmio, end_mmio;           /* derived: where the next BAR goes              */
	struct bus  *bus;                       /* derived                                       */
	struct power power;                     /* derived                                       */
};

extern const struct dev_ops pci_ops;

void pci_init(struct pci *p, struct bus *bus, uint64_t mmio_base, uint64_t mmio_end,
              struct power power);

/* A function is made in this order: init, BARs, capabilities, add. */
void     pci_func_init(struct pci_func *f, const struct pci_id *id, const struct pci_func_ops *ops);
void     pci_func_bar(struct pci_func *f, unsigned bar, uint64_t size, bool is64);

/*
 * `body` is what follows the two header bytes; `writable` (NULL: nothing) says which of its bits
 * the guest may change.  Returns the capability's offset.
 */
unsigned pci_func_cap(struct pci_func *f, uint8_t id, const void *body, const void *writable,
                      unsigned len);
void     pci_func_msix(struct pci_func *f, unsigned bar, unsigned nvectors, struct msg_wire out);

/* Places the BARs and makes it visible; `pin` is its INTA, which the guest knows as `line`. */
enum err pci_add(struct pci *p, unsigned slot, struct pci_func *f, struct wire pin, uint8_t line);

/* Power-up state: BARs as placed at create, memory decoding on, no bus mastering. */
void     pci_func_reset(struct pci_func *f);

void     pci_func_intx(struct pci_func *f, bool level);        /* the pin; silent under MSI-X */
bool     pci_func_master(const struct pci_func *f);            /* may it reach memory?        */

/* A BAR accessed through the function itself (virtio's PCI configuration access capability). */
uint64_t pci_func_bar_read(struct pci_func *f, unsigned bar, uint64_t offset,
                           const struct access *a);
void     pci_func_bar_write(struct pci_func *f, unsigned bar, uint64_t offset,
                            const struct access *a, uint64_t value);

/* Parts of the section of the device that embeds it. */
enum err pci_func_check(const struct pci_func *f);
void     pci_func_resume(struct pci_func *f);

#endif
