/* SPDX-License-Identifier: MIT */
/*
 * vmm/clock.h - a VM's time: nanoseconds since it was created, as its devices see them.
 *
 * VM time runs with the host's clock while the VM may run, stands still while it is paused, and
 * goes on by the length of the pause when a migration ends.  The guest's TSC and kvm-clock are
 * derived from the same origin, so the three never disagree.
 *
 * The guest was told at its creation how fast its TSC ticks.  On a host of another rate the
 * hardware scales it, and where it cannot (or not by so much), RDTSC exits and is answered from
 * here: the rate is kept, at the price of an exit for each reading.
 */
#ifndef VMM_CLOCK_H
#define VMM_CLOCK_H

#include "vmm/state.h"

/* How the guest's TSC comes about on this host. */
enum clock_tsc {
	CLOCK_TSC_SAME,         /* host TSC + offset: the rates differ by a calibration at most  */
	CLOCK_TSC_HARDWARE,     /* host TSC * ratio + offset, by the CPU                         */
	CLOCK_TSC_EXITS,        /* the same, computed at each RDTSC                              */
};

/* Two calibrations of one rate may differ by this much, in millionths. */
#define CLOCK_TSC_PPM 1000

struct clock {
	uint64_t vm_ns;         /* VM time at the origin                                         */
	uint64_t guest_tsc;     /* guest TSC at the origin                                       */
	uint64_t tsc_khz;       /* frequency that the guest was told; it may move to another host */
	uint64_t wall_ns;       /* wall-clock time (RTC, kvm wall clock) when VM time was 0      */
	uint64_t host_ns;       /* derived: host time at the origin                              */
	uint64_t host_tsc;      /* derived: host TSC at the origin                               */
	bool     running;       /* derived                                                       */
	enum clock_tsc how;     /* derived                                                       */
	unsigned fraction;      /* derived: how many bits of `ratio` are behind the point        */
	uint64_t ratio;         /* derived: guest ticks a host tick                              */
};

extern const struct section clock_state;

void     clock_create(struct clock *c, uint64_t wall_ns);
void     clock_pause(struct clock *c);
/* `advance_ns`: how much time has passed while nobody ran it. */
void     clock_resume(struct clock *c, uint64_t advance_ns);
uint64_t clock_now_ns(const struct clock *c);
uint64_t clock_guest_tsc(const struct clock *c);
/* Guest TSC = host TSC (times ratio, unless CLOCK_TSC_SAME) + offset, while it runs. */
uint64_t clock_tsc_offset(const struct clock *c);
/*
 * guest_khz / host_khz with so many binary places, to the nearest: what the CPU multiplies by.
 * Both plausible, and at most 48 places, so that it cannot overflow.
 */
uint64_t clock_tsc_ratio(uint64_t guest_khz, uint64_t host_khz, unsigned fraction);
/* The rate at which the guest's TSC ticks here, for kvm-clock. */
uint64_t clock_tsc_rate_khz(const struct clock *c);
/* "host", "hardware", "exits" */
const char *clock_tsc_name(const struct clock *c);
/* A frequency that a TSC can have. */
bool     clock_tsc_plausible(uint64_t khz);

/* VM time at which the guest's TSC reaches `guest_tsc` (TSC-deadline timers), and back. */
uint64_t clock_tsc_to_ns(const struct clock *c, uint64_t guest_tsc);

/* Host time (time_now_ns()) of a moment in VM time; NEVER_NS stays. */
uint64_t clock_host_ns(const struct clock *c, uint64_t vm_ns);

#endif
