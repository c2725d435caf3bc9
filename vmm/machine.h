/* SPDX-License-Identifier: MIT */
/*
 * vmm/machine.h - the PC: which devices a VM has, and how their wires run.
 *
 * machine_create() is the one place that knows the board: ISA interrupt lines to PIC and IOAPIC,
 * IOAPIC and MSI messages to the local APICs, PCI slots, and the ACPI tables that describe it all.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include "lib/config.h"
#include "vmm/dev.h"
#include "vmm/dev/console.h"
#include "vmm/dev/exitport.h"
#include "vmm/dev/pci.h"
#include "vmm/dev/vconsole.h"
#include "vmm/dev/vioapic.h"
#include "vmm/dev/vnet.h"
#include "vmm/dev/vpic.h"
#include "vmm/dev/vpit.h"
#include "vmm/dev/vpm.h"
#include "vmm/dev/vrng.h"
#include "vmm/dev/vrtc.h"
#include "vmm/dev/vuart.h"

struct vm;

struct machine_dev { const struct dev_ops *ops; void *dev; uint16_t instance; };

struct machine {
	unsigned           ndevs;
	struct machine_dev dev[VM_DEVICES_MAX];     /* in load order: interrupt controllers first */
	struct vpic        pic;
	struct vioapic     ioapic;
	struct vpit        pit;
	struct vrtc        rtc;
	struct vpm         pm;                      /* ACPI power management block, PM timer      */
	struct console     log;                     /* what the guest said, on COM1 and hvc0      */
	struct vuart       uart;                    /* COM1                                       */
	struct exitport    exitport;                /* 0xf4 and 0x8900                            */
	struct pci         pci;                     /* 0xcf8 and the functions behind it          */
	struct vnet        net[VM_NICS_MAX];
	struct vconsole    console;
	struct vrng        rng;
	unsigned           nnets;                   /* fixed at create                            */
};

enum err machine_create(struct vm *vm);
void     machine_destroy(struct vm *vm);
void     machine_reset(struct vm *vm);

/*
 * The guest's consoles (COM1 and hvc0, one stream) for the control service.  Read: bytes from
 * number *from on, see console_read().  Input goes to the console that spoke last; returns how many
 * bytes it took, the rest is the caller's to offer again.
 */
size_t machine_console_read(const struct machine *m, uint64_t *from, void *to, size_t size);
size_t machine_console_input(struct machine *m, const void *bytes, size_t len);

/* Write ACPI tables into guest RAM; returns where the RSDP is.  vmm/acpi_tables.c */
enum err acpi_tables_write(struct vm *vm, gpa_t *rsdp);

/* Fixed places of the board, shared with the tables. */
#define MACHINE_IOAPIC_BASE   0xfec00000ull
#define MACHINE_LAPIC_BASE    0xfee00000ull
#define MACHINE_PM_BASE       VPM_BASE      /* PM1a event, +4 control, +8 timer */
#define MACHINE_SCI           9
#define MACHINE_PCI_MMIO_BASE 0xe0000000ull
#define MACHINE_PCI_MMIO_END  0xf0000000ull
#define MACHINE_COM1_IRQ      4
#define MACHINE_ACPI_BASE     0x000e0000ull /* RSDP and tables, reserved in the e820 map */
#define MACHINE_ACPI_END      0x00100000ull

/* Slots on PCI bus 0. */
#define MACHINE_SLOT_NET      2             /* 2, 3, 4, 5 */
#define MACHINE_SLOT_CONSOLE  6
#define MACHINE_SLOT_RNG      7
#define MACHINE_SLOT_END      8
#define MACHINE_PCI_GSI(slot) (16 + (slot)) /* IOAPIC pin of the slot's INTA */

#endif
