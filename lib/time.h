/* SPDX-License-Identifier: MIT */
/*
 * lib/time.h - the host's clock: nanoseconds since boot, from the calibrated TSC.
 * Implemented by arch/x86_64/timer.c; host tests have a clock of their own.
 */
#ifndef LIB_TIME_H
#define LIB_TIME_H

#include <stdint.h>

/* Monotonic, starts near 0. */
uint64_t time_now_ns(void);

/* The raw counter and its measured frequency in kHz. */
uint64_t time_tsc(void);
uint64_t time_tsc_khz(void);

/* TSC ticks to nanoseconds and back, without overflow for any 64-bit count. */
uint64_t time_tsc_to_ns(uint64_t ticks);
uint64_t time_ns_to_tsc(uint64_t ns);

#endif
