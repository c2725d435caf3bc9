/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/calibrate.c - the arithmetic of clocks, apart from the hardware so that it can be
 * tested. Called by arch/x86_64/timer.c.
 */
#include "arch/x86_64/calibrate.h"

#define KHZ     1000ull
#define PPM     1000000ull

static void sort(uint64_t *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		for (unsigned j = i; j > 0 && v[j - 1] > v[j]; j--) {
			uint64_t swap = v[j];
			v[j] = v[j - 1];
			v[j - 1] = swap;
		}
}

enum err calibrate_khz(const struct calibrate_sample s[CALIBRATE_SAMPLES], uint64_t ref_hz,
                       uint64_t *khz, uint64_t *spread_ppm)
{
	uint64_t hz[CALIBRATE_SAMPLES];

	for (unsigned i = 0; i < CALIBRATE_SAMPLES; i++) {
		uint64_t product;
		if (!s[i].ref_ticks || __builtin_mul_overflow(s[i].tsc, ref_hz, &product))
			return fail(ERR_NOT_SUPPORTED,
			            "timer: the reference clock did not count as it should");
		hz[i] = product / s[i].ref_ticks;
	}
	sort(hz, CALIBRATE_SAMPLES);
	uint64_t median = hz[CALIBRATE_SAMPLES / 2];
	*khz = (median + KHZ / 2) / KHZ;
	if (*khz < TSC_KHZ_MIN || *khz > TSC_KHZ_MAX)
		return fail(ERR_NOT_SUPPORTED, "timer: a TSC of %lu kHz is beyond belief", *khz);
	/* The middle samples: one that an SMI or a busy emulator stretched does not count. */
	*spread_ppm = (hz[CALIBRATE_SAMPLES - 2] - hz[1]) * PPM / median;
	return OK;
}

/* Long division, a bit at a time, until the factor fills its word: we have no 128-bit division. */
struct tick_scale tick_scale(uint64_t from_hz, uint64_t to_hz)
{
	struct tick_scale s = { to_hz / from_hz, 0 };
	uint64_t rest = to_hz % from_hz;

	while (s.mul < BIT(62) && s.shift < 63) {
		rest *= 2;
		s.mul = s.mul * 2 + (rest >= from_hz);
		rest -= rest >= from_hz ? from_hz : 0;
		s.shift++;
	}
	return s;
}
