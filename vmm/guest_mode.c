/* SPDX-License-Identifier: MIT */
/*
 * vmm/guest_mode.c - fetching CPUs out of guests, and flushing what they know of second-stage
 * tables.
 *
 * SDM vol. 3, "Guidelines for Use of the INVEPT Instruction" and "TLB Shootdown" under "Operating
 * System Requirements"; APM vol. 2, "TLB Management".  Emulators that flush at every entry never
 * show a missing flush, so all of it is counted (struct tlb) and tests read the counters.
 *
 * Called by vmm/dirty.c and vmm/vcpu.c; the vendor's enter() uses the two inline functions.
 */
#include "vmm/guest_mode.h"

#include "lib/log.h"
#include "lib/time.h"

#define COME_OUT_NS     NS_PER_S                /* at most; a slice is 10 ms */
#define FETCH_AGAIN_NS  (50 * NS_PER_US)
#define FETCHES_LEAST   1000                    /* in vain, before a CPU is given up */

void guest_mode_catch_up(struct vm *vm, struct host_cpu *c)
{
	struct tlb *t = &vm->tlb;

	virt->s2_flush(vm);
	t->flushed[c->number] = t->flushes;
}

/*
 * An interrupt brings a CPU out of its guest, also one that was just about to go in: it waits for
 * the entry.  On Bochs 2.7 it may be lost when the guest has interrupts off (docs/lab.md), which
 * on hardware costs nothing to guard against: after a while an NMI follows.  Time alone does not
 * prove that a CPU is stuck: the whole machine may have stood still.
 */
static void wait_until_out(const struct vm *vm, const struct host_cpu *c)
{
	uint64_t now = time_now_ns(), until = now + COME_OUT_NS, again = now + FETCH_AGAIN_NS;
	unsigned fetches = 0;

	while (__atomic_load_n(&c->away, __ATOMIC_ACQUIRE) == vm) {
		cpu_pause();
		now = time_now_ns();
		if (now > until && fetches >= FETCHES_LEAST)
			panic("CPU %u did not come out of VM %s within %llu ms", c->number,
			      vm->config.name, COME_OUT_NS / NS_PER_MS);
		if (now > again) {
			cpu_poke_hard(c);
			fetches++;
			again = now + FETCH_AGAIN_NS;
		}
	}
}

void guest_mode_flush(struct vm *vm)
{
	const struct host_cpu *end = host_cpus + cpus_online;
	struct tlb *t = &vm->tlb;

	for (const struct host_cpu *c = host_cpus; c < end; c++) {
		t->owed[c->number] += t->flushed[c->number] == t->flushes;
		if (c->away != vm)
			continue;
		cpu_poke(c);
		t->fetched[c->number]++;
	}
	t->flushes++;
	for (const struct host_cpu *c = host_cpus; c < end; c++)
		wait_until_out(vm, c);
	for (const struct host_cpu *c = host_cpus; c < end; c++)
		ASSERT(c->away != vm);
}

void guest_mode_kick(const struct vcpu *v)
{
	if (v->on && v->on->away == v->vm && v->on != cpu_here())
		cpu_poke(v->on);
}
