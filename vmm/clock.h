/* SPDX-License-Identifier: MIT */
/*
 * vmm/clock.h - a VM's time: nanoseconds since it was created, as its devices see them.
 *
 * VM time runs with the host's clock while the VM may run, stands still while it is paused, and
 * goes on by the length of the pause when a migration ends.  The guest's TSC and kvm-clock are
 * derived from the same origin, so the three never disagree.
 */
#ifndef VMM_CLOCK_H
#define VMM_CLOCK_H

#include "vmm/state.h"

struct clock {
	uint64_t vm_ns;         /* VM time at the origin                                         */
	uint64_t guest_tsc;     /* guest TSC at the origin                                       */
	uint64_t tsc_khz;       /* frequency that the guest was told; it may move to another host */
	uint64_t wall_ns;       /* wall-clock time (RTC, kvm wall clock) when VM time was 0      */
	uint64_t host_ns;       /* derived: host time at the origin                              */
	uint64_t host_tsc;      /* derived: host TSC at the origin                               */
	bool     running;       /* derived                                                       */
};

extern const struct section clock_state;

void     clock_create(struct clock *c, uint64_t wall_ns);
void     clock_pause(struct clock *c);
/* `advance_ns`: how much time has passed while nobody ran it. */
void     clock_resume(struct clock *c, uint64_t advance_ns);
uint64_t clock_now_ns(const struct clock *c);
uint64_t clock_guest_tsc(const struct clock *c);
/* Guest TSC = host TSC + offset, while it runs. */
uint64_t clock_tsc_offset(const struct clock *c);

/* VM time at which the guest's TSC reaches `guest_tsc` (TSC-deadline timers), and back. */
uint64_t clock_tsc_to_ns(const struct clock *c, uint64_t guest_tsc);

/* Host time (time_now_ns()) of a moment in VM time; NEVER_NS stays. */
uint64_t clock_host_ns(const struct clock *c, uint64_t vm_ns);

#endif
