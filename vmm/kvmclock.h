/* SPDX-License-Identifier: MIT */
/*
 * vmm/kvmclock.h - the paravirtual clock that Linux calls kvm-clock: VM time in guest memory.
 *
 * The guest registers a page by MSR; we write there what turns its TSC into nanoseconds, and write
 * it anew whenever that changes: after a pause, after a move to a host whose TSC has another rate.
 */
#ifndef VMM_KVMCLOCK_H
#define VMM_KVMCLOCK_H

#include "lib/types.h"

struct vcpu;

/* CPUID leaves, under the signature "KVMKVMKVM" (Linux, Documentation/virt/kvm/x86/cpuid.rst). */
#define KVMCLOCK_CPUID_SIGNATURE  0x40000000
#define KVMCLOCK_CPUID_FEATURES   0x40000001
#define KVMCLOCK_FEATURE_OLD_MSRS BIT(0)
#define KVMCLOCK_FEATURE_MSRS     BIT(3)
#define KVMCLOCK_FEATURE_STABLE   BIT(24)

/* MSRs (Linux, Documentation/virt/kvm/x86/msr.rst). */
#define MSR_KVM_WALL_CLOCK_OLD    0x11
#define MSR_KVM_SYSTEM_TIME_OLD   0x12
#define MSR_KVM_WALL_CLOCK        0x4b564d00
#define MSR_KVM_SYSTEM_TIME       0x4b564d01
#define KVM_SYSTEM_TIME_ENABLE    BIT(0)

/* ns = (ticks shifted left by `shift`) * mul / 2^32, never more than the exact value. */
void kvmclock_scale(uint64_t tsc_khz, uint32_t *mul, int8_t *shift);

/* The guest wrote an MSR; false: the address is not RAM, #GP. */
bool kvmclock_set_system_time(struct vcpu *v, uint64_t value);
bool kvmclock_write_wall_clock(struct vcpu *v, uint64_t gpa_value);

/*
 * Time's parameters changed, or it goes on after a stop (`was_stopped`: the guest's watchdogs shall
 * not complain).
 */
void kvmclock_update(struct vcpu *v, bool was_stopped);

#endif
