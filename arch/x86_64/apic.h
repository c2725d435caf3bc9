/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/apic.h - the local APIC of this CPU: x2APIC, or else xAPIC.
 */
#ifndef ARCH_X86_64_APIC_H
#define ARCH_X86_64_APIC_H

#include "arch/x86_64/acpi.h"
#include "lib/err.h"
#include "lib/types.h"

/* Mask both 8259s for good and switch the local APIC on, with every local source masked. */
enum err apic_init(const struct acpi_info *acpi);

uint32_t apic_id(void);
bool     apic_is_x2(void);
void     apic_eoi(void);

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
