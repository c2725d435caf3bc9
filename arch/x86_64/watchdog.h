/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/watchdog.h - a stuck host says where, and starts again.
 */
#ifndef ARCH_X86_64_WATCHDOG_H
#define ARCH_X86_64_WATCHDOG_H

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/idt.h"

/*
 * From now on this CPU must call watchdog_alive() at least every `seconds`.  0, or a machine
 * without a timer that can raise NMIs: no watchdog, with a line in the log.
 */
void watchdog_start(const struct acpi_info *acpi, unsigned seconds);

/* The host stops on purpose: no tick means anything any more. */
void watchdog_stop(void);

/* In every turn of the scheduler; returns when to call again (for the first ticks only). */
uint64_t watchdog_alive(uint64_t now_ns);

/* From the NMI handler: true when it was a tick of ours; no return when the host is stuck. */
bool watchdog_tick(const struct trap_frame *f);

#endif
