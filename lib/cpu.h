/* SPDX-License-Identifier: MIT */
/*
 * lib/cpu.h - the machine's CPUs, and the one lock between them.
 *
 * Whoever runs code of the hypervisor holds the host lock; a CPU is without it only while it is
 * inside a guest or halted.  So data that only tasks touch needs no lock of its own, just as on one
 * CPU, and what holds between two waits of a task holds on any number of CPUs.
 */
#ifndef LIB_CPU_H
#define LIB_CPU_H

#include "lib/config.h"
#include "lib/types.h"

struct task;
struct vcpu;

/*
 * Who may touch a field:  I fixed before the CPU is counted in cpus_online   L under the host lock
 *                         o this CPU writes, others read
 */
struct host_cpu {
	struct host_cpu *self;          /* I  first: arch/x86_64 finds it by GS              */
	unsigned         number;        /* I  0: the boot CPU                                */
	uint32_t         apic_id;       /* I                                                 */
	void            *vendor;        /* I  what virt_ops.cpu_on() keeps of this CPU       */
	/*
	 * Where it is while it does not hold the lock: &cpu_halted, or the VM that it is inside.
	 * NULL: it runs code of the hypervisor, or waits for the lock to do so.
	 */
	const void *volatile away;      /* o                                                 */
	uint64_t         timer_tsc;     /* o  what its timer is armed for; 0: nothing        */
	volatile bool    wanted;        /* L  another task could use it: lib/task.c          */
	struct vcpu     *vcpu;          /* L  whose registers it holds: vmm/vcpu.c           */
	/* L  NULL, or what must happen before the running task gives this CPU away */
	void           (*before_switch)(struct host_cpu *c);

	struct task     *current;       /* L  from here: lib/task.c                          */
	struct task     *ready_first, *ready_last;
	void            *scheduler_stack;
	unsigned         placed;        /* L  guests' tasks that have their place here       */
	uint64_t         turn_end_ns;   /* L  the running task shall yield by then           */
	uint64_t         breath_end_ns; /* L  ... and long work by then                      */
	uint64_t         online_tsc;    /* L  when it came to the scheduler                  */
	uint64_t         idle_tsc;      /* L  TSC ticks for which it was halted              */
	uint64_t         halted_tsc;    /* L  since when it is, 0: it is not                 */
	uint64_t         window_tsc, window_idle;       /* L  the second being measured      */
	unsigned         busy;          /* L  thousandths of the last second                 */
};

/* The boot CPU is 0; the others follow in the order in which they came up. */
extern struct host_cpu host_cpus[CPUS_MAX];
extern unsigned cpus_online;

extern const char cpu_halted[];         /* its address, for host_cpu.away */

/* A ticket lock: who came first is served first.  Held by the boot CPU from the start. */
struct host_lock { uint32_t next, serving; };
extern struct host_lock host_lock;

void host_lock_wait(uint32_t ticket);

static inline void host_lock_take(void)
{
	uint32_t ticket = __atomic_fetch_add(&host_lock.next, 1, __ATOMIC_ACQUIRE);

	if (ticket != __atomic_load_n(&host_lock.serving, __ATOMIC_ACQUIRE))
		host_lock_wait(ticket);
}

static inline void host_lock_drop(void)
{
	__atomic_store_n(&host_lock.serving, host_lock.serving + 1, __ATOMIC_RELEASE);
}

/* True when another CPU waits for the lock that we hold. */
static inline bool host_lock_contended(void)
{
	return __atomic_load_n(&host_lock.next, __ATOMIC_RELAXED) - host_lock.serving > 1;
}

/* --- Implemented by arch/x86_64/cpu.c and smp.c; host tests have their own ------------------- */

/* The CPU that we are on.  A task may find itself on another one after it has waited. */
struct host_cpu *cpu_here(void);

/* Interrupt another CPU: it comes out of its guest or out of HLT, and looks at `wanted`. */
void cpu_poke(const struct host_cpu *c);

/* The same in a way that nothing on that CPU can hold back (an NMI). */
void cpu_poke_hard(const struct host_cpu *c);

/* One breath of a loop that waits for another CPU. */
void cpu_pause(void);

#endif
