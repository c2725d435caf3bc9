/* SPDX-License-Identifier: MIT */
/*
 * vmm/tss.h - a task switch by hardware, which no CPU does for a guest (SDM vol. 3, "Task
 * Switching"): CALL or JMP to a TSS, IRET with NT set, an event through a task gate.
 */
#ifndef VMM_TSS_H
#define VMM_TSS_H

#include "vmm/cpu_state.h"
#include "vmm/exit.h"
#include "vmm/mem.h"

struct tss_switch {
	enum task_cause cause;
	uint16_t selector;      /* of the new task's TSS                                  */
	uint8_t  insn_len;      /* where the old task goes on: so much behind s->rip      */
	bool     external;      /* by a fault or an interrupt: the EXT bit of error codes */
	bool     fault;         /* the old task runs its instruction again: RF            */
	bool     has_error;     /* the event pushes an error code                         */
	uint32_t error;
};

/*
 * Changes `s` and the guest's memory as the CPU would.
 *
 * TSS_DONE: `s` is the new task; an exception in `out` (type not EVENT_NONE) is the debug trap
 * that its TSS asks for.  TSS_FAULT: `out` is the fault; in `s` (with CR2 of a page fault) is the
 * old task, or the new one, when only its segments were bad.  TSS_UNSUPPORTED: a TSS of 16 bits;
 * nothing was changed.  Privilege is the CPU's business, which looked at it before the exit.
 */
enum tss_result { TSS_DONE, TSS_FAULT, TSS_UNSUPPORTED };
enum tss_result tss_switch(struct mem *m, struct cpu_state *s, const struct tss_switch *how,
                             struct inject *out);

#endif
