/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/reset.h - how this machine starts again, and how it is switched off.
 */
#ifndef ARCH_X86_64_RESET_H
#define ARCH_X86_64_RESET_H

#include "arch/x86_64/acpi.h"

/* Remember what ACPI says; before this call only the ways without ACPI are tried. */
void reset_init(const struct acpi_info *acpi);

/*
 * Start the machine again: ACPI's reset register, port 0xcf9, the keyboard controller, a triple
 * fault.  Each is announced and given a second.  Guests are not asked.
 */
_Noreturn void reset_reboot(void);

/* Switch the machine off (ACPI's S5).  Where that fails: a sentence, and the CPU halts. */
_Noreturn void reset_poweroff(void);

/* Stand still for so long, also before the TSC is measured (roughly then). */
void reset_wait_ns(uint64_t ns);

#endif
