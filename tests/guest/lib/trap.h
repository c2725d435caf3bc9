/* SPDX-License-Identifier: MIT */
/*
 * lib/trap.h - exceptions and interrupts of a micro-guest.
 *
 * A vector without a handler ends the guest with FAIL and a dump: nothing is ignored silently.
 * trap_try() runs a function and tells which exception it raised, for tests of exceptions.
 */
#ifndef GUEST_TRAP_H
#define GUEST_TRAP_H

#include <stdint.h>

#include "lib/layout.h"

enum vector {                    /* SDM vol. 3, "Exception and Interrupt Reference" */
	VECTOR_DE = 0, VECTOR_BP = 3, VECTOR_OF = 4, VECTOR_UD = 6, VECTOR_NM = 7, VECTOR_DF = 8,
	VECTOR_NP = 11, VECTOR_SS = 12, VECTOR_GP = 13, VECTOR_PF = 14, VECTOR_AC = 17,
	VECTOR_FIRST_IRQ = 32,       /* anything from here on is free for devices        */
	TRAP_NONE = -1,
};

/*
 * As pushed by lib/trap_entry.S: general registers, then vector and error code, then the CPU's
 * part.
 */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

typedef void trap_fn(struct trap_frame *frame);

void trap_init(void);
void trap_load(void);                /* the same IDT for another CPU */
void trap_handle(unsigned vector, trap_fn *handler);   /* NULL: unexpected again */

/*
 * Run function(argument); return the vector of the exception that it raised, or TRAP_NONE.
 * The frame at the exception is left in trap_caught.
 */
int trap_try(void (*function)(uint64_t), uint64_t argument);
extern struct trap_frame trap_caught;

#endif
