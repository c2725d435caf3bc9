/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/idt.h - what the CPU does on an exception or interrupt, and what the handler sees.
 */
#ifndef ARCH_X86_64_IDT_H
#define ARCH_X86_64_IDT_H

#include "lib/err.h"
#include "lib/types.h"

#define EXCEPTION_NMI           2
#define EXCEPTION_UD            6
#define EXCEPTION_DF            8
#define EXCEPTION_GP            13
#define EXCEPTION_PF            14
#define EXCEPTION_MC            18

/* As trap.S pushes it, lowest address first. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;                 /* error: 0 where the CPU gives none */
	uint64_t rip, cs, rflags, rsp, ss;      /* by the CPU                        */
};
_Static_assert(offsetof(struct trap_frame, vector) == 15 * 8, "trap.S pushes fifteen registers");

/* Make and load an IDT in which every vector is handled; load it on another CPU. */
enum err idt_init(void);
void     idt_load(void);

/* From trap.S. */
void trap_handle(struct trap_frame *f);

/* "page fault" and so on; "exception" for what has no name. */
const char *trap_name(uint64_t vector);

/* arch/x86_64/panic.c: one screen of state for an exception of ours, then stop. */
_Noreturn void panic_trap(const struct trap_frame *f);

/* The same for a host that the watchdog found stuck for `seconds`; then the machine restarts. */
_Noreturn void panic_stuck(const struct trap_frame *f, unsigned seconds);

/* What follows a panic: restart after so many seconds; 0, as in the beginning: stay halted. */
void panic_restart_after(unsigned seconds);

/*
 * RDMSR of a register that may not be there; false: it is not.  (msr_try.S)  Only for registers
 * that the manuals promise and some emulators lack: what CPUID can tell, CPUID tells.
 */
bool msr_try(uint32_t index, uint64_t *value);

/* From the NMI handler: does not return when another CPU has panicked. */
void panic_join(void);

#endif
