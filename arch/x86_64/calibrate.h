/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/calibrate.h - the arithmetic of clocks: samples to a frequency, ticks to time.
 * Pure.
 */
#ifndef ARCH_X86_64_CALIBRATE_H
#define ARCH_X86_64_CALIBRATE_H

#include "lib/err.h"
#include "lib/types.h"

#define CALIBRATE_SAMPLES       5

/* The slowest and fastest TSC that we believe. */
#define TSC_KHZ_MIN             500ull
#define TSC_KHZ_MAX             20000000ull

/* How many TSC ticks passed while a reference of `hz` counted `ref_ticks`. */
struct calibrate_sample { uint64_t tsc, ref_ticks; };

/*
 * The median of the samples' frequencies, and how far apart the others are from it, in parts per
 * million.  ERR_NOT_SUPPORTED when a sample is empty or the result is beyond belief.
 */
enum err calibrate_khz(const struct calibrate_sample s[CALIBRATE_SAMPLES], uint64_t ref_hz,
                       uint64_t *khz, uint64_t *spread_ppm);

/* value * mul >> shift in 128 bits: how ticks become nanoseconds and back. */
struct tick_scale { uint64_t mul; unsigned shift; };
struct tick_scale tick_scale(uint64_t from_hz, uint64_t to_hz);

static inline uint64_t tick_scale_apply(struct tick_scale s, uint64_t value)
{
	return (uint64_t)((unsigned __int128)value * s.mul >> s.shift);
}

#endif
