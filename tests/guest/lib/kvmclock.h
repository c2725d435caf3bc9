/* SPDX-License-Identifier: MIT */
/*
 * lib/kvmclock.h - KVM's paravirtual clock, read as Linux reads it.
 *
 * The host writes scale and offset into a page of ours; time is then computed from the TSC without
 * an exit (Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW,
 * MSR_KVM_WALL_CLOCK_NEW).
 */
#ifndef GUEST_KVMCLOCK_H
#define GUEST_KVMCLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct kvmclock_time {               /* struct pvclock_vcpu_time_info */
	uint32_t version;            /* odd while the host writes */
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time;        /* ns at tsc_timestamp */
	uint32_t tsc_to_system_mul;
	int8_t   tsc_shift;
	uint8_t  flags;
	uint8_t  pad[2];
};
_Static_assert(sizeof(struct kvmclock_time) == 32, "pvclock on the guest's page");

bool kvmclock_present(void);
void kvmclock_start(void);           /* gives the host our page       */
uint64_t kvmclock_ns(void);          /* since the VM started          */
uint64_t kvmclock_at(uint64_t tsc);  /* compare the page's version before and after */
uint64_t kvmclock_boot_s(void);      /* wall time of that start, Unix */
const volatile struct kvmclock_time *kvmclock_page(void);

#endif
