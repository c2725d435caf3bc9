/* SPDX-License-Identifier: MIT */
/*
 * vmm/kvmclock.c - writes VM time into the page that a guest registered for kvm-clock.
 *
 * All writes go through mem_write(), so that a migration sends the page again.  The version is odd
 * while the record changes: another vCPU that reads meanwhile tries again.
 */
#include "vmm/kvmclock.h"

#include "lib/time.h"
#include "vmm/vm.h"

#define FLAG_TSC_STABLE     0x01                /* all vCPUs agree: no correction needed        */
#define FLAG_GUEST_STOPPED  0x02                /* time was lost on purpose; the guest clears it */

/* Linux, Documentation/virt/kvm/x86/msr.rst: MSR_KVM_SYSTEM_TIME_NEW. */
struct time_record {
	uint32_t version, pad0;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t   tsc_shift;
	uint8_t  flags, pad[2];
};
_Static_assert(sizeof(struct time_record) == 32, "as the guest lays it out");
_Static_assert(offsetof(struct time_record, tsc_to_system_mul) == 24, "as the guest lays it out");

/* The same document: MSR_KVM_WALL_CLOCK_NEW. */
struct wall_record { uint32_t version, sec, nsec; };
_Static_assert(sizeof(struct wall_record) == 12, "as the guest lays it out");

void kvmclock_scale(uint64_t tsc_khz, uint32_t *mul, int8_t *shift)
{
	uint64_t ns = NS_PER_MS, ticks = tsc_khz;       /* of the same millisecond */

	/* Make ns / ticks a fraction in [1/2, 1), which `mul` holds with all of its 32 bits. */
	*shift = 0;
	for (; ns >= ticks; ticks *= 2)
		++*shift;
	for (; ns * 2 < ticks; ns *= 2)
		--*shift;
	*mul = (uint32_t)((ns << 32) / ticks);
}

/* Write `record` (version first) so that a concurrent reader sees all of it or an odd version. */
static void publish(struct mem *m, gpa_t at, void *record, uint64_t len)
{
	uint32_t *version = record, old;

	if (mem_read(m, at, &old, sizeof(old)) != OK)
		return;                                 /* checked when the guest registered it */
	*version = (old + 1) | 1;
	mem_write(m, at, version, sizeof(*version));
	mem_write(m, gpa(at.v + sizeof(*version)), version + 1, len - sizeof(*version));
	++*version;
	mem_write(m, at, version, sizeof(*version));
}

void kvmclock_update(struct vcpu *v, bool was_stopped)
{
	const struct clock *c = &v->vm->clock;

	if (!(v->pvclock_gpa & KVM_SYSTEM_TIME_ENABLE) || !c->running)
		return;
	struct time_record r = {
		.tsc_timestamp = c->guest_tsc + v->tsc_adjust, .system_time = c->vm_ns,
		.flags = FLAG_TSC_STABLE | (was_stopped ? FLAG_GUEST_STOPPED : 0),
	};
	kvmclock_scale(clock_tsc_rate_khz(c), &r.tsc_to_system_mul, &r.tsc_shift);
	publish(&v->vm->mem, gpa(v->pvclock_gpa & ~KVM_SYSTEM_TIME_ENABLE), &r, sizeof(r));
}

bool kvmclock_set_system_time(struct vcpu *v, uint64_t value)
{
	gpa_t at = gpa(value & ~KVM_SYSTEM_TIME_ENABLE);

	if ((value & KVM_SYSTEM_TIME_ENABLE) &&
	    !mem_is_ram(&v->vm->mem, at, sizeof(struct time_record)))
		return false;
	v->pvclock_gpa = value;
	kvmclock_update(v, false);
	return true;
}

bool kvmclock_write_wall_clock(struct vcpu *v, uint64_t gpa_value)
{
	uint64_t wall = v->vm->clock.wall_ns;
	struct wall_record r = { .sec = (uint32_t)(wall / NS_PER_S),
		                 .nsec = (uint32_t)(wall % NS_PER_S) };

	if (!mem_is_ram(&v->vm->mem, gpa(gpa_value), sizeof(r)))
		return false;
	publish(&v->vm->mem, gpa(gpa_value), &r, sizeof(r));
	return true;
}
