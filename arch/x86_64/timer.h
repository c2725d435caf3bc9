/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/timer.h - the TSC measured against a clock of known rate, and sleeping until a
 * moment. Implements lib/time.h.
 */
#ifndef ARCH_X86_64_TIMER_H
#define ARCH_X86_64_TIMER_H

#include "arch/x86_64/acpi.h"
#include "lib/err.h"
#include "lib/time.h"
#include "lib/types.h"

/* Measure the TSC (PM timer, else HPET, else PIT; never CPUID), start the clock of lib/time.h. */
enum err timer_init(const struct acpi_info *acpi);

/* "PM timer", "HPET" or "PIT"; NULL before timer_init(). */
const char *timer_source(void);

/* Halt until an interrupt or `deadline_ns`; takes what is pending.  For sched_run(). */
void arch_idle(uint64_t deadline_ns);

#endif
