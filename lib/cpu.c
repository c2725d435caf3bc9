/* SPDX-License-Identifier: MIT */
/*
 * lib/cpu.c - the machine's CPUs, and the one lock between them.
 *
 * Owns the table of CPUs and the host lock.  arch/x86_64/smp.c fills the table, lib/task.c runs
 * tasks on what is in it, vmm/guest_mode.c gives the lock away around guests.
 */
#include "lib/cpu.h"

#include "lib/log.h"
#include "lib/time.h"

#define LOCK_WAIT_MAX_NS  (60 * NS_PER_S)       /* longer than any work in one piece */
#define LOOKS_A_CLOCK     4096                  /* waiting, the clock is read seldom */

struct host_cpu host_cpus[CPUS_MAX] = { [0] = { .self = &host_cpus[0] } };
unsigned cpus_online = 1;
const char cpu_halted[] = "halted";
struct host_lock host_lock = { .next = 1 };

void host_lock_wait(uint32_t ticket)
{
	uint64_t until = time_now_ns() + LOCK_WAIT_MAX_NS;

	for (unsigned i = 1; ; i++) {
		if (__atomic_load_n(&host_lock.serving, __ATOMIC_ACQUIRE) == ticket)
			return;
		cpu_pause();
		if (i % LOOKS_A_CLOCK == 0 && time_now_ns() > until)
			panic("CPU %u waited %llu s for the host lock", cpu_here()->number,
			      LOCK_WAIT_MAX_NS / NS_PER_S);
	}
}
