/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/ioapic.h - device interrupts from their pins to a vector on this CPU.
 */
#ifndef ARCH_X86_64_IOAPIC_H
#define ARCH_X86_64_IOAPIC_H

#include "arch/x86_64/acpi.h"
#include "lib/err.h"
#include "lib/types.h"

/* Map every IOAPIC of the MADT and mask all pins.  With none, devices are polled. */
enum err ioapic_init(const struct acpi_info *acpi);

/* Route the PCI interrupt with legacy line `line` to `vector` on this CPU. */
enum err ioapic_route(unsigned line, uint8_t vector);
void     ioapic_mask(unsigned line);

/* Let the ISA interrupt `irq` arrive on this CPU as NMI. */
enum err ioapic_route_nmi(unsigned irq);

#endif
