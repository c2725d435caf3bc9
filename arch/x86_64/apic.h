/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/apic.h - the local APIC of this CPU: x2APIC, or else xAPIC; messages to the others.
 */
#ifndef ARCH_X86_64_APIC_H
#define ARCH_X86_64_APIC_H

#include "arch/x86_64/acpi.h"
#include "lib/err.h"
#include "lib/types.h"

/* Mask both 8259s for good and switch the local APIC on, with every local source masked. */
enum err apic_init(const struct acpi_info *acpi);

/* The same for a CPU beside the boot CPU: its local APIC, and its timer. */
void     apic_init_cpu(void);

uint32_t apic_id(void);
bool     apic_is_x2(void);
void     apic_eoi(void);

/*
 * Messages to the CPU with this APIC ID: an interrupt, an NMI, INIT, start at a page below 1 MiB.
 * An xAPIC reaches IDs up to APIC_XAPIC_ID_MAX.  ERR_TIMEOUT: the APIC did not send it.
 */
#define APIC_XAPIC_ID_MAX 254
enum err apic_send_irq(uint32_t id, uint8_t vector);
enum err apic_send_nmi(uint32_t id);
enum err apic_send_init(uint32_t id);
enum err apic_send_start(uint32_t id, uint8_t page);

/*
 * The timer interrupt comes once, when the TSC reaches `tsc`, at once if it has; apic_timer_stop()
 * takes that back.  Arming it again for the same moment costs nothing.  It is armed until the
 * interrupt's handler calls apic_timer_fired().
 */
enum err apic_timer_init(void);
void     apic_timer_arm(uint64_t tsc);
void     apic_timer_stop(void);
void     apic_timer_fired(void);
bool     apic_timer_is_armed(void);

#endif
