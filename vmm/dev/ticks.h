/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/ticks.h - VM time in ticks of a chip's oscillator and back, exact for any time.
 */
#ifndef VMM_DEV_TICKS_H
#define VMM_DEV_TICKS_H

#include "lib/types.h"

/* Whole ticks of a clock of `hz` (below 16 MHz) up to VM time `ns`. */
static inline uint64_t ticks_at(uint64_t ns, uint64_t hz)
{
	return ns / NS_PER_S * hz + ns % NS_PER_S * hz / NS_PER_S;
}

/* The first nanosecond at which ticks_at() gives `tick`. */
static inline uint64_t ticks_ns(uint64_t tick, uint64_t hz)
{
	return tick / hz * NS_PER_S + (tick % hz * NS_PER_S + hz - 1) / hz;
}

#endif
