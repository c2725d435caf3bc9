/* SPDX-License-Identifier: MIT */
/*
 * vmm/guest_mode.h - CPUs go into guests and come back; no one stays inside with an old TLB.
 *
 * Going in gives the host lock away, coming back takes it again (lib/cpu.h).  So that a change of a
 * VM's second-stage tables reaches every CPU, the VM counts its flushes: a CPU that goes in with
 * less than the latest flush behind it flushes first, and a CPU that is inside is fetched out by
 * guest_mode_flush(), so that it must go in anew.  The lock orders all of this: while somebody
 * changes tables and flushes, nobody can go in.
 */
#ifndef VMM_GUEST_MODE_H
#define VMM_GUEST_MODE_H

#include "lib/cpu.h"
#include "lib/log.h"
#include "vmm/virt.h"
#include "vmm/vm.h"

/* This CPU has not flushed since the latest guest_mode_flush(), or was never in this VM: do it. */
void guest_mode_catch_up(struct vm *vm, struct host_cpu *c);

/* Before an entry, while the vendor can still do something about flushes. */
static inline void guest_mode_prepare(struct vm *vm, struct host_cpu *c)
{
	if (vm->tlb.flushed[c->number] != vm->tlb.flushes)
		guest_mode_catch_up(vm, c);
}

/* Just before the instruction that enters: from here on others may run code of the hypervisor. */
static inline void guest_mode_enter(struct vm *vm, struct host_cpu *c)
{
	ASSERT(vm->tlb.flushed[c->number] == vm->tlb.flushes);
	c->away = vm;
	host_lock_drop();
}

/* Just after the guest came out. */
static inline void guest_mode_leave(struct host_cpu *c)
{
	__atomic_store_n(&c->away, NULL, __ATOMIC_RELEASE);
	host_lock_take();
}

/*
 * Before it returns, every CPU that was in this VM has come out, and none goes in again before it
 * has flushed what it knows of the VM's second-stage tables.
 */
void guest_mode_flush(struct vm *vm);

/* Fetch this vCPU out of the guest, if another CPU is inside with it; does not wait. */
void guest_mode_kick(const struct vcpu *v);

#endif
