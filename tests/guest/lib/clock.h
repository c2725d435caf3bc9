/* SPDX-License-Identifier: MIT */
/*
 * lib/clock.h - the one clock that micro-guests measure others against: the ACPI PM timer.
 *
 * 24 bits wide, 3.579545 MHz (ACPI Specification, "Power Management Timer"); its port is what the
 * FADT says, or 0xb008 where no tables are found.
 */
#ifndef GUEST_CLOCK_H
#define GUEST_CLOCK_H

#include <stdint.h>

enum { CLOCK_PM_HZ = 3579545, CLOCK_PM_MASK = 0xffffff };

uint32_t clock_pm_read(void);                    /* the counter, 24 bits         */
uint64_t clock_pm_since(uint32_t start);         /* ticks since start, under 4 s */
void clock_wait_us(uint64_t us);                 /* busy wait, at most 1 s       */
uint64_t clock_tsc_hz(void);                     /* measured once, over 20 ms    */

#endif
